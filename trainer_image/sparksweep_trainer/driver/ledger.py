"""The ledger: every unfinished trial with its status, and the slot that runs it. Without I/O, threads or a clock.

A trial that has ended is counted in the `Tally` and dropped once its change is taken: of a hundred thousand trials the
ledger holds those that wait or run. It keeps the rules that must hold whatever crashes:

- a finished trial never runs again, and never changes;
- only a report of the attempt assigned last counts, so a late report of an earlier attempt is dropped.

`RetryPolicy` decides whether a trial runs again.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from datetime import datetime

from sparksweep_core.api.reasons import TrialState
from sparksweep_core.api.status import TrialStatus
from sparksweep_core.api.trial_batch import Stop, TrialSpec
from sparksweep_core.api.trials import Trial
from sparksweep_trainer.driver.retry_policy import RetryPolicy
from sparksweep_trainer.driver.tally import Tally
from sparksweep_trainer.protocol import Assignment, Outcome


class Ledger:
    """The trials of one experiment. Not thread-safe: its owner holds a lock."""

    def __init__(self, *, max_retries: int) -> None:
        self._retries = RetryPolicy(max_retries)
        self._specs: dict[int, TrialSpec] = {}
        self._statuses: dict[int, TrialStatus] = {}
        self._waiting: list[int] = []
        self._slots: dict[int, int] = {}
        self._assigned_from: dict[int, TrialStatus] = {}
        self._changed: dict[int, Trial] = {}
        self.tally = Tally()
        self._stop: Stop | None = None
        self._interrupted: str | None = None

    # ------------------------------------------------------------------ trials and their assignment

    def add(self, specs: Iterable[TrialSpec], statuses: Iterable[TrialStatus] = ()) -> list[Trial]:
        """Add new trials, with the statuses that an earlier driver wrote; return those that were new.

        A trial that was running when that driver ended waits again; its next start is the next attempt.
        """
        earlier = {status.number: status for status in statuses}
        added: list[Trial] = []
        for spec in specs:
            number = spec.number
            if number in self.tally:
                continue
            status = earlier.get(number) or TrialStatus(number=number)
            self.tally.add(status)
            added.append(Trial(spec, status))
            if status.state.is_finished:
                continue
            self._specs[number] = spec
            self._statuses[number] = status
            if status.state is TrialState.RUNNING:
                self._end_lost(status, "The driver ended while it ran.")
            else:
                self._enqueue(number)
        return added

    def assign(self, slot: int, *, node: str, now: datetime) -> Assignment | None:
        """Start the waiting trial with the lowest number on an idle slot; return None if none waits."""
        if self.is_over or not self._waiting:
            return None
        number = heapq.heappop(self._waiting)
        before = self._statuses[number]
        self._slots[slot] = number
        self._assigned_from[slot] = before
        status = TrialStatus(
            number=number,
            state=TrialState.RUNNING,
            attempt=before.attempt + 1,
            retries=before.retries,
            lost=before.lost,
            node=node,
            start_time=now,
        )
        self._set(status)
        return Assignment(
            number=number,
            attempt=status.attempt,
            parameters=self._specs[number].parameters,
            is_last=self._retries.is_last(status),
        )

    def take_back(self, slot: int) -> None:
        """Undo `assign`: its slot was never told. The trial waits again, and the attempt does not count."""
        number = self._slots.pop(slot)
        self._set(self._assigned_from.pop(slot))
        heapq.heappush(self._waiting, number)

    # ------------------------------------------------------------------ ends of attempts

    def finish(self, slot: int, number: int, attempt: int, outcome: Outcome) -> bool:
        """Record an attempt's outcome; return False, and drop it, if it is not the attempt assigned last."""
        status = self._statuses.get(number)
        if status is None or status.state is not TrialState.RUNNING or status.attempt != attempt:
            return False
        if self._slots.get(slot) != number:
            return False
        del self._slots[slot]
        ended = _ended(status, outcome)
        if outcome.state is TrialState.STOPPED:
            self._end_stopped(ended)
        elif outcome.state is TrialState.FAILED and not self._stop:
            self._settle(self._retries.after_failure(ended))
        else:
            self._settle(ended)
        return True

    def lose(self, slot: int, message: str) -> int | None:
        """Record that a slot is lost; return the number of the trial that it ran, which waits again, or None."""
        number = self._slots.pop(slot, None)
        if number is not None:
            self._end_lost(self._statuses[number], message)
        return number

    def _end_stopped(self, ended: TrialStatus) -> None:
        if self._stop:
            self._settle(_stopped(ended, self._stop))
        elif self._interrupted is not None:
            self._settle(self._retries.after_interrupt(ended, self._interrupted))
        else:
            # Its slot could not reach the driver for a while. Counted, since a slot could say so for ever.
            self._end_lost(ended, "Its slot stopped it without an order.")

    def _end_lost(self, running: TrialStatus, message: str) -> None:
        if self._stop:
            self._settle(_stopped(running, self._stop))
        else:
            self._settle(self._retries.after_loss(running, message))

    # ------------------------------------------------------------------ end of the experiment

    def stop(self, stop: Stop) -> None:
        """End the experiment: waiting trials are Stopped now, running ones when their slots report."""
        if self._stop:
            return
        self._stop = stop
        for number in self._waiting:
            self._set(_stopped(self._statuses[number], stop))
        self._waiting.clear()

    def interrupt(self, why: str) -> None:
        """Start no more trials; running ones are to be ended, and wait again, with `why` as their message."""
        self._interrupted = self._interrupted or why

    def abandon(self) -> None:
        """Record that all running trials have ended, after `stop` or `interrupt`, without a report."""
        running = [*self._slots.values()]
        self._slots.clear()
        for number in running:
            self._end_stopped(self._statuses[number])

    def is_wanted(self, slot: int, number: int, attempt: int) -> bool:
        """Return True if a slot should go on with an attempt."""
        if self.is_over:
            return False
        return self.runs(slot, number, attempt)

    def runs(self, slot: int, number: int, attempt: int) -> bool:
        """Return True if a slot's attempt is the one assigned last and has not ended, wanted or not."""
        return self._slots.get(slot) == number and self._statuses[number].attempt == attempt

    # ------------------------------------------------------------------ reading

    @property
    def statuses(self) -> list[TrialStatus]:
        """Status of every unfinished trial, by number."""
        return [self._statuses[number] for number in sorted(self._statuses)]

    @property
    def waiting(self) -> int:
        """Number of trials that a slot could start now."""
        return 0 if self._interrupted is not None else len(self._waiting)

    @property
    def running(self) -> int:
        """Number of running trials."""
        return len(self._slots)

    @property
    def is_over(self) -> bool:
        """True if nothing will start any more."""
        return self._interrupted is not None or self._stop is not None

    def running_on(self, slot: int) -> TrialStatus | None:
        """Return the status of the trial that a slot runs, or None."""
        number = self._slots.get(slot)
        return None if number is None else self._statuses[number]

    def take_changes(self) -> list[Trial]:
        """Return each trial that has changed since the last call, with its newest status, by number."""
        changed = [self._changed[number] for number in sorted(self._changed)]
        self._changed.clear()
        return changed

    def put_back(self, changed: Iterable[Trial]) -> None:
        """Count changes as untaken again: they could not be recorded. A newer change of the same trial stays."""
        for trial in changed:
            self._changed.setdefault(trial.number, trial)

    def is_untaken(self, number: int, attempt: int) -> bool:
        """Return True if the newest status of a trial is of that attempt, has ended, and was not taken yet."""
        trial = self._changed.get(number)
        return (
            trial is not None
            and trial.status.attempt == attempt
            and trial.state is not TrialState.RUNNING
        )

    # ------------------------------------------------------------------ writing

    def _settle(self, status: TrialStatus) -> None:
        """Record the status after an attempt's end, and queue the trial again if it is Pending."""
        self._set(status)
        if status.state is TrialState.PENDING:
            self._enqueue(status.number)

    def _enqueue(self, number: int) -> None:
        if self._stop:
            self._set(_stopped(self._statuses[number], self._stop))
        else:
            heapq.heappush(self._waiting, number)

    def _set(self, status: TrialStatus) -> None:
        number = status.number
        self.tally.change(self._statuses[number], status)
        self._changed[number] = Trial(self._specs[number], status)
        if status.state.is_finished:
            del self._specs[number], self._statuses[number]
        else:
            self._statuses[number] = status


def _ended(running: TrialStatus, outcome: Outcome) -> TrialStatus:
    """Return a running trial's status with the outcome of its attempt."""
    return running.model_copy(
        update={
            "state": outcome.state,
            "reason": outcome.reason,
            "message": outcome.message or None,
            "metrics": outcome.metrics,
            "start_time": outcome.start_time,
            "completion_time": outcome.completion_time,
            "duration_seconds": outcome.duration_seconds,
            "peak_memory_bytes": outcome.peak_memory_bytes,
        }
    )


def _stopped(status: TrialStatus, stop: Stop) -> TrialStatus:
    return status.model_copy(
        update={
            "state": TrialState.STOPPED,
            "reason": stop.reason,
            "message": stop.message or None,
            "metrics": {},
        }
    )
