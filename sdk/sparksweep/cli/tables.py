"""Trials and outcomes as text for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from sparksweep_core.api import (
    ConditionType,
    Experiment,
    Parameter,
    ParameterType,
    Trial,
    TrialState,
)
from sparksweep_core.api.quantities import format_bytes

STATE_STYLES: Mapping[TrialState, str] = {
    TrialState.PENDING: "dim",
    TrialState.RUNNING: "cyan",
    TrialState.SUCCEEDED: "green",
    TrialState.FAILED: "red",
    TrialState.STOPPED: "yellow",
}

MOST_ROWS = 50
"""Rows of the table at the end of a run; ``sparksweep trials`` prints them all."""


def trials_table(
    experiment: Experiment, trials: Sequence[Trial], *, most_rows: int | None = MOST_ROWS
) -> Table:
    """Return a table of the trials, sorted by number; the best one is bold."""
    status = experiment.status
    best = status.best_trial.number if status and status.best_trial else None
    metrics = _metric_names(experiment, trials)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Trial", justify="right")
    table.add_column("State")
    for parameter in experiment.spec.parameters:
        table.add_column(parameter.name, justify="right", overflow="fold")
    for metric in metrics:
        table.add_column(metric, justify="right")
    table.add_column("Time", justify="right")
    table.add_column("Memory", justify="right")
    shown = trials if most_rows is None else trials[:most_rows]
    reasons = [_reason(trial) for trial in shown]
    if any(reasons):
        table.add_column("Reason", overflow="fold")
    for trial, reason in zip(shown, reasons, strict=True):
        table.add_row(
            str(trial.number),
            Text(trial.state.value, STATE_STYLES[trial.state]),
            *(
                _value(parameter, trial.spec.parameters.get(parameter.name, ""))
                for parameter in experiment.spec.parameters
            ),
            *(_number(trial.status.metrics.get(metric)) for metric in metrics),
            ""
            if trial.status.duration_seconds is None
            else f"{trial.status.duration_seconds:.1f}s",
            ""
            if trial.status.peak_memory_bytes is None
            else format_bytes(trial.status.peak_memory_bytes),
            *([reason] if any(reasons) else []),
            style="bold" if trial.number == best else None,
        )
    if len(shown) < len(trials):
        table.caption = f"and {len(trials) - len(shown)} more: sparksweep trials DIR"
    return table


def outcome_text(experiment: Experiment) -> Text:
    """Return the end of the experiment and its best trial, as text."""
    text = Text()
    status = experiment.status
    if status is None:
        return text
    for condition in status.conditions:
        if condition.is_true and condition.type in (
            ConditionType.COMPLETE,
            ConditionType.FAILED,
            ConditionType.SUSPENDED,
        ):
            style = "green" if condition.type is ConditionType.COMPLETE else "red"
            text.append(f"{condition.type.value}", f"bold {style}")
            text.append(f" ({condition.reason}): {condition.message}\n")
    if status.best_trial is not None and experiment.spec.objective is not None:
        best = status.best_trial
        text.append(
            f"Best trial {best.number}: {experiment.spec.objective.objective_metric_name}="
            f"{_number(best.objective)}",
            "bold",
        )
        text.append(
            " with " + ", ".join(f"{name}={value}" for name, value in best.parameters.items())
        )
    else:
        text.append("No best trial.")
    return text


def headline(message: str | None) -> str:
    """Return the most informative line of a trial's message: the last one of a traceback, else the first."""
    lines = (message or "").strip().splitlines() or [""]
    return lines[-1] if lines[0].startswith(("Traceback ", "...")) else lines[0]


def _metric_names(experiment: Experiment, trials: Sequence[Trial]) -> list[str]:
    objective = experiment.spec.objective
    if objective is not None:
        return [objective.objective_metric_name, *objective.additional_metric_names]
    return sorted({name for trial in trials for name in trial.status.metrics})


def _value(parameter: Parameter, text: str) -> str:
    """Return a parameter's value; of a long double the first six digits."""
    shorten = parameter.parameter_type is ParameterType.DOUBLE and len(text) > 10
    return f"{float(text):.6g}" if shorten else text


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _reason(trial: Trial) -> Text:
    status = trial.status
    if status.reason is None or trial.state is TrialState.SUCCEEDED:
        return Text("" if status.attempt <= 1 else f"attempt {status.attempt}", "dim")
    # A trial is stopped for the reason that ended the experiment, which is below the table.
    detail = "" if trial.state is TrialState.STOPPED else headline(status.message)
    return Text(f"{status.reason}: {detail}"[:120] if detail else status.reason)
