"""Which trials there are, who runs which, and what became of each: the driver's memory, without I/O, threads or a clock.

The rules that must hold whatever crashes are all here:

- a finished trial never runs again, and never changes;
- only a report of the attempt assigned last counts, so a late one of an attempt given up on is dropped;
- a failed attempt is charged to the trial (``retries``), an attempt lost with its slot is not.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from datetime import datetime

from sparksweep_core.api.reasons import TrialReason, TrialState
from sparksweep_core.api.status import TrialStatus
from sparksweep_core.api.trial_batch import Stop, TrialSpec
from sparksweep_core.api.trials import Trial
from sparksweep_trainer.protocol import Assignment, Outcome

MAX_LOST_ATTEMPTS = 10
"""Attempts that may be lost with their slot. Spark does not count lost executors, so a trial that always takes its
executor with it would otherwise run for ever."""


class Ledger:
    """The trials of one experiment. Not thread-safe: its owner holds a lock."""

    def __init__(self, *, max_retries: int) -> None:
        self._max_retries = max_retries
        self._specs: dict[int, TrialSpec] = {}
        self._statuses: dict[int, TrialStatus] = {}
        self._waiting: list[int] = []
        self._slots: dict[int, int] = {}
        self._changed: dict[int, TrialStatus] = {}
        self._stop: Stop | None = None
        self._interrupted = False

    # ------------------------------------------------------------------ what there is to do

    def add(self, specs: Iterable[TrialSpec], known: Iterable[TrialStatus] = ()) -> None:
        """Take in new trials, with what an earlier driver left of them.

        One that was running when that driver ended waits again; its next start is the next attempt.
        """
        left = {status.number: status for status in known}
        for spec in specs:
            number = spec.number
            if number in self._specs:
                continue
            self._specs[number] = spec
            status = left.get(number) or TrialStatus(number=number)
            self._statuses[number] = status
            if status.state is TrialState.RUNNING:
                self._give_up(number, "The driver ended while it ran.")
            elif status.state is TrialState.PENDING:
                self._enqueue(number)

    def assign(self, slot: int, *, node: str, now: datetime) -> Assignment | None:
        """Start the waiting trial with the lowest number on an idle slot; None when there is none."""
        if self._interrupted or self._stop or not self._waiting:
            return None
        number = heapq.heappop(self._waiting)
        before = self._statuses[number]
        self._slots[slot] = number
        status = TrialStatus(
            number=number,
            state=TrialState.RUNNING,
            attempt=before.attempt + 1,
            retries=before.retries,
            node=node,
            start_time=now,
        )
        self._set(status)
        return Assignment(
            number=number, attempt=status.attempt, parameters=self._specs[number].parameters
        )

    # ------------------------------------------------------------------ how attempts end

    def finish(self, slot: int, number: int, attempt: int, outcome: Outcome) -> bool:
        """Take in an attempt's outcome; False when it is not the attempt assigned last, and so is dropped."""
        status = self._statuses.get(number)
        if status is None or status.state is not TrialState.RUNNING or status.attempt != attempt:
            return False
        if self._slots.get(slot) != number:
            return False
        del self._slots[slot]
        ended = status.model_copy(
            update={
                "state": outcome.state,
                "reason": outcome.reason.value,
                "message": outcome.message or None,
                "metrics": outcome.metrics,
                "start_time": outcome.start_time,
                "completion_time": outcome.completion_time,
                "duration_seconds": outcome.duration_seconds,
                "peak_memory_bytes": outcome.peak_memory_bytes,
            }
        )
        if outcome.state is TrialState.FAILED:
            self._fail(ended)
        elif outcome.state is TrialState.STOPPED:
            self._settle_stopped(ended)
        else:
            self._set(ended)
        return True

    def lose(self, slot: int, message: str) -> int | None:
        """Note that a slot is gone; the number of the trial it ran, which waits again, or None."""
        number = self._slots.pop(slot, None)
        if number is not None:
            self._give_up(number, message)
        return number

    def _fail(self, ended: TrialStatus) -> None:
        if ended.retries < self._max_retries and not self._stop:
            ended = ended.model_copy(
                update={"state": TrialState.PENDING, "retries": ended.retries + 1}
            )
            self._enqueue(ended.number)
        self._set(ended)

    def _settle_stopped(self, ended: TrialStatus) -> None:
        if self._stop:
            self._set(_stopped(ended, self._stop))
            return
        # Interrupted, or ended by an order that nobody stands behind any more: it runs again.
        self._set(
            ended.model_copy(
                update={"state": TrialState.PENDING, "reason": TrialReason.INTERRUPTED.value}
            )
        )
        self._enqueue(ended.number)

    def _give_up(self, number: int, message: str) -> None:
        status = self._statuses[number]
        if self._stop:
            self._set(_stopped(status, self._stop))
            return
        lost = status.attempt - status.retries
        final = lost > MAX_LOST_ATTEMPTS
        if final:
            message = f"{message} That was the {lost}th attempt lost with its slot; none is left."
        self._set(
            status.model_copy(
                update={
                    "state": TrialState.FAILED if final else TrialState.PENDING,
                    "reason": TrialReason.EXECUTOR_LOST.value,
                    "message": message,
                }
            )
        )
        if not final:
            self._enqueue(number)

    # ------------------------------------------------------------------ how the experiment ends

    def stop(self, stop: Stop) -> None:
        """End it: what waits is Stopped now, what runs is Stopped when its slot says so."""
        if self._stop:
            return
        self._stop = stop
        for number in self._waiting:
            self._set(_stopped(self._statuses[number], stop))
        self._waiting.clear()

    def interrupt(self) -> None:
        """Start nothing more; what runs is to be ended and waits again."""
        self._interrupted = True

    def abandon(self) -> None:
        """Note that everything that still runs has been ended, as by `stop` or `interrupt`, without a word from it."""
        running = [*self._slots.values()]
        self._slots.clear()
        for number in running:
            self._settle_stopped(self._statuses[number])

    def is_wanted(self, slot: int, number: int, attempt: int) -> bool:
        """Whether a slot's attempt is still wanted."""
        if self._stop or self._interrupted:
            return False
        return self.runs(slot, number, attempt)

    def runs(self, slot: int, number: int, attempt: int) -> bool:
        """Whether a slot's attempt is the one assigned last and has not ended, wanted or not."""
        return self._slots.get(slot) == number and self._statuses[number].attempt == attempt

    # ------------------------------------------------------------------ what anyone may read

    @property
    def statuses(self) -> list[TrialStatus]:
        """Every trial, by number."""
        return [self._statuses[number] for number in sorted(self._statuses)]

    @property
    def trials(self) -> list[Trial]:
        """Every trial with what it is, by number."""
        return [Trial(self._specs[n], self._statuses[n]) for n in sorted(self._statuses)]

    @property
    def waiting(self) -> int:
        """How many trials a slot could start now."""
        return 0 if self._interrupted else len(self._waiting)

    @property
    def running(self) -> int:
        """How many trials run."""
        return len(self._slots)

    @property
    def is_over(self) -> bool:
        """Whether nothing will start any more."""
        return self._interrupted or self._stop is not None

    def running_on(self, slot: int) -> TrialStatus | None:
        """The trial that a slot runs."""
        number = self._slots.get(slot)
        return None if number is None else self._statuses[number]

    def take_changes(self) -> list[TrialStatus]:
        """What changed since the last call: the newest status of each trial, by number."""
        changed = [self._changed[number] for number in sorted(self._changed)]
        self._changed.clear()
        return changed

    def _enqueue(self, number: int) -> None:
        if self._stop:
            self._set(_stopped(self._statuses[number], self._stop))
        else:
            heapq.heappush(self._waiting, number)

    def _set(self, status: TrialStatus) -> None:
        self._statuses[status.number] = status
        self._changed[status.number] = status


def _stopped(status: TrialStatus, stop: Stop) -> TrialStatus:
    return status.model_copy(
        update={
            "state": TrialState.STOPPED,
            "reason": stop.reason.value,
            "message": stop.message or None,
            "metrics": {},
        }
    )
