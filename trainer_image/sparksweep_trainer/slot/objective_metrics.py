"""Metrics of a trial from its function's return value or its command's output: finite values, by name. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sparksweep_core.api import limits
from sparksweep_core.api.reasons import TrialReason
from sparksweep_core.api.search_spec import Objective
from sparksweep_core.metric_names import is_metric_name
from sparksweep_trainer.slot.output_lines import MAX_LINE_BYTES
from sparksweep_trainer.slot.printed_metrics import Printed

DEFAULT_METRIC = "metric"
"""Name of a number that is returned where no objective names one."""
_CUT = f"a line names a metric after its first {MAX_LINE_BYTES // 1024} KiB, which alone are read"
MAX_SHOWN_NAME = 40
"""Characters of a name in a note."""
MAX_TEXT = 200
MAX_LEFT_OUT = 10
"""Metrics that are left out and listed in the note; of others it says how many there are."""


@dataclass(frozen=True)
class ObjectiveMetrics:
    """Metrics of a trial, and the fault if the objective's metric is missing or unusable."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    fault: TrialReason | None = None
    note: str = ""
    """Text about the fault, or about metrics that were left out."""


def from_returned(returned: Mapping[str, Any], objective: Objective | None) -> ObjectiveMetrics:
    """Extract the metrics from a function's return value.

    All numbers of a mapping are metrics; the note names what is left out, and the additional metrics that are missing. A
    single number is the objective's metric. Without an objective no value is a fault.

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
    omitted = _Omitted.parse(returned)
    if objective is None:
        return _select(values, values, omitted)
    name = objective.objective_metric_name
    if name not in values:
        return ObjectiveMetrics(
            fault=TrialReason.METRIC_MISSING,
            note=f"the function returned no {name!r}; it returned {_listed(list(values)) or 'an empty dict'}",
        )
    # A function that returns a single number has no additional metrics to miss.
    additional = [] if "number" in returned else objective.additional_metric_names
    fault = _fault(name, values[name])
    names = dict.fromkeys([name, *additional, *values])
    return fault or _select(values, names, omitted)


def from_printed(printed: Printed, objective: Objective | None) -> ObjectiveMetrics:
    """Select the metrics from a command's output; none without an objective."""
    if objective is None:
        return ObjectiveMetrics()
    name = objective.objective_metric_name
    if name not in printed.values:
        return _not_printed(printed, name)
    others = {key: {"other": f"{text!r}"} for key, text in printed.not_numbers.items()}
    names = [name, *objective.additional_metric_names]
    fault = _fault(name, printed.values[name])
    selected = fault or _select({**others, **printed.values}, names)
    # Of a metric with a value, too, a text such as 1,234.5 may be the value that was meant.
    mixed = [key for key in printed.not_numbers if key in printed.values]
    notes = [
        f"{key} was also printed as {printed.not_numbers[key]!r}, which is not a number"
        for key in mixed
    ]
    if printed.is_cut:
        notes.append(_CUT)
    note = "; ".join(filter(None, [selected.note, *notes]))
    return ObjectiveMetrics(selected.metrics, selected.fault, note)


def _not_printed(printed: Printed, name: str) -> ObjectiveMetrics:
    if name in printed.not_numbers:
        text = printed.not_numbers[name]
        value = f"not a number but {text!r}" if text else "followed by nothing"
        return ObjectiveMetrics(
            fault=TrialReason.METRIC_NOT_NUMERIC,
            note=f"{name} is {value}: print digits alone, such as {name}=1234.5, and a blank before a unit",
        )
    hints = []
    if name in printed.with_colon:
        hints.append(
            f"it printed {printed.with_colon[name]!r}, which spec.trialTemplate.metricsFormat: EqualsOrColon reads"
        )
    if printed.others:
        hints.append(f"it printed {', '.join(printed.others)}")
    if printed.is_cut:
        hints.append(_CUT)
    shown = name if name.isprintable() and " " not in name else f'"{name}"'
    missing = f"the command printed no {shown}=<number> on standard output or standard error"
    return ObjectiveMetrics(fault=TrialReason.METRIC_MISSING, note="; ".join([missing, *hints]))


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


@dataclass(frozen=True)
class _Omitted:
    """Values that the trial's process did not send."""

    texts: Sequence[str] = ()
    count: int = 0

    @classmethod
    def parse(cls, returned: Mapping[str, Any]) -> _Omitted:
        """Parse the values from the shape of `trial.return_value`; any code of the trial may have written it."""
        omitted = returned.get("omitted")
        if not isinstance(omitted, dict):
            return cls()
        texts, count = omitted.get("texts"), omitted.get("count")
        if not isinstance(texts, list) or type(count) is not int:
            return cls()
        return cls([str(text)[:MAX_TEXT] for text in texts[:MAX_LEFT_OUT]], max(count, len(texts)))


def _select(
    values: Mapping[str, Any], names: Iterable[str], omitted: _Omitted = _Omitted()
) -> ObjectiveMetrics:
    """Return the named values that are metrics, with a note that lists the others."""
    metrics: dict[str, float] = {}
    left_out = []
    for name in names:
        number = _number(values.get(name))
        if name not in values:
            left_out.append(f"{name} (missing)")
        elif not is_metric_name(name):
            left_out.append(f"{_short(name)!r} (no name for a metric)")
        elif number is None:
            left_out.append(f"{name} (not a number: {_text(values[name])})")
        elif not math.isfinite(number):
            left_out.append(f"{name} ({_text(values[name])})")
        elif len(metrics) == limits.METRICS:
            left_out.append(f"{name} (more than {limits.METRICS})")
        else:
            metrics[name] = number
    shown = [*left_out, *omitted.texts][:MAX_LEFT_OUT]
    more = len(left_out) + omitted.count - len(shown)
    if more > 0:
        shown.append(f"and {more} more")
    return ObjectiveMetrics(metrics, note=f"left out: {', '.join(shown)}" if shown else "")


def _short(name: str) -> str:
    return name if len(name) <= MAX_SHOWN_NAME else f"{name[:MAX_SHOWN_NAME]}…"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MAX_LEFT_OUT
    shown = ", ".join(map(_short, names[:MAX_LEFT_OUT]))
    return f"{shown} and {more} more" if more > 0 else shown


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
