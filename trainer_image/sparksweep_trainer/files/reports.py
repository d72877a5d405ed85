"""Metrics that trials report while they run: a parser of ``metrics.jsonl`` that skips invalid lines. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sparksweep_core.api import limits
from sparksweep_core.api.status import ReportedMetrics
from sparksweep_core.contract.line_formats import MAX_REPORT_BYTES, parse_report_line

TAIL_BYTES = 2 * MAX_REPORT_BYTES
"""Bytes at the end of a ``metrics.jsonl`` that contain a whole report, if there is one."""


@dataclass(frozen=True)
class MetricsReport:
    """Metrics of one step."""

    step: int
    time: float
    """Seconds since 1970."""
    metrics: Mapping[str, float]
    """Values by name; they may be NaN or infinite."""


class ReportParser:
    """Parses the reports of several trials from pieces that may be cut anywhere."""

    def __init__(self) -> None:
        self._partial: dict[int, bytes] = {}

    def feed(self, number: int, data: bytes) -> list[MetricsReport]:
        """Feed more of a trial's file, and return the reports that it completes."""
        *lines, partial = (self._partial.get(number, b"") + data).split(b"\n")
        # One byte more than the limit is enough to recognise a line as too long.
        self._partial[number] = partial[: MAX_REPORT_BYTES + 1]
        return list(_reports(lines))

    def forget(self, number: int) -> None:
        """Drop a trial's unfinished line: its attempt has ended, or another one begins."""
        self._partial.pop(number, None)


def newest_for_status(reports: Iterable[MetricsReport]) -> ReportedMetrics | None:
    """Return the last report with a metric that a status can hold: a finite one.

    Kubernetes' JSON has neither NaN nor infinities, and a status holds at most `limits.METRICS` metrics.
    """
    for report in reversed(list(reports)):
        metrics = {name: value for name, value in report.metrics.items() if math.isfinite(value)}
        if metrics:
            first = list(metrics.items())[: limits.METRICS]
            return ReportedMetrics(step=report.step, metrics=dict(first))
    return None


def newest_in(tail: bytes) -> ReportedMetrics | None:
    """Return the newest report in the last `TAIL_BYTES` of a ``metrics.jsonl``, as a status holds it."""
    return newest_for_status(ReportParser().feed(0, tail))


def _reports(lines: list[bytes]) -> Iterator[MetricsReport]:
    for line in lines:
        if len(line) >= MAX_REPORT_BYTES:
            continue
        try:
            step, moment, metrics = parse_report_line(line)
        except ValueError:
            continue
        if metrics:
            yield MetricsReport(step, moment, metrics)
