"""Ages of stored times, measured by a clock that nobody sets. Pure: both clocks are arguments.

A stored time says when something began by the wall clock, which may be set while a process runs: by hand, by NTP, after a
virtual machine was paused. An age is read from it once in each process. From then on the monotonic clock counts, so an
hour by which the wall clock is set back or forward neither prolongs a deadline nor ends it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

MOMENTS = 8
"""Number of stored times whose ages are remembered: those of an Experiment's start, end and last drivers."""

Age = Callable[[datetime], timedelta]
"""Returns the age of a stored time, at least 0."""


class Ages:
    """Ages of one Experiment's stored times. Not thread-safe, but `at` returns a function for any thread."""

    def __init__(self) -> None:
        self._first: dict[datetime, tuple[timedelta, float]] = {}

    def at(self, now: datetime, monotonic_s: float) -> Age:
        """Return the function that gives ages at a moment.

        Args:
            now: the moment by the wall clock, with a time zone.
            monotonic_s: the same moment by a monotonic clock, in seconds.
        """

        def age(moment: datetime) -> timedelta:
            first = self._first.pop(moment, None)
            if first is None:
                # A time in the future was stored before the clock was set back: it counts as now.
                first = max(timedelta(0), now - moment), monotonic_s
            # Those that are asked for stay: the order is that of their use.
            self._first[moment] = first
            if len(self._first) > MOMENTS:
                del self._first[next(iter(self._first))]
            at_first, first_s = first
            return at_first + timedelta(seconds=max(0.0, monotonic_s - first_s))

        return age


def age_at(now: datetime) -> Age:
    """Return the function that gives ages by the wall clock alone, at least 0."""
    return lambda moment: max(timedelta(0), now - moment)
