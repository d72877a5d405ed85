"""The formats of ``-o``: the same for every command that prints trials."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from sparksweep._values import document_values
from sparksweep.cli.output import Output, stderr
from sparksweep.cli.tables import Choice, chosen_trials, trials_table
from sparksweep.cli.trial_columns import UnknownColumn, find_column, sort_trials, trial_columns
from sparksweep.errors import MissingDependency
from sparksweep_core.api import Experiment, Trial
from sparksweep_core.api.columns import Column, columns_of
from sparksweep_core.kubernetes_yaml import dump_yaml

Command = TypeVar("Command", bound=Callable[..., Any])

TABLES = ("table", "wide")
DOCUMENTS = ("json", "yaml")
FORMATS = (*TABLES, *DOCUMENTS, "csv", "parquet")

OUTPUT = click.option(
    "-o",
    "--output",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="Format: table and wide for people, the others with exact values for programs.",
)
SORT = click.option(
    "--sort",
    metavar="COLUMN",
    help="Sort by a column: a parameter, a metric, time ...; the objective's best first. -COLUMN reverses.",
)
COLUMNS = click.option(
    "--columns",
    metavar="A,B,...",
    help="Print these columns, in this order. Not with json and yaml.",
)


def check_format(output: str, columns: str | None, out: Output) -> None:
    """Refuse a format that can't be written, before anything is read or run.

    Raises:
        click.UsageError: Binary data would go to a terminal, or the format has no columns.
        MissingDependency: Parquet needs pyarrow.
    """
    if columns is not None and output in DOCUMENTS:
        raise click.UsageError(f"--columns is for table, wide, csv and parquet: {output} has whole trials")  # fmt: skip
    if output != "parquet":
        return
    if out.is_terminal:
        raise click.UsageError("parquet is binary: redirect the output to a file, as with > trials.parquet")  # fmt: skip
    try:
        import pyarrow.parquet  # noqa: F401 - whether it is installed
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "pyarrow":
            raise
        raise MissingDependency(
            "pyarrow is not installed. Parquet needs it: pip install 'sparksweep[data]'"
        ) from error


def column_names(text: str | None) -> tuple[str, ...]:
    """Return the names in the value of ``--columns``, each once; one with a comma stands in double quotes, as in CSV.

    Raises:
        click.UsageError: It names no column.
    """
    if text is None:
        return ()
    try:
        names = next(csv.reader([text], skipinitialspace=True), [])
    except csv.Error:
        # A line break, which no column's name has.
        names = text.split(",")
    found = tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
    if not found:
        raise click.UsageError("--columns names no column")
    return found


def check_choice(experiment: Experiment, choice: Choice) -> None:
    """Refuse a column that no trial of the experiment can have, before anything runs.

    Any name may be a metric's, unless the objective names the metrics.

    Raises:
        click.UsageError: There is no such column.
    """
    if experiment.spec.objective is None:
        return
    columns = trial_columns(experiment, [], None)
    with _usage_errors():
        sort_trials(columns, [], choice.sort or "number")
        for name in choice.columns:
            find_column(columns, name)


def print_trials(
    out: Output,
    experiment: Experiment,
    trials: Sequence[Trial],
    output: str,
    choice: Choice,
    *,
    is_live: bool = False,
    notes: Output | None = None,
    the_rest: str = "",
) -> None:
    """Print trials in a format.

    Args:
        out: The stream.
        experiment: The experiment.
        trials: Its trials, by number.
        output: One of `FORMATS`.
        choice: The rows and columns.
        is_live: True if trials may run: then a table has the time for which they have.
        notes: The stream for remarks on rows and columns that are left out of a table; by default standard error.
        the_rest: The advice that follows "and 5 more".

    Raises:
        click.UsageError: There is no such column.
    """
    now = datetime.now(UTC) if is_live else None
    if output in TABLES:
        with _usage_errors():
            table = trials_table(
                experiment, trials, choice, now=now, width=out.width, the_rest=the_rest
            )
        out.lines(table.lines)
        for note in table.notes:
            (notes or stderr()).line(note)
        return
    columns = trial_columns(experiment, trials, now)
    with _usage_errors():
        chosen = chosen_trials(columns, trials, choice)[: choice.rows]
        names = [find_column(columns, name).data_name for name in choice.columns]
    match output:
        case "json":
            out.data(json.dumps([trial_row(experiment, trial) for trial in chosen]) + "\n")
        case "yaml":
            out.data(dump_yaml([trial_row(experiment, trial) for trial in chosen]))
        case "csv":
            out.data(_csv(_selected(columns_of(experiment.spec, chosen), names)))
        case _:
            out.data(_parquet(experiment, chosen, names))


def print_records(out: Output, output: str, records: Sequence[Mapping[str, Any]]) -> None:
    """Print records that all have the same fields, in a format for programs."""
    match output:
        case "json":
            out.data(json.dumps(records) + "\n")
        case "yaml":
            out.data(dump_yaml(list(records)))
        case "csv":
            rows = [list(record.values()) for record in records]
            out.data("".join(map(_csv_line, [list(records[0]), *rows] if records else [])))
        case _:
            import pyarrow as pa
            import pyarrow.parquet as pq

            buffer = io.BytesIO()
            pq.write_table(pa.Table.from_pylist(list(records)), buffer)
            out.data(buffer.getvalue())


def trial_row(experiment: Experiment, trial: Trial) -> dict[str, Any]:
    """Return a trial as a document: its parameters as the function gets them, and its status."""
    return {"parameters": document_values(experiment, trial), **trial.status.to_dict()}


@contextmanager
def _usage_errors() -> Iterator[None]:
    try:
        yield
    except UnknownColumn as error:
        raise click.UsageError(str(error)) from error


def _selected(columns: Mapping[str, Column], names: Sequence[str]) -> Mapping[str, Column]:
    return {name: columns[name] for name in names} if names else columns


def _csv(columns: Mapping[str, Column]) -> str:
    rows = zip(*(column.values for column in columns.values()), strict=True)
    texts = [[v.isoformat() if isinstance(v, datetime) else v for v in row] for row in rows]
    return "".join(map(_csv_line, [list(columns), *texts]))


def _csv_line(values: Sequence[object]) -> str:
    text = io.StringIO(newline="")
    # Until Python 3.13 the writer quotes those line breaks alone of which its own consists.
    csv.writer(text, lineterminator="\r\n").writerow(values)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _parquet(experiment: Experiment, trials: Sequence[Trial], names: Sequence[str]) -> bytes:
    import pyarrow.parquet as pq

    from sparksweep_trainer.files.results import results_table

    table = results_table(experiment.spec, trials)
    buffer = io.BytesIO()
    pq.write_table(table.select(list(dict.fromkeys(names))) if names else table, buffer)
    return buffer.getvalue()
