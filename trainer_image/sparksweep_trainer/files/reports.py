"""What trials report while they run: lines of ``metrics.jsonl``, cut anywhere, whatever a trial may write there. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sparksweep_core.api import limits
from sparksweep_core.contract.line_formats import parse_report_line

MAX_LINE_BYTES = 64 * 1024
"""Bytes of one report: 32 metrics and their names are below 10 kB."""
MAX_STEP = 2**53

_NAME = re.compile(r"[A-Za-z0-9_./|@:-]{1,128}")


@dataclass(frozen=True)
class Report:
    """Metrics of one step."""

    step: int
    time: float
    """Seconds since 1970."""
    metrics: Mapping[str, float]
    """Finite values, by names that a metric may have."""


class ReportLines:
    """Puts the pieces of trials' lines together."""

    def __init__(self) -> None:
        self._begun: dict[int, bytes] = {}

    def feed(self, number: int, data: bytes) -> list[Report]:
        """Take in more of what a trial reports; the reports that it completes."""
        *lines, begun = (self._begun.get(number, b"") + data).split(b"\n")
        # Of a line that is too long enough is kept to know it by.
        self._begun[number] = begun[: MAX_LINE_BYTES + 1]
        return list(_reports(lines))

    def forget(self, number: int) -> None:
        """The trial's attempt has ended, or another one begins."""
        self._begun.pop(number, None)


def _reports(lines: list[bytes]) -> Iterator[Report]:
    for line in lines:
        if len(line) > MAX_LINE_BYTES:
            continue
        try:
            step, moment, metrics = parse_report_line(line)
            usable = isinstance(step, int) and abs(step) < MAX_STEP and math.isfinite(moment)
            values = {
                name: float(value)
                for name, value in metrics.items()
                if isinstance(value, int | float) and math.isfinite(value) and _NAME.fullmatch(name)
            }
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
            continue
        if usable and values and len(values) <= limits.METRICS:
            yield Report(step, float(moment), values)
