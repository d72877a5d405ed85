"""Commands that print the trials of a run, finished or running, here or on a cluster: ``trials`` and ``best``."""

from __future__ import annotations

import json

import click

from sparksweep._listing import missing_text
from sparksweep._text import number_text, typed_text
from sparksweep.cli.formats import (
    COLUMNS,
    OUTPUT,
    SORT,
    check_format,
    column_names,
    print_trials,
    trial_row,
)
from sparksweep.cli.output import Output, stderr, stdout
from sparksweep.cli.tables import Choice
from sparksweep.cli.targets import (
    LONG_NAMESPACE,
    NAMESPACE,
    ROWS,
    TARGET,
    open_run,
    rows_and_namespace,
)
from sparksweep_core.api import Experiment, Trial, best_of
from sparksweep_core.api.parameter_values import typed_values
from sparksweep_core.kubernetes_yaml import dump_yaml


@click.command(short_help="Print every trial of a run.")
@TARGET
@OUTPUT
@SORT
@ROWS
@COLUMNS
@LONG_NAMESPACE
def trials(
    target: str,
    output: str,
    sort: str | None,
    short: tuple[str, ...],
    columns: str | None,
    namespace: str | None,
) -> None:
    """Print every trial of a run.

    NAME is an Experiment on a cluster, DIR a run directory on this machine.

    The table fits the terminal: it loses columns on the right. In a pipe or a file it is complete. csv and parquet have
    the columns of results.parquet: sparksweep trials NAME -o parquet > trials.parquet

    Exit codes: 0, 2 if there is no such run or column.
    """
    rows, namespace = rows_and_namespace(short, namespace)
    out = stdout()
    check_format(output, columns, out)
    choice = Choice(sort, rows, column_names(columns), is_wide=output == "wide")
    run = open_run(target, namespace)
    listed = run.trials()
    print_trials(out, run.experiment(), listed, output, choice, is_live=run.is_live())
    if listed.unreadable:
        stderr().line(missing_text(listed.unreadable))


@click.command(short_help="Print the best trial of a run.")
@TARGET
@OUTPUT
@NAMESPACE
def best(target: str, output: str, namespace: str | None) -> int:
    """Print the best trial of a run.

    NAME is an Experiment on a cluster, DIR a run directory on this machine.

    Exit codes: 0, 1 if there is no best trial yet, 2 if there is no such run.
    """
    out = stdout()
    check_format(output, None, out)
    run = open_run(target, namespace)
    experiment = run.experiment()
    objective = experiment.spec.objective
    listed = run.trials()
    if listed.unreadable:
        # The best trial may be among those.
        raise listed.unreadable[0]
    best = best_of(listed, objective)
    if best is None or objective is None:
        why = "the experiment names no objective" if objective is None else "no trial has succeeded"
        stderr().line(f"{run.title} has no best trial: {why}.")
        return 1
    match output:
        case "json":
            out.data(json.dumps(_document(experiment, best)) + "\n")
        case "yaml":
            out.data(dump_yaml(_document(experiment, best)))
        case "csv" | "parquet":
            print_trials(out, experiment, [best], output, Choice())
        case _:
            _print_lines(out, experiment, best, run.location(best.number), is_wide=output == "wide")
    return 0


def _document(experiment: Experiment, trial: Trial) -> dict[str, object]:
    return {"trial": trial.number, **trial_row(experiment, trial)}


def _print_lines(
    out: Output, experiment: Experiment, trial: Trial, location: str, *, is_wide: bool
) -> None:
    objective = experiment.spec.objective
    assert objective is not None
    out.line(f"trial: {trial.number}")
    out.line(f"{objective.objective_metric_name}: {number_text(trial.objective_value(objective))}")
    for name, value in typed_values(experiment.spec.parameters, trial.spec.parameters).items():
        out.line(f"parameters.{name}: {typed_text(value)}")
    if is_wide:
        for name, metric in sorted(trial.status.metrics.items()):
            out.line(f"metrics.{name}: {number_text(metric)}")
    out.line(f"files: {location}")
