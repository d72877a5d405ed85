"""The columns of a table of trials: their names, their cells for people, their order in a sort. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches

from sparksweep._text import duration_text, headline, number_text, one_line, value_text
from sparksweep.cli.layout import Column
from sparksweep_core.api import Experiment, Objective, Parameter, ParameterType, Trial, TrialState
from sparksweep_core.api.columns import metric_names
from sparksweep_core.api.parameter_values import typed_value
from sparksweep_core.api.quantities import format_bytes
from sparksweep_core.api.search_spec import ObjectiveType

SortKey = float | str | datetime | None

STATE_STYLES = {
    TrialState.PENDING: "dim",
    TrialState.RUNNING: "cyan",
    TrialState.SUCCEEDED: "green",
    TrialState.FAILED: "red",
    TrialState.STOPPED: "yellow",
}


class UnknownColumn(ValueError):
    """There is no column of that name; the message names the nearest."""


@dataclass(frozen=True)
class TrialColumn:
    """A column of a table of trials."""

    data_name: str
    """Name in results.parquet and CSV, which always selects the column: ``metrics.loss``."""
    title: str
    """Title in a table."""
    cell: Callable[[Trial], str]
    key: Callable[[Trial], SortKey]
    """A trial's place in a sort; None: after all others."""
    is_text: bool = False
    is_right: bool = True
    is_descending: bool = False
    """True if the first trials of a sort are those with the greatest values."""
    is_wide: bool = False
    """True for a column of ``-o wide`` alone."""
    is_objective: bool = False

    @property
    def name(self) -> str:
        """The name of the parameter or the metric; of any other column the title. It selects the column, too."""
        return self.data_name.partition(".")[2] or self.title

    def column(self, trials: Sequence[Trial]) -> Column:
        """Return the column with a cell for each trial."""
        is_state = self.data_name == "state"
        return Column(
            title=one_line(self.title),
            cells=[self.cell(trial) for trial in trials],
            is_text=self.is_text,
            is_right=self.is_right,
            styles=[STATE_STYLES[trial.state] for trial in trials] if is_state else (),
        )


def trial_columns(
    experiment: Experiment, trials: Sequence[Trial], now: datetime | None
) -> list[TrialColumn]:
    """Return every column in the order of a table: the objective first, since narrow tables lose columns on the right.

    Args:
        experiment: The experiment.
        trials: Its trials.
        now: The time, for trials that run; None: the run has broken off, so that nobody knows how long they ran.
    """
    objective = experiment.spec.objective
    named = [] if objective is None else [objective.objective_metric_name, *objective.additional_metric_names]  # fmt: skip
    metrics = [
        _metric_column(name, objective, is_wide=bool(named) and name not in named)
        for name in metric_names(experiment.spec, trials)
    ]
    first = metrics[: 1 if objective is not None else 0]
    columns = [
        TrialColumn("number", "Trial", lambda t: str(t.number), lambda t: t.number),
        TrialColumn("state", "State", lambda t: t.state.value, lambda t: t.state.value, is_right=False),
        *first,
        *(_parameter_column(parameter) for parameter in experiment.spec.parameters),
        *metrics[len(first) :],
        TrialColumn("duration_seconds", "Time", lambda t: duration_text(_elapsed(t, now)), lambda t: _elapsed(t, now)),
        TrialColumn("peak_memory_bytes", "Memory", _memory, lambda t: t.status.peak_memory_bytes),
        TrialColumn("attempt", "Attempt", lambda t: str(t.status.attempt), lambda t: t.status.attempt, is_wide=True),
        TrialColumn("retries", "Retries", lambda t: str(t.status.retries), lambda t: t.status.retries, is_wide=True),
        TrialColumn("node", "Node", lambda t: one_line(t.status.node or ""), lambda t: t.status.node, is_text=True, is_right=False, is_wide=True),
        TrialColumn("start_time", "Start", lambda t: _moment(t.status.start_time), lambda t: t.status.start_time, is_right=False, is_wide=True),
        TrialColumn("completion_time", "End", lambda t: _moment(t.status.completion_time), lambda t: t.status.completion_time, is_right=False, is_wide=True),
        TrialColumn("reason", "Reason", reason_text, lambda t: reason_text(t) or None, is_text=True, is_right=False),
        TrialColumn("message", "Message", lambda t: one_line((t.status.message or "").strip()), lambda t: t.status.message, is_text=True, is_right=False, is_wide=True),
    ]  # fmt: skip
    titles = Counter(column.title.casefold() for column in columns)
    # A parameter or metric that is named as another column is has its whole name as the title.
    return [
        replace(column, title=column.data_name)
        if "." in column.data_name and titles[column.title.casefold()] > 1
        else column
        for column in columns
    ]


