"""``sparksweep logs``: the output of a trial, of a run here or on a cluster.

Every station of a log line is in ``docs/internals/log-lines.md``.
"""

from __future__ import annotations

import click

from sparksweep._runs.follow import AttemptStarted, follow_log, read_log
from sparksweep._runs.log_lines import NOTES
from sparksweep._text import log_line
from sparksweep.cli.output import stderr, stdout
from sparksweep.cli.targets import NAMESPACE, TARGET, open_run
from sparksweep_core.contract.run_layout import STREAMS


@click.command(short_help="Print the output of a trial.")
@TARGET
@click.option(
    "--trial", "number", type=click.IntRange(1), required=True, help="Number of the trial."
)
@click.option("--attempt", type=click.IntRange(1), help="Attempt to print (default: the last one).")
@click.option("-f", "--follow", is_flag=True, help="Keep printing while the trial runs.")
@click.option(
    "--timestamps",
    is_flag=True,
    help="Begin each line with the time (UTC) at which it was printed.",
)
@click.option(
    "--stream",
    type=click.Choice(["all", *STREAMS]),
    default="all",
    show_default=True,
    help="Stream to print.",
)
@click.option(
    "--raw",
    is_flag=True,
    help="Print every byte as the trial did, control sequences of the terminal included.",
)
@NAMESPACE
def logs(
    target: str,
    number: int,
    attempt: int | None,
    follow: bool,
    timestamps: bool,
    stream: str,
    raw: bool,
    namespace: str | None,
) -> int:
    """Print the output of a trial, without control sequences such as colours.

    NAME is an Experiment on a cluster, DIR a run directory on this machine.

    Exit codes: 0, 1 if the trial has no output, 2 if there is no such trial or run.
    """
    if follow and attempt is not None:
        raise click.UsageError("--follow prints the last attempt: leave out --attempt")
    run = open_run(target, namespace)
    out, err = stdout(), stderr()
    shown = False
    for line in follow_log(run, number) if follow else read_log(run, number, attempt=attempt):
        if isinstance(line, AttemptStarted):
            err.line(f"trial {number} starts again: attempt {line.attempt}")
            continue
        if stream not in ("all", line.stream) and line.stream != NOTES:
            continue
        shown = True
        text = line.text if raw else log_line(line.text)
        end = b"" if text.endswith(b"\n") else b"\n"
        stamp = f"{line.stamp} ".encode() if timestamps else b""
        out.data(stamp + text + end)
    if shown:
        return 0
    trial = run.trial(number)
    if trial is None or not trial.status.attempt:
        why = "it was never started" if trial and trial.state.is_finished else "it has not been started"  # fmt: skip
    elif trial.state.is_finished:
        why = run.absence(trial) or "it printed nothing"
    else:
        why = run.absence(trial) or "it has printed nothing so far"
    err.line(f"There is no output of trial {number} of {run.title}: {why}.")
    return 1
