"""``sparksweep list``: the runs in a directory of this machine."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from sparksweep._run_list import DEFAULT, RunSummary, list_runs
from sparksweep._text import number_text, one_line
from sparksweep.cli.formats import OUTPUT, TABLES, check_format, print_records
from sparksweep.cli.layout import Column, lay_out
from sparksweep.cli.output import Output, stderr, stdout

_STYLES = {"Complete": "green", "Failed": "red", "Running": "cyan", "Unreadable": "red"}


@click.command("list", short_help="List the runs in a directory.")
@click.argument("directory", metavar="[DIR]", type=click.Path(path_type=Path), default=DEFAULT)
@OUTPUT
@click.option("-n", "--namespace", hidden=True)
def list_command(directory: Path, output: str, namespace: str | None) -> None:
    """List the runs in DIR on this machine, the newest first.

    DIR has the run directories, and is runs by default.

    Exit codes: 0, 2 if there is no such directory.
    """
    if namespace is not None:
        raise click.UsageError(
            "list shows the runs in a directory of this machine. The Experiments of a namespace: "
            f"kubectl -n {shlex.quote(namespace)} get experiments.sparksweep.dev"
        )
    out = stdout()
    check_format(output, None, out)
    runs = list(list_runs(directory))
    if output not in TABLES:
        print_records(out, output, [_record(run) for run in runs])
    elif runs:
        _print_table(out, runs, is_wide=output == "wide")
    else:
        stderr().line(f"There are no runs in {directory}.")


def _print_table(out: Output, runs: list[RunSummary], *, is_wide: bool) -> None:
    columns = [
        Column("Directory", [one_line(run.directory) for run in runs], is_text=True, is_right=False),
        Column("State", [run.state for run in runs], is_right=False, styles=[_STYLES.get(run.state, "yellow") for run in runs]),
        Column("Trials", [run.trials if run.state != "Unreadable" else "" for run in runs]),
        Column("Best", [number_text(run.best) for run in runs]),
        Column("Started", [f"{run.when.astimezone():%Y-%m-%d %H:%M}" if run.when else "" for run in runs], is_right=False),
        Column("Name", [one_line(run.name) for run in runs], is_text=True, is_right=False),
    ]  # fmt: skip
    if is_wide or any(run.error for run in runs):
        errors = [one_line(run.error) for run in runs]
        columns.append(Column("Error", errors, is_text=True, is_right=False))
    table = lay_out(columns, out.width)
    out.lines(table.lines)
    if table.dropped:
        stderr().line(f"{out.width} columns are too few for {', '.join(table.dropped)}: use a pipe")  # fmt: skip


def _record(run: RunSummary) -> dict[str, object]:
    return {
        "directory": run.directory,
        "name": run.name,
        "state": run.state,
        "ended": run.ended,
        "expected": run.expected,
        "best": run.best,
        "started": run.when.isoformat() if run.when else None,
        "error": run.error,
    }
