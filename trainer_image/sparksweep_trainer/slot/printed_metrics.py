"""Metrics from what a command prints: Katib's TEXT format, ``name=value`` anywhere in a line. Pure, constant memory.

A metric printed more than once is a series, of which one value counts; Katib's metricStrategies say which.
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
    """Which value counts, for each metric of the objective: by default the best for its type, for every metric."""
    default = (
        MetricStrategyValue.MAX
        if objective.type is ObjectiveType.MAXIMIZE
        else MetricStrategyValue.MIN
    )
    names = [objective.objective_metric_name, *objective.additional_metric_names]
    chosen = {strategy.name: strategy.value for strategy in objective.metric_strategies}
    return {name: chosen.get(name, default) for name in names}


class MetricParser:
    """Finds metrics in a stream of bytes, cut anywhere.

    min and max look at the finite values as long as there is one: a loss that became NaN after ten good epochs leaves
    those ten. latest is the last value, whatever it is.
    """

    def __init__(self, wanted: Mapping[str, MetricStrategyValue]) -> None:
        self._strategies = dict(wanted)
        self._names = [name.encode() for name in wanted]
        longest_first = sorted(self._names, key=len, reverse=True)
        names = b"|".join(re.escape(name) for name in longest_first)
        # Blanks, but no line's end: a line at a time, as Katib.
        self._pattern = re.compile(
            rb"(?<![\w|-])(" + names + rb")[^\S\r\n]*=[^\S\r\n]*(" + _VALUE + rb")"
        )
        self._pending = b""
        self._skipping = False
        self._values: dict[str, float] = {}

    def feed(self, data: bytes) -> None:
        """Take in more output. Of a line longer than 64 KiB only the beginning is looked at."""
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
        """The value that counts of each metric seen, at the stream's end; may be NaN or infinite."""
        self._scan(self._pending)
        self._pending = b""
        return dict(self._values)

    def _scan(self, block: bytes) -> None:
        # Most output has no metric: finding that out must be faster than the trial can print.
        if not any(name in block for name in self._names):
            return
        for match in self._pattern.finditer(block):
            self._take(match[1].decode(), float(match[2]))

    def _take(self, name: str, value: float) -> None:
        before = self._values.get(name)
        strategy = self._strategies[name]
        if before is None or strategy is MetricStrategyValue.LATEST:
            self._values[name] = value
        elif math.isfinite(value):
            best = min if strategy is MetricStrategyValue.MIN else max
            self._values[name] = best(before, value) if math.isfinite(before) else value


def _last_line_end(data: bytes) -> int:
    """Index after the last line's end; a carriage return ends one too, as progress bars have it."""
    return max(data.rfind(b"\n"), data.rfind(b"\r")) + 1


def _line_end(data: bytes) -> int:
    """Index after the first line's end; 0 without one."""
    ends = [end for end in (data.find(b"\n"), data.find(b"\r")) if end >= 0]
    return min(ends) + 1 if ends else 0
