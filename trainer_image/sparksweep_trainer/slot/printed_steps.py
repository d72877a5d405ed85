"""Reports on behalf of a command: each value of a metric that it prints is a step, in the file that functions report to."""

from __future__ import annotations

import logging
import os
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

from sparksweep_core.contract.line_formats import report_line

log = logging.getLogger(__name__)

MAX_REPORTS = 100_000
"""Reports of an attempt, about 8 MB: a command may print faster than anybody can look at."""


class PrintedSteps:
    """Appends printed metrics to ``metrics.jsonl``, unless the command itself reports there. Never raises."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Report to a file, which is made with the first report."""
        self._path = path
        self._clock = clock
        self._steps: dict[str, int] = defaultdict(int)
        self._written = 0
        self._reports_left = MAX_REPORTS

    def add(self, metrics: Mapping[str, float]) -> None:
        """Report the metrics of one line. The step of a metric is the number of times that it was printed."""
        by_step: dict[int, dict[str, float]] = defaultdict(dict)
        for name, value in metrics.items():
            self._steps[name] += 1
            by_step[self._steps[name]][name] = value
        if self._reports_left < len(by_step):
            return
        self._reports_left -= len(by_step)
        moment = round(self._clock(), 3)
        lines = "".join(report_line(step, moment, values) for step, values in by_step.items())
        try:
            self._append(lines.encode())
        except OSError as error:
            self._reports_left = 0
            log.warning("printed metrics are not reported: %s", error)

    def _append(self, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        file = os.open(self._path, flags, 0o644)
        try:
            if os.fstat(file).st_size != self._written:
                # The command reports its steps itself: it knows their numbers.
                self._reports_left = 0
                return
            self._written += os.write(file, data)
        finally:
            os.close(file)
