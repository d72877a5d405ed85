"""Commands that print the trials of a run, finished or running, here or on a cluster: ``trials`` and ``best``."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import click
from rich.console import Console

from sparksweep.cli.tables import trials_table
from sparksweep.cli.targets import NAMESPACE, TARGET, open_run
from sparksweep.errors import MissingDependency
from sparksweep_core.api import Experiment, Trial, best_of
from sparksweep_core.api.columns import columns_of
from sparksweep_core.api.parameter_values import typed_values
from sparksweep_core.kubernetes_yaml import dump_yaml

Command = TypeVar("Command", bound=Callable[..., Any])


def _output(*formats: str) -> Callable[[Command], Command]:
    return click.option(
        "-o",
        "--output",
        type=click.Choice(formats),
        default="table",
        show_default=True,
        help="Output format.",
    )


@click.command()
@TARGET
@_output("table", "csv", "json", "parquet")
@NAMESPACE
def trials(target: str, output: str, namespace: str | None) -> None:
    """Print every trial of a run.

    NAME is an Experiment on a cluster, DIR a run directory on this machine.

    csv and parquet have the columns of results.parquet: sparksweep trials NAME -o parquet > trials.parquet
    """
    if output == "parquet" and sys.stdout.isatty():
        raise click.UsageError("parquet is binary: redirect the output to a file")
    run = open_run(target, namespace)
    rows = run.trials()
    match output:
        case "json":
            experiment = run.experiment()
            click.echo(json.dumps([_row(experiment, trial) for trial in rows]))
        case "csv":
            click.echo(_csv(run.experiment(), rows), nl=False)
        case "parquet":
            click.echo(_parquet(run.experiment(), rows), nl=False)
        case _:
            table = trials_table(run.experiment(), rows, most_rows=None)
            Console(highlight=False).print(table)


@click.command()
@TARGET
@_output("table", "json", "yaml")
@NAMESPACE
def best(target: str, output: str, namespace: str | None) -> int:
    """Print the best trial of a run.

    NAME is an Experiment on a cluster, DIR a run directory on this machine.

    Exit codes: 0, 1 if there is no best trial yet.
    """
    run = open_run(target, namespace)
    experiment = run.experiment()
    objective = experiment.spec.objective
    best = best_of(run.trials(), objective)
    if best is None or objective is None:
        why = "the experiment names no objective" if objective is None else "no trial has succeeded"
        click.echo(f"{run.title} has no best trial: {why}.", err=True)
        return 1
    if output == "json":
        click.echo(json.dumps(_row(experiment, best)))
        return 0
    if output == "yaml":
        click.echo(dump_yaml(_best(experiment, best)), nl=False)
        return 0
    click.echo(f"trial: {best.number}")
    click.echo(f"{objective.objective_metric_name}: {best.objective_value(objective)}")
    for name, value in typed_values(experiment.spec.parameters, best.spec.parameters).items():
        click.echo(f"parameters.{name}: {value}")
    click.echo(f"files: {run.location(best.number)}")
    return 0


def _row(experiment: Experiment, trial: Trial) -> dict[str, Any]:
    parameters = typed_values(experiment.spec.parameters, trial.spec.parameters)
    return {"parameters": parameters, **trial.status.to_dict()}


def _best(experiment: Experiment, trial: Trial) -> dict[str, Any]:
    """Return the best trial with its parameters as the function gets them, for use elsewhere."""
    return {
        "trial": trial.number,
        "attempt": trial.status.attempt,
        "parameters": typed_values(experiment.spec.parameters, trial.spec.parameters),
        "metrics": dict(trial.status.metrics),
    }


def _csv(experiment: Experiment, trials: Sequence[Trial]) -> str:
    columns = columns_of(experiment.spec, trials)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for values in zip(*(column.values for column in columns.values()), strict=True):
        writer.writerow(
            value.isoformat() if isinstance(value, datetime) else value for value in values
        )
    return text.getvalue()


def _parquet(experiment: Experiment, trials: Sequence[Trial]) -> bytes:
    try:
        import pyarrow.parquet as pq

        from sparksweep_trainer.files.results import results_table
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "pyarrow":
            raise
        raise MissingDependency(
            "pyarrow is not installed. Parquet needs it: pip install 'sparksweep[data]'"
        ) from error
    buffer = io.BytesIO()
    pq.write_table(results_table(experiment.spec, trials), buffer)
    return buffer.getvalue()
