"""Reads a trial's log to its end, or follows it from attempt to attempt until the trial has ended.

The last of the stations in ``docs/internals/log-lines.md``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sparksweep._runs.log_lines import Line, LogLines
from sparksweep._runs.reader import RunReader, find_attempt, find_trial, read_from, trial_file
from sparksweep_core.contract.run_layout import (
    NOTES_FILE,
    STREAMS,
    TIMES_FILE,
    earlier_name,
    log_file,
)

POLL_S = 1.0
"""Seconds between two reads of a log that is followed: executors send new data as often."""


@dataclass(frozen=True)
class AttemptStarted:
    """The start of an attempt; the lines after it are this attempt's."""

    attempt: int


@dataclass
class _AttemptLog:
    """The log files of one attempt, and the offsets up to which they were read."""

    run: RunReader
    number: int
    attempt: int
    is_last: bool
    lines: LogLines = field(default_factory=LogLines)
    offsets: dict[str, int] = field(default_factory=dict)

    def read_new(self, *, final: bool) -> list[Line]:
        """Return the new lines. The times are read after the logs, so that they cover every byte read."""
        for stream in STREAMS:
            for data in self._read(log_file(stream)):
                self.lines.feed(stream, data)
        for data in self._read(TIMES_FILE):
            self.lines.feed_times(data)
        if self.is_last:
            for data in self._read(NOTES_FILE):
                self.lines.feed_notes(data)
        return self.lines.take(final=final)

    def _read(self, name: str) -> Iterator[bytes]:
        file_name = name if self.is_last else earlier_name(name, self.attempt)
        path = trial_file(self.number, file_name)
        for data in read_from(self.run, path, self.offsets.get(name, 0)):
            self.offsets[name] = self.offsets.get(name, 0) + len(data)
            yield data


def read_log(run: RunReader, number: int, *, attempt: int | None = None) -> Iterator[Line]:
    """Yield the log of a trial's attempt, by default the last one, as far as there is one.

    Raises:
        TrialNotFound: There is no such trial, or no such attempt.
    """
    trial, wanted = find_attempt(run, number, attempt)
    is_last = wanted == trial.status.attempt
    yield from _AttemptLog(run, number, wanted, is_last=is_last).read_new(final=True)


def follow_log(
    run: RunReader, number: int, *, pause: Callable[[float], None] = time.sleep
) -> Iterator[Line | AttemptStarted]:
    """Yield the log of a trial while it is written, from the start of the current attempt until the trial has ended.

    Raises:
        TrialNotFound: There is no such trial.
    """
    attempt_log: _AttemptLog | None = None
    while True:
        # Read before the log: once the trial has ended, its log is complete.
        trial = find_trial(run, number)
        over = trial.state.is_finished or not run.is_live()
        attempt = trial.status.attempt
        if attempt and (attempt_log is None or attempt_log.attempt != attempt):
            if attempt_log is not None:
                attempt_log.is_last = False
                yield from attempt_log.read_new(final=True)
                yield AttemptStarted(attempt)
            attempt_log = _AttemptLog(run, number, attempt, is_last=True)
        if attempt_log is not None:
            yield from attempt_log.read_new(final=over)
        if over:
            return
        pause(POLL_S)
