"""``sparksweep run``: an Experiment on this machine."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

import click

from sparksweep._local.changes import Changes
from sparksweep._local.code_findings import CodePlaces, code_notes
from sparksweep._local.doors import Door
from sparksweep._local.java import find_java, running_java
from sparksweep._local.libraries import require_libraries
from sparksweep._local.program import check_local, notes_on_ignored
from sparksweep._local.record import RunRecord
from sparksweep._local.run_directory import RunDirectory
from sparksweep.cli.displays import Display, LiveDisplay, PlainDisplay
from sparksweep.cli.documents import read_file
from sparksweep.cli.formats import (
    COLUMNS,
    OUTPUT,
    SORT,
    TABLES,
    check_choice,
    check_format,
    column_names,
    print_trials,
)
from sparksweep.cli.output import Output, Unwritable, stderr, stdout
from sparksweep.cli.tables import MOST_ROWS, Choice, outcome_lines
from sparksweep.errors import InvalidExperiment
from sparksweep_core.api import ConditionType, Experiment, ExperimentReason, Trial
from sparksweep_core.kubernetes_yaml import dump_yaml
from sparksweep_core.validation.document import nothing_more

COMPLETE = 0
FAILED = 1
REFUSED = 2


@click.command(short_help="Run the Experiment in FILE on this machine.")
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False
)
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    help="Directory for state, logs and results (default: runs/NAME-TIME).",
)
@click.option(
    "--resume",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Continue the run in DIR; trials that have ended don't run again. Needs no FILE; with one, under its limits. "
    "Not with --dir.",
)
@click.option("--max-trials", type=int, metavar="N", help="With --resume: most trials, in all.")
@click.option(
    "--max-failed-trials", type=int, metavar="N", help="With --resume: fail at N failed trials."
)
@click.option("--goal", type=float, metavar="X", help="With --resume: end at this objective.")
@click.option(
    "--deadline-seconds", type=int, metavar="S", help="With --resume: fail S after the first start."
)
@click.option("--parallel", type=int, metavar="N", help="With --resume: most trials at once.")
@OUTPUT
@SORT
@click.option(
    "-n", "rows", type=click.IntRange(1), metavar="N", help="Print the first N trials at the end."
)
@COLUMNS
@click.option("-q", "--quiet", is_flag=True, help="Print no progress.")
def run(
    file: Path | None,
    directory: Path | None,
    resume: Path | None,
    output: str,
    sort: str | None,
    rows: int | None,
    columns: str | None,
    quiet: bool,
    **limits: Any,
) -> int:
    """Run the Experiment in FILE on this machine.

    Runs trials in parallel with Spark in local mode. At the end it prints the trials and the best of them; with json or
    yaml the Experiment and its status.

    Exit codes: 0 complete, 1 failed, 2 refused (no trial was started), 128 + the signal's number if interrupted.
    """
    changes = Changes(**limits)
    _check_usage(file, directory, resume, changes)
    out = stdout()
    check_format(output, columns, out)
    choice = Choice(sort, rows, column_names(columns), is_wide=output == "wide")
    home = Path.cwd() if file is None else file.absolute().parent
    # The code of a run that is continued is where it was at its start.
    check_code = nothing_more if resume else CodePlaces(home).code_findings
    built = None if file is None else read_file(file, check_code)
    experiment = None if built is None else built.experiment
    if experiment is not None:
        check_choice(experiment, choice)
        check_local(experiment)
    elif resume is not None:
        check_choice(RunDirectory.open(resume).read_experiment(), choice)
    require_libraries()
    java = find_java()
    err = stderr()
    if resume:
        run_directory = RunDirectory.open(resume)
        run_directory.lock()
        experiment, notes = _resumed(run_directory, experiment, changes, home)
    else:
        assert experiment is not None
        assert built is not None
        experiment = experiment.model_copy(update={"status": None})
        run_directory = RunDirectory.create(directory or _default_directory(experiment))
        files = {} if built.code is None else built.code.files
        run_directory.begin(experiment, RunRecord.of_start(home), files)
        notes = []
    record = run_directory.read_record()
    display: Display = (
        LiveDisplay(err) if err.can_redraw and not quiet else PlainDisplay(err, quiet=quiet)
    )
    spec = experiment.spec
    notes += code_notes(spec.trial_template, [parameter.name for parameter in spec.parameters])
    for note in [*notes, *notes_on_ignored(experiment)]:
        display.note(note)
    record.export_project_path(home)
    with running_java(java, run_directory.spark_log) as process:
        # While Java starts: it imports PySpark and Arrow, which no other command needs.
        from sparksweep._local.runner import LocalRun

        local = LocalRun(
            experiment,
            run_directory,
            home=Path(record.home or home),
            record=record,
            observer=display,
            java=process,
        )
        with display, _signals(local.interrupt) as received:
            ended = local.run()
    run_directory.unlock()
    code = _exit_code(ended)
    again = None if code is not None else Door.COMMAND_LINE.resume(run_directory.path)
    try:
        _print_result(out, ended, local.trials, output, choice, run_directory.path, again)
    except Unwritable as error:
        # The run's outcome counts for more than its reader.
        if not error.is_broken_pipe:
            err.line(
                f"standard output can't be written: {error}; see sparksweep trials {run_directory.path}"
            )
    return code if code is not None else 128 + (received or [signal.SIGINT])[0]


def _check_usage(
    file: Path | None, directory: Path | None, resume: Path | None, changes: Changes
) -> None:
    if directory and resume:
        raise click.UsageError(
            "--dir starts a new run, --resume continues one: give only one of them"
        )
    if file is None and resume is None:
        raise click.UsageError("give the FILE of an Experiment, or --resume DIR to continue a run")
    if changes.any and resume is None:
        raise click.UsageError(
            "limits as options change a run that is continued: give --resume DIR, or set them in FILE"
        )


def _resumed(
    directory: RunDirectory, given: Experiment | None, changes: Changes, home: Path
) -> tuple[Experiment, list[str]]:
    """Return the Experiment with which the run in a directory goes on, and notes about it."""
    # It imports the planner, which the start of a run need not wait for.
    from sparksweep._local.resuming import prepare, relocated

    try:
        resumption = prepare(directory, given=given, changes=changes)
    except InvalidExperiment as error:
        directory.unlock()
        # In a file a limit has its document's path.
        findings = error.errors if given is not None else Door.COMMAND_LINE.named(error.errors)
        raise InvalidExperiment(findings) from None
    _, note = relocated(directory, home)
    found = f"{directory.path}: {resumption.found}"
    if not resumption.goes_on:
        found += " Nothing is left to run; --max-trials and the other limits extend it."
    return resumption.experiment, [text for text in (found, note) if text]


def _default_directory(experiment: Experiment) -> Path:
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{experiment.metadata.name}-{stamp}"


def _exit_code(experiment: Experiment) -> int | None:
    """Return the exit code of an experiment that has ended; None for one that can be resumed."""
    if experiment.holds(ConditionType.COMPLETE):
        return COMPLETE
    failed = experiment.condition(ConditionType.FAILED, "True")
    if failed is None:
        return None
    refusals = (ExperimentReason.FUNCTION_REFUSED, ExperimentReason.INVALID_SPEC)
    return REFUSED if failed.reason in refusals else FAILED


@contextmanager
def _signals(interrupt: Callable[[str], None]) -> Iterator[list[int]]:
    """Interrupt the run at the first SIGINT or SIGTERM; end this process at the second."""
    received: list[int] = []

    def handle(number: int, _: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)
        interrupt("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_result(
    out: Output,
    experiment: Experiment,
    trials: Sequence[Trial],
    output: str,
    choice: Choice,
    directory: Path,
    resume_with: str | None,
) -> None:
    if output == "json":
        out.data(json.dumps(experiment.to_dict()) + "\n")
    elif output == "yaml":
        out.data(dump_yaml(experiment.to_dict()))
    elif output not in TABLES:
        print_trials(out, experiment, trials, output, choice)
    else:
        # Nobody waits for the rest of a long table; one that was asked for is printed.
        shown = choice if choice.rows is not None else replace(choice, rows=MOST_ROWS)
        the_rest = f": sparksweep trials {shlex.quote(str(directory))}"
        try:
            print_trials(out, experiment, trials, output, shown, notes=out, the_rest=the_rest)
        except click.UsageError as error:
            # Without an objective only the trials say which metrics there are.
            stderr().line(error.format_message())
            print_trials(out, experiment, trials, output, Choice(), notes=out)
        out.lines(outcome_lines(experiment))
        out.line(f"Logs and results: {directory}")
        if experiment.status is not None and experiment.status.seed is not None:
            out.line(f"Seed: {experiment.status.seed}")
        if resume_with:
            out.line(f"To continue: {resume_with}")
