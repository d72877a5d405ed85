"""Logs of a trial's output: written through to disk at once, and bounded whatever the trial prints.

The third of the stations in ``docs/internals/log-lines.md``.

The head goes to the log itself. Output beyond it goes to a ring file of fixed size in the same directory, whose content
is appended to the log at the end. So the log holds the beginning and the end of a flood; between them are a line that
was written when output began to be dropped, and one that says how much was dropped.
"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from sparksweep_core.contract.run_layout import OF_ATTEMPT, earlier_name
from sparksweep_trainer.files.quotas import HEAD_BYTES, TAIL_BYTES
from sparksweep_trainer.slot.trial_times import RESOLUTION_S, OutputTimes

REMEMBERED_BYTES = 4096
MAX_MARKS = 8192
"""Times that are kept for the output in the ring."""


class Tail:
    """Last bytes of a stream, for messages."""

    def __init__(self) -> None:
        self._bytes = b""

    def write(self, data: bytes) -> None:
        """Feed more of the stream."""
        self._bytes = (self._bytes + data)[-REMEMBERED_BYTES:]

    @property
    def is_at_line_start(self) -> bool:
        """True if the stream is empty, or its last line has ended."""
        return self._bytes[-1:] in (b"", b"\n")

    @property
    def text(self) -> str:
        """Remembered end of the stream, without a first line that was cut off."""
        text = self._bytes.decode(errors="replace").strip()
        if len(self._bytes) == REMEMBERED_BYTES:
            text = text.partition("\n")[2] or text
        return text


class TrialLog(Tail):
    """Log file of one stream. A full or vanished disk costs the log, never the trial.

    Raises:
        OSError: the file can't be created.
    """

    def __init__(
        self,
        path: Path,
        *,
        times: OutputTimes | None = None,
        head_bytes: int = HEAD_BYTES,
        tail_bytes: int = TAIL_BYTES,
    ) -> None:
        super().__init__()
        self._times = times
        self._stream = path.stem
        self._path = path
        self._ring_path = path.with_name(f".{path.name}.tail")
        self._ring_path.unlink(missing_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        self._ring: int | None = None
        self._size = 0
        self._head_left = head_bytes
        self._tail_bytes = tail_bytes
        self._max_bytes = head_bytes + tail_bytes
        self._beyond = 0  # Bytes of the stream after its head.
        self._marks: deque[tuple[float, int]] = deque(maxlen=MAX_MARKS)
        self._announced = False
        self.error: OSError | None = None

    def write(self, data: bytes) -> None:
        """Append to the log, written through to the file."""
        super().write(data)
        if self.error is not None:
            return
        try:
            head = data[: self._head_left]
            if head:
                if self._times is not None:
                    self._times.note(self._stream, self._size)
                self._append(head)
                self._head_left -= len(head)
            if len(data) > len(head):
                self._write_ring(data[len(head) :])
        except OSError as error:
            self.error = error

    def close(self) -> None:
        """Append the ring's content to the log, and close it."""
        try:
            if self._ring is not None and self.error is None:
                self._append_ring(self._ring)
        except OSError as error:
            self.error = error
        finally:
            os.close(self._file)
            if self._ring is not None:
                os.close(self._ring)
                self._ring_path.unlink(missing_ok=True)

    def _write_ring(self, data: bytes) -> None:
        if self._ring is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            self._ring = os.open(self._ring_path, flags, 0o644)
        if self._times is not None:
            now = self._times.now()
            if not self._marks or now - self._marks[-1][0] >= RESOLUTION_S:
                self._marks.append((now, self._beyond))
        if not self._announced and self._beyond + len(data) > self._tail_bytes:
            # At once, for those who follow the log, and because the slot may be killed before `close`.
            self._announced = True
            size = f"more than {self._max_bytes} bytes"
            text = f"{size}: the middle is dropped, and the end follows when the attempt ends"
            self._append(f"\n[sparksweep: {text}]\n".encode())
        rest = memoryview(data)[-self._tail_bytes :]
        self._beyond += len(data) - len(rest)
        while rest:
            position = self._beyond % self._tail_bytes
            written = os.pwrite(self._ring, rest[: self._tail_bytes - position], position)
            self._beyond += written
            rest = rest[written:]

    def _append_ring(self, ring: int) -> None:
        dropped = max(0, self._beyond - self._tail_bytes)
        if dropped:
            self._append(f"[sparksweep: {dropped} bytes left out here]\n".encode())
        if self._times is not None:
            for moment, start in self._marks:
                if start >= dropped:
                    self._times.record(moment, self._stream, self._size + start - dropped)
        position = self._beyond % self._tail_bytes if dropped else 0
        left = min(self._beyond, self._tail_bytes)
        while left:
            block = os.pread(ring, min(left, self._tail_bytes - position, 1 << 20), position)
            if not block:
                break
            self._append(block)
            left -= len(block)
            position = (position + len(block)) % self._tail_bytes

    def _append(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            written = os.write(self._file, rest)
            self._size += written
            rest = rest[written:]


def keep_earlier_logs(directory: Path, attempt: int) -> None:
    """Rename the logs of the attempt before `attempt`: ``stdout.attempt-1.log``."""
    if attempt < 2:
        return
    for name in OF_ATTEMPT:
        log = directory / name
        if log.exists():
            log.replace(directory / earlier_name(name, attempt - 1))
