"""Merges a trial's standard output and standard error into one sequence of lines, ordered by time. Pure.

It is fed with parts of the logs and of ``output.times`` as they are read; see ``sparksweep_trainer.slot.trial_times``.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sparksweep_core.contract.line_formats import parse_note_line, parse_times_line
from sparksweep_core.contract.run_layout import STREAMS

NOTES = "sparksweep"
"""The stream of the driver's messages about a trial's files."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of output."""

    stream: str
    text: bytes
    """The line, with its line break if it has one."""
    moment: float
    """The time of its beginning, in seconds since 1970; 0 if unknown."""

    @property
    def stamp(self) -> str:
        """The time as text, in UTC with milliseconds; as many blanks if unknown."""
        if not self.moment:
            return " " * 24
        text = datetime.fromtimestamp(self.moment, UTC).isoformat(timespec="milliseconds")
        return text.replace("+00:00", "Z")


@dataclass
class _Stream:
    """One stream, as far as it was read."""

    partial: bytes = b""
    """The line whose end has not been read yet."""
    offset: int = 0
    """The offset of that line in the file."""
    starts: list[int] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)

    def moment(self, offset: int) -> float:
        index = bisect_right(self.starts, offset) - 1
        return self.moments[index] if index >= 0 else 0.0


class LogLines:
    """Merges the streams of one attempt."""

    def __init__(self) -> None:
        self._streams = {name: _Stream() for name in STREAMS}
        self._times = b""
        self._notes = b""

    def feed(self, stream: str, data: bytes) -> None:
        """Add data of a stream's log."""
        self._streams[stream].partial += data

    def feed_times(self, data: bytes) -> None:
        """Add data of the times file; damaged lines are ignored."""
        *lines, self._times = (self._times + data).split(b"\n")
        for line in lines:
            try:
                when, name, start = parse_times_line(line)
                stream = self._streams[name]
            except (KeyError, ValueError):
                continue
            # Times never decrease, even if the clock was set back.
            if not stream.starts or start > stream.starts[-1]:
                stream.starts.append(start)
                stream.moments.append(max(when, *stream.moments[-1:], 0.0))

    def feed_notes(self, data: bytes) -> None:
        """Add data of the driver's notes."""
        self._notes += data

    def take(self, *, final: bool = False) -> list[Line]:
        """Return the lines completed since the last call.

        Args:
            final: Return an incomplete last line too.
        """
        taken = [self._take_stream(name, final=final) for name in STREAMS]
        return list(heapq.merge(*taken, self._take_notes(), key=lambda line: line.moment))

    def _take_stream(self, name: str, *, final: bool) -> list[Line]:
        stream = self._streams[name]
        *texts, rest = stream.partial.split(b"\n")
        texts = [text + b"\n" for text in texts]
        if final and rest:
            texts, rest = [*texts, rest], b""
        lines = []
        for text in texts:
            lines.append(Line(name, text, stream.moment(stream.offset)))
            stream.offset += len(text)
        stream.partial = rest
        return lines

    def _take_notes(self) -> list[Line]:
        *lines, self._notes = self._notes.split(b"\n")
        notes = []
        for line in lines:
            try:
                when, text = parse_note_line(line)
            except ValueError:
                continue
            notes.append(Line(NOTES, b"[sparksweep: " + text + b"]\n", when))
        return sorted(notes, key=lambda line: line.moment)
