"""Metrics of a trial from its function's return value or its command's output: finite values, by name. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sparksweep_core.api import limits
from sparksweep_core.api.reasons import TrialReason
from sparksweep_core.api.search_spec import Objective

DEFAULT_METRIC = "metric"
"""Name of a number that is returned where no objective names one."""

_NAME = re.compile(r"[A-Za-z0-9_./|@:-]{1,128}")


@dataclass(frozen=True)
class ObjectiveMetrics:
    """Metrics of a trial, and the fault if the objective's metric is missing or unusable."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    fault: TrialReason | None = None
    note: str = ""
    """Text about the fault, or about metrics that were left out."""


def from_returned(returned: Mapping[str, Any], objective: Objective | None) -> ObjectiveMetrics:
    """Extract the metrics from a function's return value.

    All numbers of a mapping are metrics; the note names those of the objective and the additional metrics that are
    missing or are not numbers. A single number is the objective's metric. Without an objective no value is a fault.

    Args:
        returned: the value, in a shape of `trial.return_value`.
        objective: the experiment's objective; None if it has none.
    """
    if "metrics" in returned and isinstance(returned["metrics"], dict):
        values = returned["metrics"]
    elif "number" in returned:
        name = DEFAULT_METRIC if objective is None else objective.objective_metric_name
        values = {name: returned["number"]}
    elif objective is None:
        ignored = _other(returned)
        note = "" if ignored is None else f"ignored the returned value: {ignored}"
        return ObjectiveMetrics(note=note)
    else:
        return _nothing_returned(returned, objective)
    if objective is None:
        return _select(values, values)
    name = objective.objective_metric_name
    if name not in values:
        return ObjectiveMetrics(
            fault=TrialReason.METRIC_MISSING,
            note=f"the function returned no {name!r}; it returned {', '.join(values) or 'an empty dict'}",
        )
    # A function that returns a single number has no additional metrics to miss.
    additional = [] if "number" in returned else objective.additional_metric_names
    fault = _fault(name, values[name])
    requested = [name, *additional]
    # A function may return anything in addition to what was asked for: values that are no metrics need no note.
    others = [key for key in values if key not in requested and _is_metric(key, values[key])]
    return fault or _select(values, [*requested, *others])


def from_printed(printed: Mapping[str, float], objective: Objective | None) -> ObjectiveMetrics:
    """Select the metrics from a command's output; none without an objective."""
    if objective is None:
        return ObjectiveMetrics()
    name = objective.objective_metric_name
    if name not in printed:
        return ObjectiveMetrics(
            fault=TrialReason.METRIC_MISSING,
            note=f"the command printed no line with {name}=<number> on standard output",
        )
    names = [name, *objective.additional_metric_names]
    return _fault(name, printed[name]) or _select(printed, names)


def _nothing_returned(returned: Mapping[str, Any], objective: Objective) -> ObjectiveMetrics:
    name = objective.objective_metric_name
    other = _other(returned)
    if other is None:
        return ObjectiveMetrics(
            fault=TrialReason.METRIC_MISSING,
            note=f"the function returned None: return the number, or {{{name!r}: number}}",
        )
    return ObjectiveMetrics(
        fault=TrialReason.METRIC_NOT_NUMERIC,
        note=f"the function returned {other}: return the number, or {{{name!r}: number}}",
    )


def _other(value: Mapping[str, Any]) -> str | None:
    """Return the text of a value that is neither a number nor metrics; None for Python's None."""
    return None if "none" in value else str(value.get("other", "something unknown"))


def _fault(name: str, value: object) -> ObjectiveMetrics | None:
    number = _number(value)
    if number is None:
        note = f"{name} is not a number but {_text(value)}"
        return ObjectiveMetrics(fault=TrialReason.METRIC_NOT_NUMERIC, note=note)
    if math.isnan(number):
        return ObjectiveMetrics(fault=TrialReason.METRIC_NAN, note=f"{name} is NaN")
    if math.isinf(number):
        return ObjectiveMetrics(
            fault=TrialReason.METRIC_INFINITE, note=f"{name} is {_text(number)}"
        )
    return None


def _is_metric(name: str, value: object) -> bool:
    number = _number(value)
    return number is not None and math.isfinite(number) and _NAME.fullmatch(name) is not None


def _select(values: Mapping[str, Any], names: Iterable[str]) -> ObjectiveMetrics:
    """Return the named values that are metrics, with a note that lists the others."""
    metrics: dict[str, float] = {}
    left_out = []
    for name in names:
        number = _number(values.get(name))
        if name not in values:
            left_out.append(f"{name} (missing)")
        elif number is None or not math.isfinite(number):
            left_out.append(f"{name} ({_text(values[name])})")
        elif not _NAME.fullmatch(name):
            left_out.append(f"{name!r} (no name for a metric)")
        elif len(metrics) < limits.METRICS:
            metrics[name] = number
    return ObjectiveMetrics(metrics, note=f"left out: {', '.join(left_out)}" if left_out else "")


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return _other(value) or "None"
    return str(value)
