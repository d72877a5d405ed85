"""Times of a trial's output: the file ``output.times`` in the trial's directory, with a line for each burst of output.

``1764078000.123 stdout 4096`` means that ``stdout.log`` from byte 4096 on was printed at that time or later; the next
line of the same stream ends its range. The logs themselves stay as the trial wrote them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from sparksweep_core.contract.line_formats import times_line

RESOLUTION_S = 0.05
"""Seconds within which all output of one stream gets the same time."""
MAX_BYTES = 4 * 2**20
"""Bytes of the file; later output gets the last time in it."""


class OutputTimes:
    """Writes the file. A full disk costs times, never a trial."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Create the file, or truncate it.

        Raises:
            OSError: the file can't be created.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o644)
        self._clock = clock
        self._left = MAX_BYTES
        self._last = ("", 0.0)

    def now(self) -> float:
        """Return the clock's time."""
        return self._clock()

    def note(self, stream: str, offset: int) -> None:
        """Record that output comes now, and goes to this offset of the stream's log."""
        now = self._clock()
        if self._last[0] == stream and 0 <= now - self._last[1] < RESOLUTION_S:
            return
        self._last = (stream, now)
        self.record(now, stream, offset)

    def record(self, moment: float, stream: str, offset: int) -> None:
        """Record that output came at `moment`, whatever was recorded last."""
        line = times_line(moment, stream, offset)
        if len(line) > self._left:
            return
        try:
            os.write(self._file, line)
            self._left -= len(line)
        except OSError:
            self._left = 0

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
