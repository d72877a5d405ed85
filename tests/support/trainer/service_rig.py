"""A trial service, and threads that wait in it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TypeVar

from sparksweep_core.api import TrialReason, TrialSpec, TrialState, TrialStatus, TrialTemplate
from sparksweep_core.contract.program import Program
from sparksweep_trainer.driver.trial_service import TrialService
from sparksweep_trainer.driver.waiters import Wake
from sparksweep_trainer.protocol import (
    Assignment,
    Heartbeat,
    HeartbeatOrder,
    NextOrder,
    Outcome,
    Report,
)
from support.trainer.recorded_trials import RecordedTrials
from support.trainer.stage import soon

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONG_S = 30.0
"""Longer than any wait should take: a thread that is not woken fails the test."""

T = TypeVar("T")


def assignment_of(order: NextOrder) -> Assignment:
    assert order.order == "run"
    assert order.assignment is not None
    return order.assignment


class ServiceRig:
    """A service, and threads that wait in it."""

    def __init__(self, *, max_retries: int = 0) -> None:
        template = TrialTemplate(function="train:training", max_retries=max_retries)
        program = Program(
            experiment="e",
            parameters=[],
            trial_template=template,
            trials_directory="trials",
        )
        self.trials = RecordedTrials()
        self.service = TrialService(
            program, record=self.trials.record, added=self.trials.added, clock=lambda: NOW
        )
        self._threads = ThreadPoolExecutor(16)

    @property
    def recorded(self) -> list[TrialStatus]:
        return self.trials.changes

    @property
    def statuses(self) -> list[TrialStatus]:
        return self.trials.statuses

    def close(self) -> None:
        self.service.close()
        self._threads.shutdown()

    def submit(self, *numbers: int) -> None:
        self.service.submit([TrialSpec(number=n, parameters={}) for n in numbers])

    def checked(self, *numbers: int) -> None:
        """Submit trials, and pass the check of the trial code."""
        self.submit(*numbers)
        assert next_order(self.service, 0, 0).order == "check"
        assert self.service.code_check.accept(0)

    def waiting(self, call: Callable[[], T]) -> Future[T]:
        """Start a thread that waits in the service."""
        before = self._waiters()
        future = self._threads.submit(call)
        assert soon(lambda: self._waiters() > before)
        return future

    def _waiters(self) -> int:
        service = self.service
        with service._lock:
            held = [service._work, *service._orders.values()]
            return len(vars(service._changes)["_waiters"]) + sum(
                len(waiters._waiting) for waiters in held
            )

    def asking(self, slot: int) -> Future[NextOrder]:
        return self.waiting(lambda: next_order(self.service, slot, LONG_S))

    def beating(self, assignment: Assignment, slot: int = 0) -> Future[HeartbeatOrder]:
        beat = Heartbeat(slot=slot, number=assignment.number, attempt=assignment.attempt)
        return self.waiting(lambda: heartbeat_order(self.service, beat, LONG_S))

    def assigned(self, slot: int = 0) -> Assignment:
        return assignment_of(next_order(self.service, slot, 0))

    def report(
        self, assignment: Assignment, slot: int = 0, state: TrialState = TrialState.SUCCEEDED
    ) -> bool:
        outcome = Outcome(
            state=state,  # type: ignore[arg-type]
            reason=TrialReason.COMPLETED,
            start_time=NOW,
            completion_time=NOW,
            duration_seconds=0.0,
        )
        report = Report(
            slot=slot, number=assignment.number, attempt=assignment.attempt, outcome=outcome
        )
        return self.service.report(report)

    @property
    def states(self) -> list[TrialState]:
        return [status.state for status in self.statuses]


Order = TypeVar("Order", NextOrder, HeartbeatOrder)


def next_order(service: TrialService, slot: int, timeout_s: float) -> NextOrder:
    """Return a slot's next order, after waiting for it as the trial server does, but in this thread."""
    return _waited(service, slot, lambda wake: service.next(slot, wake), timeout_s)


def heartbeat_order(service: TrialService, beat: Heartbeat, timeout_s: float) -> HeartbeatOrder:
    """Return the order to a busy slot, after waiting for it in this thread."""
    return _waited(service, beat.slot, lambda wake: service.heartbeat(beat, wake), timeout_s)


def _waited(
    service: TrialService,
    slot: int,
    ask: Callable[[Wake | None], Order | None],
    timeout_s: float,
) -> Order:
    woken = threading.Event()
    wake = woken.set  # One object: a method is another one at each look.
    deadline = time.monotonic() + timeout_s
    while (order := ask(wake)) is None:
        left_s = min(deadline - time.monotonic(), service.linger_left(slot))
        if left_s <= 0 or not woken.wait(left_s):
            service.give_up(wake, slot=slot)
            order = ask(None)
            break
        woken.clear()
    assert order is not None
    return order
