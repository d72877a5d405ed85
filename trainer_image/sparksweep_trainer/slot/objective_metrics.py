"""From what a trial returned or printed to its metrics: those asked for, finite, by name. Pure."""

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
"""Name of a number returned where no objective names one."""

_NAME = re.compile(r"[A-Za-z0-9_./|@:-]{1,128}")


@dataclass(frozen=True)
class Measured:
    """A trial's metrics, or what is wrong with its objective."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    fault: TrialReason | None = None
    note: str = ""
    """What is wrong, or what was left out."""


def from_returned(returned: Mapping[str, Any], objective: Objective | None) -> Measured:
    """Metrics of a function's return value, in the shape that the module `returned` writes.

    A mapping's numbers are all kept, by their names; of the objective and the additional metrics it is noted when they
    are none. A lone number is the objective's metric. Without an objective nothing is a fault.
    """
    if "metrics" in returned and isinstance(returned["metrics"], dict):
        values = returned["metrics"]
    elif "number" in returned:
        name = DEFAULT_METRIC if objective is None else objective.objective_metric_name
        values = {name: returned["number"]}
    elif objective is None:
        ignored = _other(returned)
        return Measured(note="" if ignored is None else f"ignored the returned value: {ignored}")
    else:
        return _nothing_returned(returned, objective)
    if objective is None:
        return _kept(values, values)
    name = objective.objective_metric_name
    if name not in values:
        return Measured(
            fault=TrialReason.METRIC_MISSING,
            note=f"the function returned no {name!r}; it returned {', '.join(values) or 'an empty dict'}",
        )
    # A lone number has nothing beside it that could be missing.
    additional = [] if "number" in returned else objective.additional_metric_names
    fault = _fault(name, values[name])
    named = [name, *additional]
    # Beside what was asked for, a function may return anything.
    others = [key for key in values if key not in named and _is_kept(key, values[key])]
    return fault or _kept(values, [*named, *others])


def from_printed(printed: Mapping[str, float], objective: Objective | None) -> Measured:
    """Metrics of a command's output; without an objective there are none."""
    if objective is None:
        return Measured()
    name = objective.objective_metric_name
    if name not in printed:
        return Measured(
            fault=TrialReason.METRIC_MISSING,
            note=f"the command printed no line with {name}=<number> on standard output",
        )
    return _fault(name, printed[name]) or _kept(printed, [name, *objective.additional_metric_names])


def _nothing_returned(returned: Mapping[str, Any], objective: Objective) -> Measured:
    name = objective.objective_metric_name
    other = _other(returned)
    if other is None:
        return Measured(
            fault=TrialReason.METRIC_MISSING,
            note=f"the function returned None: return the number, or {{{name!r}: number}}",
        )
    return Measured(
        fault=TrialReason.METRIC_NOT_NUMERIC,
        note=f"the function returned {other}: return the number, or {{{name!r}: number}}",
    )


def _other(value: Mapping[str, Any]) -> str | None:
    """The text of what was neither a number nor metrics; None for nothing."""
    return None if "none" in value else str(value.get("other", "something unknown"))


def _fault(name: str, value: object) -> Measured | None:
    number = _number(value)
    if number is None:
        note = f"{name} is no number but {_shown(value)}"
        return Measured(fault=TrialReason.METRIC_NOT_NUMERIC, note=note)
    if math.isnan(number):
        return Measured(fault=TrialReason.METRIC_NAN, note=f"{name} is NaN")
    if math.isinf(number):
        return Measured(fault=TrialReason.METRIC_INFINITE, note=f"{name} is {_shown(number)}")
    return None


def _is_kept(name: str, value: object) -> bool:
    number = _number(value)
    return number is not None and math.isfinite(number) and _NAME.fullmatch(name) is not None


def _kept(values: Mapping[str, Any], names: Iterable[str]) -> Measured:
    """The named metrics that can be kept, and a note of those that can't."""
    metrics: dict[str, float] = {}
    left_out = []
    for name in names:
        number = _number(values.get(name))
        if name not in values:
            left_out.append(f"{name} (missing)")
        elif number is None or not math.isfinite(number):
            left_out.append(f"{name} ({_shown(values[name])})")
        elif not _NAME.fullmatch(name):
            left_out.append(f"{name!r} (no name for a metric)")
        elif len(metrics) < limits.METRICS:
            metrics[name] = number
    return Measured(metrics, note=f"left out: {', '.join(left_out)}" if left_out else "")


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return _other(value) or "None"
    return str(value)
