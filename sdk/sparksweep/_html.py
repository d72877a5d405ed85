"""Experiments and results as HTML, for notebooks. Pure; no value is markup, a formula or a control character."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from sparksweep._summary import best_text
from sparksweep._text import block, number_text, value_text
from sparksweep_core.api import Condition, Experiment, Trial, TrialState

MOST_ROWS = 20
"""Largest number of trials in a table."""
_CELL = "text-align:left;padding:2px 10px 2px 0"
_PLAIN = "tex2jax_ignore mathjax_ignore"
"""Classes of elements in which notebooks typeset no formulas."""


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
        rows += [(condition.type, _condition_text(condition)) for condition in status.conditions if condition.is_true]  # fmt: skip
        if status.best_trial is not None:
            rows.append(("best", best_text(experiment, with_point=True).removeprefix("best ")))
    title = f'<b class="{_PLAIN}">{_escaped(experiment.metadata.name)}</b>'
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
    """Return a table of trials as HTML, in the order given.

    Trials that never ran, because the experiment had ended, are only counted.
    """
    ran = [t for t in trials if t.status.attempt or t.state is not TrialState.STOPPED]
    metrics = sorted({name for trial in trials for name in trial.status.metrics})
    parameters = experiment.spec.parameters
    rows = [
        [
            str(trial.number),
            trial.state.value,
            *(
                value_text(parameter, trial.spec.parameters[parameter.name])
                if parameter.name in trial.spec.parameters
                else ""
                for parameter in parameters
            ),
            *(number_text(trial.status.metrics.get(name)) for name in metrics),
            trial.status.reason or "",
        ]
        for trial in ran[:MOST_ROWS]
    ]
    left = len(ran) - len(rows)
    more = f"<p>and {left} more: <code>.dataframe()</code> has them all</p>" if left > 0 else ""
    if unstarted := len(trials) - len(ran):
        more += f"<p>{unstarted} more not started: the experiment had ended</p>"
    head = ["trial", "state", *(parameter.name for parameter in parameters), *metrics, "reason"]
    return _table(head, rows) + more


def runs_html(head: Sequence[str], rows: Sequence[Sequence[str]], directory: str) -> str:
    """Return a table of runs as HTML."""
    if not rows:
        return f"<p>no runs in <code>{_escaped(directory)}</code></p>"
    return _table(head, rows)


def _condition_text(condition: Condition) -> str:
    return f"{condition.reason}: {condition.message}" if condition.message else condition.reason


def _escaped(text: str) -> str:
    return escape(block(text)).replace("\n", "<br>")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def cells(tag: str, values: Sequence[str]) -> str:
        inner = "".join(f'<{tag} style="{_CELL}">{_escaped(value)}</{tag}>' for value in values)
        return f"<tr>{inner}</tr>"

    top = cells("th", head) if head else ""
    return f'<table class="{_PLAIN}">{top}{"".join(cells("td", row) for row in rows)}</table>'
