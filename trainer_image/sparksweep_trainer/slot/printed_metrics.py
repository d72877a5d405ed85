"""Metrics that a command prints, in Katib's TEXT format: ``name=value`` anywhere in a line. Pure, constant memory.

A metric that is printed more than once is a series, of which one value counts; Katib's metricStrategies say which.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from sparksweep_core.api.search_spec import MetricStrategyValue, Objective, ObjectiveType

MAX_LINE_BYTES = 64 * 1024

# Katib's default filter is ([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?), which also takes no number at all for
# one. Here a number has a digit, and NaN and infinities are values, so that they differ from a missing metric.
_VALUE = rb"[+-]?(?:(?:\d+(?:\.\d+)?|\.\d+)(?:[Ee][+-]?\d+)?|(?i:nan|inf(?:inity)?)\b)"


def strategies(objective: Objective) -> dict[str, MetricStrategyValue]:
    """Map each metric of the objective to the value of its series that counts; by default the best one."""
    default = (
        MetricStrategyValue.MAX
        if objective.type is ObjectiveType.MAXIMIZE
        else MetricStrategyValue.MIN
    )
    names = [objective.objective_metric_name, *objective.additional_metric_names]
    chosen = {strategy.name: strategy.value for strategy in objective.metric_strategies}
    return {name: chosen.get(name, default) for name in names}


class MetricParser:
    """Parses metrics from a stream of bytes, whose pieces may be cut anywhere.

    min and max ignore values that are not finite unless there are no others: a loss that becomes NaN after ten good
    epochs leaves those ten. latest is the last value, finite or not.
    """

    def __init__(self, wanted: Mapping[str, MetricStrategyValue]) -> None:
        self._strategies = dict(wanted)
        self._names = [name.encode() for name in wanted]
        longest_first = sorted(self._names, key=len, reverse=True)
        names = b"|".join(re.escape(name) for name in longest_first)
        # Blanks, but no line ends: Katib, too, parses line by line.
        self._pattern = re.compile(
            rb"(?<![\w|-])(" + names + rb")[^\S\r\n]*=[^\S\r\n]*(" + _VALUE + rb")"
        )
        self._pending = b""
        self._skipping = False
        self._values: dict[str, float] = {}

    def feed(self, data: bytes) -> None:
        """Parse more output. Only the first 64 KiB of a line are parsed."""
        if not self._names:
            return
        if self._skipping:
            end = _line_end(data)
            self._skipping = end == 0
            data = data[end:] if end else b""
        data = self._pending + data
        end = _last_line_end(data)
        self._scan(data[:end])
        self._pending = data[end:]
        if len(self._pending) > MAX_LINE_BYTES:
            self._scan(self._pending[:MAX_LINE_BYTES])
            self._pending = b""
            self._skipping = True

    def finish(self) -> dict[str, float]:
        """Return the value that counts of each metric, at the stream's end; may be NaN or infinite."""
        self._scan(self._pending)
        self._pending = b""
        return dict(self._values)

    def _scan(self, block: bytes) -> None:
        # Most output has no metric: to find that out must be faster than the trial can print.
        if not any(name in block for name in self._names):
            return
        for match in self._pattern.finditer(block):
            self._add(match[1].decode(), float(match[2]))

    def _add(self, name: str, value: float) -> None:
        before = self._values.get(name)
        strategy = self._strategies[name]
        if before is None or strategy is MetricStrategyValue.LATEST:
            self._values[name] = value
        elif math.isfinite(value):
            best = min if strategy is MetricStrategyValue.MIN else max
            self._values[name] = best(before, value) if math.isfinite(before) else value


def _last_line_end(data: bytes) -> int:
    """Return the index after the last line end; a carriage return is one too, because progress bars print it."""
    return max(data.rfind(b"\n"), data.rfind(b"\r")) + 1


def _line_end(data: bytes) -> int:
    """Return the index after the first line end; 0 if there is none."""
    ends = [end for end in (data.find(b"\n"), data.find(b"\r")) if end >= 0]
    return min(ends) + 1 if ends else 0
