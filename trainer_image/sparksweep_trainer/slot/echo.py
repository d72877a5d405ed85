"""Echo of trials' output in the executor's own log: ``[trial 7] epoch 1``, for ``kubectl logs``.

The echo is for a quick check, not a record. It is bounded, so that a trial that floods costs its neighbours nothing. A
line is dropped if the executor's standard error does not take it at once.
"""

from __future__ import annotations

import os
import select

MAX_BYTES = 2**20
"""Bytes of one stream of an attempt that are echoed."""
MAX_LINE = 4000
"""Bytes of a line; together with its prefix less than a pipe takes in one piece (PIPE_BUF)."""
STANDARD_ERROR = 2


class Echo:
    """Writes the lines of one stream of one attempt to a descriptor."""

    def __init__(
        self, number: int, *, descriptor: int = STANDARD_ERROR, max_bytes: int = MAX_BYTES
    ) -> None:
        self._prefix = f"[trial {number}] ".encode()
        self._descriptor = descriptor
        self._left = max_bytes
        self._partial = b""

    def write(self, data: bytes) -> None:
        """Feed more of the stream."""
        if self._left <= 0:
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._echo(line)
        if len(self._partial) > MAX_LINE:
            self.close()

    def close(self) -> None:
        """Echo the last line, which may have no line end."""
        if self._partial:
            self._echo(self._partial)
            self._partial = b""

    def _echo(self, line: bytes) -> None:
        if self._left <= 0:
            return
        self._left -= len(line)
        self._write(line[:MAX_LINE])
        if self._left <= 0:
            self._write(b"[sparksweep: the rest is in the trial's own log: sparksweep logs]")

    def _write(self, line: bytes) -> None:
        # Standard error is a pipe to Java. If it is ready it takes up to PIPE_BUF bytes without blocking.
        if not select.select([], [self._descriptor], [], 0)[1]:
            return
        try:
            os.write(self._descriptor, self._prefix + line.rstrip(b"\r") + b"\n")
        except OSError:
            self._left = 0
