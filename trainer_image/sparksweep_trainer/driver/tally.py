"""The tally: counts of all trials of a driver, kept as they change, and of each number the fact that it is known.

It takes one bit a trial, whose number is at most `limits.TRIALS`. Without I/O, threads or a clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from sparksweep_core.api.reasons import TrialState
from sparksweep_core.api.status import TrialCounts, TrialStatus


@dataclass(frozen=True)
class TallyValues:
    """Counts of all trials at one time."""

    counts: TrialCounts
    """Numbers of trials by state."""
    attempts: int
    """Attempts started, those of earlier drivers included."""
    timed: int
    """Finished trials of which the duration is known."""
    seconds: float
    """Sum of those durations."""


class Tally:
    """Counts of trials. Not thread-safe: its owner holds a lock."""

    def __init__(self) -> None:
        self._known = bytearray()
        self._states = dict.fromkeys(TrialState, 0)
        self._attempts = 0
        self._timed = 0
        self._seconds = 0.0

    def __contains__(self, number: int) -> bool:
        byte, bit = divmod(number, 8)
        return byte < len(self._known) and bool(self._known[byte] >> bit & 1)

    def add(self, status: TrialStatus) -> None:
        """Count a new trial."""
        byte, bit = divmod(status.number, 8)
        if byte >= len(self._known):
            # Doubled, as lists are, so that adding trials one by one costs no copy each.
            self._known.extend(bytes(max(byte + 1, 2 * len(self._known)) - len(self._known)))
        self._known[byte] |= 1 << bit
        self._count(status, 1)

    def change(self, before: TrialStatus, after: TrialStatus) -> None:
        """Count a trial with its new status instead of the one before."""
        self._count(before, -1)
        self._count(after, 1)

    @property
    def values(self) -> TallyValues:
        """The counts as of now."""
        counts = TrialCounts(
            created=sum(self._states.values()),
            pending=self._states[TrialState.PENDING],
            running=self._states[TrialState.RUNNING],
            succeeded=self._states[TrialState.SUCCEEDED],
            failed=self._states[TrialState.FAILED],
            stopped=self._states[TrialState.STOPPED],
        )
        return TallyValues(counts, self._attempts, self._timed, self._seconds)

    def _count(self, status: TrialStatus, sign: int) -> None:
        self._states[status.state] += sign
        self._attempts += sign * status.attempt
        if status.state.is_finished and status.duration_seconds is not None:
            self._timed += sign
            self._seconds += sign * status.duration_seconds
