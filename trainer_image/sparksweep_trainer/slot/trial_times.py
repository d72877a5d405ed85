"""When a trial printed what: a file beside its logs, ``output.times``, with a line for each burst of output.

``1764078000.123 stdout 4096`` says that what is in ``stdout.log`` from byte 4096 on came at that time, or later: until
the next line of the same stream. The logs themselves stay as the trial wrote them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from sparksweep_core.contract.line_formats import times_line

RESOLUTION_S = 0.05
"""Output of one stream that comes in quicker succession has one time."""
MAX_BYTES = 4 * 2**20
"""Bytes of the file; what comes after that has the last time in it."""


class OutputTimes:
    """Writes the file. A disk that is full loses times, never a trial."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Begin the file anew.

        Raises:
            OSError: it can't be created.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o644)
        self._clock = clock
        self._left = MAX_BYTES
        self._last = ("", 0.0)

    def now(self) -> float:
        """The time."""
        return self._clock()

    def note(self, stream: str, offset: int) -> None:
        """Output comes now, and goes to this offset of the stream's log."""
        now = self._clock()
        if self._last[0] == stream and 0 <= now - self._last[1] < RESOLUTION_S:
            return
        self._last = (stream, now)
        self.put(now, stream, offset)

    def put(self, moment: float, stream: str, offset: int) -> None:
        """The same for a time that was noted elsewhere."""
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