def find_column(columns: Sequence[TrialColumn], name: str) -> TrialColumn:
    """Return the column of a name: as in results.parquet, as in the table, or ``objective``.

    Raises:
        UnknownColumn: There is none.
    """
    names: dict[str, TrialColumn] = {}
    # A metric goes before a parameter of the same name, and both before a column of every table.
    order = sorted(columns, key=lambda c: (not _is_metric(c), "." not in c.data_name))
    for column in columns:
        names.setdefault(column.data_name, column)
    for column in order:
        names.setdefault(column.name, column)
    for column in columns:
        if column.is_objective:
            names.setdefault("objective", column)
    folded = {text.casefold(): column for text, column in reversed(names.items())}
    found = names.get(name) or folded.get(name.casefold())
    if found is None:
        near = get_close_matches(name.casefold(), folded, n=1)
        shown = [column.title for column in columns]
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(shown)}"
        raise UnknownColumn(f"there is no column {name}: {hint}")
    return found


def sort_trials(columns: Sequence[TrialColumn], trials: Sequence[Trial], name: str) -> list[Trial]:
    """Return the trials in the order of a column, the objective's best first; those without a value last.

    Args:
        columns: The columns of the table.
        trials: The trials, by number.
        name: The column's name; a minus before it reverses the order.

    Raises:
        UnknownColumn: There is no such column.
    """
    try:
        column, is_reversed = find_column(columns, name), False
    except UnknownColumn:
        if not name.startswith("-"):
            raise
        column, is_reversed = find_column(columns, name[1:]), True
    keyed = [(column.key(trial), trial) for trial in trials]
    present = [item for item in keyed if item[0] is not None]
    # Stable in both directions: trials with equal values stay in the order of their numbers.
    present.sort(key=lambda item: item[0], reverse=column.is_descending is not is_reversed)  # type: ignore[arg-type,return-value]
    return [trial for _, trial in present] + [trial for key, trial in keyed if key is None]


def reason_text(trial: Trial) -> str:
    """Return the reason for a trial's end and the line of its message that says most; nothing for a plain success."""
    status = trial.status
    if status.reason is None or trial.state is TrialState.SUCCEEDED:
        notes = [f"attempt {status.attempt}"] if status.attempt > 1 else []
        if trial.state is TrialState.SUCCEEDED and status.message:
            notes.append(headline(status.message))
        return ": ".join(notes)
    # A trial is stopped for the reason that ended the experiment, which is below the table.
    detail = "" if trial.state is TrialState.STOPPED else headline(status.message)
    return f"{status.reason}: {detail}" if detail else status.reason


def never_ran(trial: Trial) -> bool:
    """Return True if the experiment ended before a trial's first attempt."""
    return trial.state is TrialState.STOPPED and not trial.status.attempt


def _parameter_column(parameter: Parameter) -> TrialColumn:
    is_text = parameter.parameter_type is ParameterType.CATEGORICAL

    def cell(trial: Trial) -> str:
        text = trial.spec.parameters.get(parameter.name)
        return "" if text is None else value_text(parameter, text)

    def key(trial: Trial) -> SortKey:
        text = trial.spec.parameters.get(parameter.name)
        return None if text is None else typed_value(parameter.parameter_type, text)

    return TrialColumn(
        f"parameters.{parameter.name}", parameter.name, cell, key, is_text=is_text, is_right=not is_text
    )  # fmt: skip


def _metric_column(name: str, objective: Objective | None, *, is_wide: bool) -> TrialColumn:
    def value(trial: Trial) -> float | None:
        return trial.status.metrics.get(name, _reported(trial).get(name))

    def key(trial: Trial) -> float | None:
        found = value(trial)
        return None if found is None or math.isnan(found) else found

    is_objective = objective is not None and name == objective.objective_metric_name
    maximizes = objective is not None and objective.type is ObjectiveType.MAXIMIZE
    return TrialColumn(
        f"metrics.{name}",
        name,
        lambda trial: number_text(value(trial)),
        key,
        is_descending=is_objective and maximizes,
        is_wide=is_wide,
        is_objective=is_objective,
    )


def _is_metric(column: TrialColumn) -> bool:
    return column.data_name.startswith("metrics.")


def _reported(trial: Trial) -> dict[str, float]:
    """Return the newest report of a running trial, which has no metrics yet."""
    report = trial.status.reported
    return report.metrics if report is not None and trial.state is TrialState.RUNNING else {}


def _elapsed(trial: Trial, now: datetime | None) -> float | None:
    """Return the seconds that a trial took, or has been running."""
    start = trial.status.start_time
    if trial.state is TrialState.RUNNING and start is not None and now is not None:
        return max(0.0, (now - start).total_seconds())
    return trial.status.duration_seconds


def _memory(trial: Trial) -> str:
    size = trial.status.peak_memory_bytes
    return "" if size is None else format_bytes(size)


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
