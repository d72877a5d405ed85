"""Metrics that trials report while they run: a parser of ``metrics.jsonl`` that skips invalid lines. Pure."""

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
class MetricsReport:
    """Metrics of one step."""

    step: int
    time: float
    """Seconds since 1970."""
    metrics: Mapping[str, float]
    """Finite values, by valid names of metrics."""


class ReportParser:
    """Parses the reports of several trials from pieces that may be cut anywhere."""

    def __init__(self) -> None:
        self._partial: dict[int, bytes] = {}

    def feed(self, number: int, data: bytes) -> list[MetricsReport]:
        """Feed more of a trial's file, and return the reports that it completes."""
        *lines, partial = (self._partial.get(number, b"") + data).split(b"\n")
        # One byte more than the limit is enough to recognise a line as too long.
        self._partial[number] = partial[: MAX_LINE_BYTES + 1]
        return list(_reports(lines))

    def forget(self, number: int) -> None:
        """Drop a trial's unfinished line: its attempt has ended, or another one begins."""
        self._partial.pop(number, None)


def _reports(lines: list[bytes]) -> Iterator[MetricsReport]:
    for line in lines:
        if len(line) > MAX_LINE_BYTES:
            continue
        try:
            step, moment, metrics = parse_report_line(line)
            valid = isinstance(step, int) and abs(step) < MAX_STEP and math.isfinite(moment)
            values = {
                name: float(value)
                for name, value in metrics.items()
                if isinstance(value, int | float) and math.isfinite(value) and _NAME.fullmatch(name)
            }
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
            continue
        if valid and values and len(values) <= limits.METRICS:
            yield MetricsReport(step, float(moment), values)
