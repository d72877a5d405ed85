"""Commands that read a run directory, of a finished or a running run: ``trials`` and ``best``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from sparksweep.api import Trial, best_of
from sparksweep.cli.tables import trials_table
from sparksweep.local.run_directory import RunDirectory

DIRECTORY = click.argument(
    "directory", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
OUTPUT = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How to print.",
)


@click.command()
@DIRECTORY
@OUTPUT
def trials(directory: Path, output: str) -> None:
    """Print every trial of the run in DIR."""
    run = RunDirectory.open(directory)
    rows = run.read_trials()
    if output == "json":
        click.echo(json.dumps([_row(trial) for trial in rows]))
    else:
        Console(highlight=False).print(trials_table(run.read_experiment(), rows, most_rows=None))


@click.command()
@DIRECTORY
@OUTPUT
def best(directory: Path, output: str) -> int:
    """Print the best trial of the run in DIR; exit code 1 when there is none yet."""
    run = RunDirectory.open(directory)
    experiment = run.read_experiment()
    objective = experiment.spec.objective
    found = best_of(run.read_trials(), objective)
    if found is None or objective is None:
        why = "the experiment names no objective" if objective is None else "no trial has succeeded"
        click.echo(f"{directory} has no best trial: {why}.", err=True)
        return 1
    if output == "json":
        click.echo(json.dumps(_row(found)))
        return 0
    click.echo(f"trial: {found.number}")
    click.echo(f"{objective.objective_metric_name}: {found.objective_value(objective)}")
    for name, value in found.spec.parameters.items():
        click.echo(f"parameters.{name}: {value}")
    click.echo(f"files: {run.trial(found.number)}")
    return 0


def _row(trial: Trial) -> dict[str, Any]:
    return {"parameters": trial.spec.parameters, **trial.status.to_dict()}
