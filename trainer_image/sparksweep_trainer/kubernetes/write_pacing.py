"""Pacing of the writes of batch statuses: which batch is due when. Without I/O, threads or a clock.

A batch whose write failed waits for a backoff of its own and comes after the others, so that none waits for one that the
API server refuses. Reports of running trials are written with the next end in their batch, and by themselves the less
often, the more trials report: each write is of the whole batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sparksweep_core.backoff import Backoff
from sparksweep_trainer.kubernetes.informer import retry_backoff

INTERVAL_S = 1.0
"""Shortest time in seconds between the starts of two rounds of writes."""
LONGEST_REPORT_INTERVAL_S = 10.0
"""Longest time in seconds for which a batch's reports wait."""
REPORTERS_A_SECOND = 10
"""Reporting trials for which reports wait one second longer: 100 or more of them are written every ten seconds."""


@dataclass
class _Failure:
    """A batch whose last write failed."""

    backoff: Backoff = field(default_factory=retry_backoff)
    due: float = 0.0
    """Time of the next try."""


class WritePacing:
    """Times of the next writes of each batch. Not thread-safe: its owner holds a lock.

    Times are seconds of one clock that the caller reads.
    """

    def __init__(self) -> None:
        self._not_before = 0.0
        self._failures: dict[str, _Failure] = {}
        self._reported_at: dict[str, float] = {}
        self._reporters: set[int] = set()

    # ------------------------------------------------------------------ events

    def begin_round(self, now: float) -> None:
        """Record that a round of writes starts."""
        self._not_before = now + INTERVAL_S

    def rest(self, now: float, delay_s: float) -> None:
        """Write nothing for a time: the API server does not answer, or asks for it."""
        self._not_before = max(self._not_before, now + delay_s)

    def wrote(self, name: str, now: float) -> None:
        """Record that a batch is written."""
        self._failures.pop(name, None)
        self._reported_at[name] = now

    def failed(self, name: str, now: float, minimum_s: float = 0.0) -> float:
        """Record that a write of a batch failed; return the seconds until the next try."""
        failure = self._failures.setdefault(name, _Failure())
        delay_s = failure.backoff.next_s(minimum_s)
        failure.due = now + delay_s
        return delay_s

    def has_failed(self, name: str) -> bool:
        """Return True if the last write of a batch failed."""
        return name in self._failures

    def forget(self, name: str) -> None:
        """Forget a batch that is gone."""
        self._failures.pop(name, None)
        self._reported_at.pop(name, None)

    def reports(self, number: int) -> None:
        """Record that a running trial has reported metrics."""
        self._reporters.add(number)

    def ended(self, number: int) -> None:
        """Record that a trial does not run any more."""
        self._reporters.discard(number)

    def hurry(self) -> None:
        """Make everything due at once, for the last round."""
        self._not_before = 0.0
        self._reported_at.clear()
        for failure in self._failures.values():
            failure.due = 0.0

    # ------------------------------------------------------------------ what is due

    @property
    def report_interval_s(self) -> float:
        """Seconds between two writes of a batch in which only reports are new."""
        return min(
            LONGEST_REPORT_INTERVAL_S, max(INTERVAL_S, len(self._reporters) / REPORTERS_A_SECOND)
        )

    def due(
        self, now: float, changed: Iterable[str], reported: Iterable[str]
    ) -> tuple[list[str], float | None]:
        """Return the batches to write now, and the seconds until the next one is due if there are none.

        Args:
            now: the time.
            changed: batches with changes, in the order in which to write them.
            reported: batches of which only reports are new.

        Returns:
            The names, those that failed before last; and 0.0, or None if nothing waits.
        """
        times = {name: self._time(name) for name in changed}
        interval_s = self.report_interval_s
        for name in reported:
            written = self._reported_at.get(name)
            report_due = 0.0 if written is None else written + interval_s
            times[name] = max(self._time(name), report_due)
        if not times:
            return [], None
        names = [name for name, time in times.items() if time <= now]
        if names:
            return sorted(names, key=lambda name: name in self._failures), 0.0
        return [], min(times.values()) - now

    def _time(self, name: str) -> float:
        failure = self._failures.get(name)
        return max(self._not_before, failure.due if failure else 0.0)
