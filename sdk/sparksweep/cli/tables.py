"""Tables of trials, and the end of an experiment, as lines for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sparksweep._text import lines_of, number_text, one_line, point_text
from sparksweep.cli.layout import lay_out
from sparksweep.cli.output import Line, Span
from sparksweep.cli.trial_columns import (
    TrialColumn,
    find_column,
    never_ran,
    sort_trials,
    trial_columns,
)
from sparksweep_core.api import ConditionType, Experiment, Trial, best_of

MOST_ROWS = 50
"""Rows of the table at the end of a run; ``sparksweep trials`` prints them all."""


@dataclass(frozen=True)
class Choice:
    """A user's choice of rows and columns."""

    sort: str | None = None
    """Name of the column to sort by; None: by number."""
    rows: int | None = None
    """Number of rows; None: all."""
    columns: tuple[str, ...] = ()
    """Names of the columns; none: the usual ones."""
    is_wide: bool = False
    """True for all columns."""


@dataclass(frozen=True)
class TrialsTable:
    """A table of trials."""

    lines: list[Line]
    notes: list[str]
    """Sentences about rows and columns that are left out."""


def trials_table(
    experiment: Experiment,
    trials: Sequence[Trial],
    choice: Choice,
    *,
    now: datetime | None,
    width: int | None = None,
    the_rest: str = "",
) -> TrialsTable:
    """Return a table with one line a trial; the best one is bold. Trials that never ran are only counted.

    Args:
        experiment: The experiment.
        trials: Its trials, by number.
        choice: The rows and columns.
        now: The time, for the trials that run; None if the run has broken off.
        width: The terminal's columns; None: no limit.
        the_rest: The advice that follows "and 5 more".

    Raises:
        UnknownColumn: The choice names a column that does not exist.
    """
    columns = trial_columns(experiment, trials, now)
    unstarted = sum(map(never_ran, trials))
    sorted_trials = chosen_trials(
        columns, [trial for trial in trials if not never_ran(trial)], choice
    )
    shown = sorted_trials[: choice.rows]
    best = best_of(trials, experiment.spec.objective)
    table = lay_out(
        [column.column(shown) for column in _chosen_columns(columns, shown, choice)],
        width,
        row_styles=["bold" if trial is best else "" for trial in shown],
    )
    notes = []
    if len(shown) < len(sorted_trials):
        notes.append(f"and {len(sorted_trials) - len(shown)} more{the_rest}")
    if unstarted:
        were = "trial was" if unstarted == 1 else "trials were"
        notes.append(f"{unstarted} more {were} not started: the experiment had ended")
    if table.dropped:
        notes.append(
            f"{width} columns are too few for {', '.join(table.dropped)}: use --columns, or a pipe"
        )
    return TrialsTable(table.lines, notes)


def chosen_trials(
    columns: Sequence[TrialColumn], trials: Sequence[Trial], choice: Choice
) -> list[Trial]:
    """Return the trials in the chosen order.

    Raises:
        UnknownColumn: There is no such column.
    """
    return list(trials) if choice.sort is None else sort_trials(columns, trials, choice.sort)


def outcome_lines(experiment: Experiment) -> list[Line]:
    """Return the end of the experiment and its best trial."""
    lines: list[Line] = []
    status = experiment.status
    if status is None:
        return lines
    for condition in status.conditions:
        if condition.is_true and condition.type in (
            ConditionType.COMPLETE,
            ConditionType.FAILED,
            ConditionType.SUSPENDED,
        ):
            style = "green" if condition.type == ConditionType.COMPLETE else "red"
            first, *others = lines_of(f" ({condition.reason}): {condition.message}")
            lines.append([Span(condition.type, f"bold {style}"), Span(first)])
            lines += [[Span(other)] for other in others]
    objective = experiment.spec.objective
    if status.best_trial is not None and objective is not None:
        best = status.best_trial
        name = one_line(objective.objective_metric_name)
        point = point_text(experiment.spec.parameters, best.parameters)
        text = f"Best trial {best.number}: {name}={number_text(best.objective)}"
        lines.append([Span(text, "bold"), Span(f" with {point}")])
    else:
        lines.append([Span("No best trial.")])
    return lines


def _chosen_columns(
    columns: Sequence[TrialColumn], shown: Sequence[Trial], choice: Choice
) -> list[TrialColumn]:
    """Return the columns that are named; else the usual ones, of which those about ends and notes only if any trial has one."""
    if choice.columns:
        return [find_column(columns, name) for name in choice.columns]
    if choice.is_wide:
        return list(columns)
    return [
        column
        for column in columns
        if not column.is_wide and (column.data_name != "reason" or any(map(column.cell, shown)))
    ]
