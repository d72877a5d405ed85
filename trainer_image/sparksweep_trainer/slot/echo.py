"""Shows what trials print in the executor's own log, too: ``[trial 7] epoch 1``, for ``kubectl logs``.

The log of a container is for a look in passing: it is bounded here, so that a trial that floods costs its neighbours
nothing, and a line is left out rather than that anyone waits for it to be taken.
"""

from __future__ import annotations

import os
import select

MAX_BYTES = 2**20
"""Bytes of one attempt that are shown."""
MAX_LINE = 4000
"""Bytes of a line, with its beginning below what a pipe takes in one piece."""
STANDARD_ERROR = 2


class Echo:
    """Takes one stream of one attempt, and writes its lines to a descriptor."""

    def __init__(
        self, number: int, *, descriptor: int = STANDARD_ERROR, max_bytes: int = MAX_BYTES
    ) -> None:
        self._prefix = f"[trial {number}] ".encode()
        self._descriptor = descriptor
        self._left = max_bytes
        self._begun = b""

    def write(self, data: bytes) -> None:
        """Take in more of the stream."""
        if self._left <= 0:
            return
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            self._show(line)
        if len(self._begun) > MAX_LINE:
            self.close()

    def close(self) -> None:
        """Show the last line, which may have no end."""
        if self._begun:
            self._show(self._begun)
            self._begun = b""

    def _show(self, line: bytes) -> None:
        if self._left <= 0:
            return
        self._left -= len(line)
        self._put(line[:MAX_LINE])
        if self._left <= 0:
            self._put(b"[sparksweep: the rest is in the trial's own log: sparksweep logs]")

    def _put(self, line: bytes) -> None:
        # Standard error is a pipe to Java. One that is ready takes what fits into it in one piece.
        if not select.select([], [self._descriptor], [], 0)[1]:
            return
        try:
            os.write(self._descriptor, self._prefix + line.rstrip(b"\r") + b"\n")
        except OSError:
            self._left = 0
