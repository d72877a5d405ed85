"""A trial service, and threads that wait in it."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TypeVar

from sparksweep_core.api import TrialReason, TrialSpec, TrialState, TrialStatus, TrialTemplate
from sparksweep_core.contract.program import Program
from sparksweep_trainer.driver.trial_service import TrialService
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
        assert self.service.next(0, 0).order == "check"
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
            conditions = [service._work, service._changes, *service._orders.values()]
            return sum(len(vars(condition)["_waiters"]) for condition in conditions)

    def asking(self, slot: int) -> Future[NextOrder]:
        return self.waiting(lambda: self.service.next(slot, LONG_S))

    def beating(self, assignment: Assignment, slot: int = 0) -> Future[HeartbeatOrder]:
        beat = Heartbeat(slot=slot, number=assignment.number, attempt=assignment.attempt)
        return self.waiting(lambda: self.service.heartbeat(beat, LONG_S))

    def assigned(self, slot: int = 0) -> Assignment:
        return assignment_of(self.service.next(slot, 0))

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
