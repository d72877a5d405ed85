"""Experiments and results as HTML, for notebooks. Pure; all values are escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from sparksweep_core.api import Condition, Experiment, Trial

MOST_ROWS = 20
"""Largest number of trials in a table."""
_CELL = "text-align:left;padding:2px 10px 2px 0"


def experiment_html(experiment: Experiment, where: str = "") -> str:
    """Return an Experiment's search and progress as HTML."""
    spec, status = experiment.spec, experiment.status
    rows = [
        ("algorithm", spec.algorithm.algorithm_name.value),
        ("parameters", ", ".join(parameter.name for parameter in spec.parameters)),
    ]
    if spec.objective is not None:
        rows.append(("objective", f"{spec.objective.type} {spec.objective.objective_metric_name}"))
    if where:
        rows.append(("where", where))
    if status is not None:
        rows.append(("trials", status.progress or "none yet"))
        rows += [(condition.type.value, _condition_text(condition)) for condition in status.conditions if condition.is_true]  # fmt: skip
        if status.best_trial is not None:
            point = ", ".join(f"{k}={v}" for k, v in status.best_trial.parameters.items())
            best = f"trial {status.best_trial.number}: {status.best_trial.objective:.6g} ({point})"
            rows.append(("best", best))
    title = f"<b>{escape(experiment.metadata.name)}</b>"
    return title + _table([], [(f"{name}:", value) for name, value in rows])


def result_html(experiment: Experiment, trials: Sequence[Trial]) -> str:
    """Return a finished Experiment and its trials as HTML, the best ones first if there is an objective."""
    objective = experiment.spec.objective
    order = list(trials)
    if objective is not None:
        sign = -1 if objective.type == "maximize" else 1
        worst = float("inf")
        values = {trial.number: trial.objective_value(objective) for trial in trials}
        order.sort(key=lambda t: worst if (v := values[t.number]) is None else sign * v)
    return experiment_html(experiment) + trials_html(experiment, order)


def trials_html(experiment: Experiment, trials: Sequence[Trial]) -> str:
    """Return a table of trials as HTML, in the order given."""
    metrics = sorted({name for trial in trials for name in trial.status.metrics})
    names = [parameter.name for parameter in experiment.spec.parameters]
    rows = [
        [
            str(trial.number),
            trial.state.value,
            *(trial.spec.parameters.get(name, "") for name in names),
            *(_number(trial.status.metrics.get(name)) for name in metrics),
            trial.status.reason or "",
        ]
        for trial in trials[:MOST_ROWS]
    ]
    left = len(trials) - len(rows)
    more = f"<p>and {left} more: <code>.dataframe()</code> has them all</p>" if left > 0 else ""
    return _table(["trial", "state", *names, *metrics, "reason"], rows) + more


def _condition_text(condition: Condition) -> str:
    return f"{condition.reason}: {condition.message}" if condition.message else condition.reason


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def cells(tag: str, values: Sequence[str]) -> str:
        inner = "".join(f'<{tag} style="{_CELL}">{escape(value)}</{tag}>' for value in values)
        return f"<tr>{inner}</tr>"

    top = cells("th", head) if head else ""
    return f"<table>{top}{''.join(cells('td', row) for row in rows)}</table>"
