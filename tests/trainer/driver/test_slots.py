"""Numbers of slots: they come with the work, leave when there is none, and are replaced when lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from sparksweep_core.api import Stop, TrialReason, TrialSpec, TrialState, TrialStatus, TrialTemplate
from sparksweep_core.contract.program import Program
from sparksweep_trainer.driver.code_check import MAX_LOST_CHECKS
from sparksweep_trainer.driver.retry_policy import MAX_LOST_ATTEMPTS
from sparksweep_trainer.driver.slot_loss import Loss, SlotFailed
from sparksweep_trainer.driver.slot_manager import MAX_FAILED_STARTS, SlotManager
from sparksweep_trainer.driver.trial_service import TrialService
from sparksweep_trainer.protocol import Heartbeat, NextOrder, Outcome, Report, SlotHello
from support.trainer.recorded_trials import RecordedTrials
from support.trainer.service_rig import next_order

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LINGER_S = 10.0
EXECUTOR_LOST = SlotFailed("ExecutorLostFailure", executor_lost=True)


class Jobs:
    """Spark's stand-in: jobs that run when a test says so."""

    def __init__(self) -> None:
        self.ended: dict[int, Callable[[SlotFailed | None], None]] = {}
        self.started: list[int] = []
        self.cancelled: list[int] = []

    def start(self, slot: int, ended: Callable[[SlotFailed | None], None]) -> None:
        self.started.append(slot)
        self.ended[slot] = ended

    def cancel(self, slot: int) -> None:
        self.cancelled.append(slot)
        self.end(slot, SlotFailed("cancelled", executor_lost=False))

    def end(self, slot: int, failed: SlotFailed | None = None) -> None:
        self.ended.pop(slot)(failed)


class Rig:
    def __init__(self, *, slots: int = 4, linger_s: float | None = LINGER_S) -> None:
        self.now = 0.0
        self.loss = Loss("Its executor is gone.")
        self.jobs = Jobs()
        program = Program(
            experiment="digits",
            parameters=[],
            trial_template=TrialTemplate(function="train:training"),
            trials_directory="trials",
        )
        self.trials = RecordedTrials()
        self.service = TrialService(
            program,
            record=self.trials.record,
            added=self.trials.added,
            slots=slots,
            linger_s=linger_s,
            monotonic=lambda: self.now,
        )
        self.discarded: list[str] = []
        self.manager = SlotManager(
            self.service,
            self.jobs,
            explain=lambda _, __: self.loss,
            discard=lambda node, pid: self.discarded.append(f"{node}/{pid}"),
            first_restart_s=0.0,
        )

    def submit(self, *numbers: int) -> None:
        self.service.submit([TrialSpec(number=number, parameters={}) for number in numbers])

    def reconcile(self) -> list[int]:
        """Return the slots that a reconcile has started."""
        before = len(self.jobs.started)
        self.manager.reconcile()
        return self.jobs.started[before:]

    def come(self, *slots: int) -> None:
        """Register slots."""
        for slot in slots:
            self.service.hello(SlotHello(slot=slot, node=f"exec-{slot}", pid=1))

    def ask(self, slot: int) -> NextOrder:
        return next_order(self.service, slot, 0.0)

    def work(self, *slots: int) -> None:
        """Have registered slots take a trial each; the first one checks the code if no slot has."""
        for slot in slots:
            order = self.ask(slot)
            if order.order == "check":
                self.service.code_check.accept(slot)
                order = self.ask(slot)
            assert order.order == "run"

    def finish(self, slot: int, state: TrialState = TrialState.SUCCEEDED) -> None:
        status = next(
            status
            for status in self.statuses
            if status.state is TrialState.RUNNING and status.node == f"exec-{slot}"
        )
        outcome = Outcome(
            state=state,  # type: ignore[arg-type]
            reason=TrialReason.COMPLETED,
            start_time=NOW,
            completion_time=NOW,
            duration_seconds=0,
        )
        assert self.service.report(
            Report(slot=slot, number=status.number, attempt=status.attempt, outcome=outcome)
        )

    def leave(self, slot: int) -> None:
        """Have a slot ask for an order, receive "leave", and end."""
        assert self.ask(slot).order == "leave"
        self.jobs.end(slot)

    @property
    def statuses(self) -> list[TrialStatus]:
        return self.trials.statuses

    @property
    def states(self) -> list[TrialState]:
        return [status.state for status in self.statuses]


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.service.close()


def test_no_more_slots_start_than_there_are_trials(rig: Rig) -> None:
    assert rig.reconcile() == []
    rig.submit(1, 2)
    assert rig.reconcile() == [0, 1]
    assert rig.reconcile() == []
    rig.submit(3, 4, 5, 6, 7)
    assert rig.reconcile() == [2, 3]


def test_more_slots_are_allowed_while_it_runs(rig: Rig) -> None:
    rig.submit(*range(1, 20))
    assert len(rig.reconcile()) == 4
    rig.service.set_slot_limit(7)
    assert len(rig.reconcile()) == 3


def test_when_fewer_are_allowed_the_expected_go_first_then_the_idle_then_the_busy(
    rig: Rig,
) -> None:
    rig.submit(*range(1, 20))
    rig.reconcile()
    rig.come(0, 1)
    rig.work(0, 1)
    rig.service.set_slot_limit(2)
    rig.reconcile()
    assert rig.jobs.cancelled == [3, 2]
    rig.service.set_slot_limit(1)
    assert rig.reconcile() == []
    # Both are busy: the first one that is done leaves, and its trial has succeeded.
    rig.finish(1)
    rig.leave(1)
    rig.finish(0)
    assert rig.ask(0).order == "run"
    assert rig.states[:2] == [TrialState.SUCCEEDED, TrialState.SUCCEEDED]


def test_an_idle_slot_lingers_before_it_leaves(rig: Rig) -> None:
    rig.submit(1, 2)
    rig.reconcile()
    rig.come(0, 1)
    rig.work(0, 1)
    rig.finish(0)
    assert rig.ask(0).order == "wait"
    rig.now = LINGER_S - 0.1
    assert rig.ask(0).order == "wait"
    rig.now = LINGER_S
    rig.leave(0)
    assert rig.reconcile() == []
    # The busy one may lose its trial yet: then there is work for one again, itself.
    rig.finish(1, TrialState.STOPPED)
    assert rig.reconcile() == []
    assert rig.ask(1).order == "run"


def test_a_lingering_slot_takes_what_comes_and_nothing_new_starts_for_it(rig: Rig) -> None:
    rig.submit(1)
    rig.reconcile()
    rig.come(0)
    rig.work(0)
    rig.finish(0)
    assert rig.ask(0).order == "wait"
    rig.now = LINGER_S / 2
    rig.submit(2)
    assert rig.reconcile() == []
    rig.work(0)
    rig.finish(0)
    # It has worked since, so its linger time starts again.
    rig.now = LINGER_S
    assert rig.ask(0).order == "wait"


def test_slots_come_back_at_once_with_new_trials(rig: Rig) -> None:
    rig.submit(1)
    rig.reconcile()
    rig.come(0)
    rig.work(0)
    rig.finish(0)
    rig.ask(0)
    rig.now = LINGER_S
    rig.leave(0)
    rig.submit(2, 3)
    assert rig.reconcile() == [1, 2]


def test_a_waiting_slot_leaves_by_itself_when_its_time_is_over() -> None:
    rig = Rig(linger_s=0.05)
    rig.service = TrialService(
        rig.service.program,
        record=rig.trials.record,
        added=rig.trials.added,
        slots=4,
        linger_s=0.05,
    )
    rig.submit(1)
    rig.come(0)
    rig.work(0)
    rig.finish(0)
    begun = time.monotonic()
    # The question may be held back for much longer.
    while (order := next_order(rig.service, 0, 10)).order == "wait":
        pass
    assert order.order == "leave"
    assert time.monotonic() - begun < 5


def test_slots_leave_at_once_when_the_experiment_is_over(rig: Rig) -> None:
    rig.submit(1, 2)
    rig.reconcile()
    rig.come(0, 1)
    rig.work(0, 1)
    rig.finish(0)
    assert rig.ask(0).order == "wait"
    rig.service.stop(Stop(reason=TrialReason.GOAL_REACHED))
    rig.leave(0)
    rig.finish(1, TrialState.STOPPED)
    rig.leave(1)
    assert rig.reconcile() == []


def test_expected_slots_are_given_up_on_when_others_have_done_the_work(rig: Rig) -> None:
    rig.submit(1, 2, 3)
    rig.reconcile()
    rig.come(0)
    rig.work(0)
    for _ in range(2):
        rig.finish(0)
        rig.work(0)
    rig.finish(0)
    assert rig.ask(0).order == "wait"
    assert rig.reconcile() == []
    assert rig.jobs.cancelled == []
    rig.now = LINGER_S
    rig.reconcile()
    assert rig.jobs.cancelled == [2, 1]
    # One that comes all the same is sent away.
    rig.come(1)
    assert rig.ask(1).order == "leave"


def test_slots_that_never_leave_stay_until_the_end() -> None:
    rig = Rig(linger_s=None)
    rig.submit(1)
    rig.reconcile()
    rig.come(0)
    rig.work(0)
    rig.finish(0)
    rig.now = 1e6
    assert rig.ask(0).order == "wait"
    rig.service.stop(Stop(reason=TrialReason.GOAL_REACHED))
    assert rig.ask(0).order == "wait"
    rig.service.close()
    assert rig.ask(0).order == "leave"


# ---------------------------------------------------------------------- losses


def test_a_lost_slot_is_replaced_and_its_trial_runs_again(rig: Rig) -> None:
    rig.submit(1)
    rig.reconcile()
    rig.come(0)
    rig.work(0)
    rig.jobs.end(0, EXECUTOR_LOST)
    status = rig.statuses[0]
    assert (status.state, status.message) == (TrialState.PENDING, "Its executor is gone.")
    assert rig.reconcile() == [1]
    rig.come(1)
    rig.work(1)
    assert rig.statuses[0].attempt == 2
    # Whatever the lost one still says is of no account.
    assert rig.ask(0).order == "leave"
    assert rig.statuses[0].state is TrialState.RUNNING


def test_an_executor_seen_to_be_gone_is_not_waited_for(rig: Rig) -> None:
    rig.submit(1, 2)
    rig.reconcile()
    rig.come(0, 1)
    rig.work(0, 1)
    rig.manager.lose("exec-0", Loss("Its executor exec-0 was deleted."))
    assert rig.jobs.cancelled == [0]
    assert rig.statuses[0].message == "Its executor exec-0 was deleted."
    assert rig.states == [TrialState.PENDING, TrialState.RUNNING]
    assert rig.reconcile() == [2]
    rig.manager.lose("exec-0", Loss("again"))
    assert rig.jobs.cancelled == [0]


def test_a_trial_that_took_its_executors_memory_has_failed(rig: Rig) -> None:
    rig.submit(1)
    rig.reconcile()
    rig.come(0)
    rig.work(0)
    rig.manager.lose("exec-0", Loss("used 1Gi, limit 1Gi", TrialReason.OOM_KILLED))
    status = rig.statuses[0]
    assert (status.state, status.reason) == (TrialState.FAILED, "OOMKilled")
    assert status.message == "used 1Gi, limit 1Gi"
    assert status.peak_memory_bytes == 2 * 2**30
    assert status.completion_time is not None
    assert rig.reconcile() == []


def test_the_end_of_an_executor_may_be_reported_twice(rig: Rig) -> None:
    rig.submit(1)
    rig.reconcile()
    rig.come(0)
    rig.work(0)
    rig.loss = Loss("used 1Gi, limit 1Gi", TrialReason.OOM_KILLED)
    failed = rig.jobs.ended[0]
    rig.manager.lose("exec-0", rig.loss)
    failed(EXECUTOR_LOST)
    assert rig.statuses[0].attempt == 1
    assert rig.states == [TrialState.FAILED]


def test_a_trial_that_always_loses_its_slot_comes_to_an_end(rig: Rig) -> None:
    rig.submit(1)
    for slot in range(MAX_LOST_ATTEMPTS + 1):
        assert rig.reconcile() == [slot]
        rig.come(slot)
        rig.work(slot)
        rig.jobs.end(slot, EXECUTOR_LOST)
    assert rig.states == [TrialState.FAILED]
    assert rig.statuses[0].reason == "ExecutorLost"
    assert rig.reconcile() == []


def test_the_check_of_the_code_may_take_the_memory_too(rig: Rig) -> None:
    rig.submit(1)
    rig.reconcile()
    rig.come(0)
    assert rig.ask(0).order == "check"
    rig.manager.lose("exec-0", Loss("used 1Gi, limit 1Gi", TrialReason.OOM_KILLED))
    assert rig.service.code_check.refusal is not None
    assert rig.service.code_check.refusal.endswith("used 1Gi, limit 1Gi")
    assert rig.reconcile() == []
    assert rig.states == [TrialState.PENDING]


def test_the_check_of_the_code_is_tried_again_when_an_executor_is_lost_by_accident(
    rig: Rig,
) -> None:
    rig.submit(1)
    for slot in range(MAX_LOST_CHECKS):
        assert rig.service.code_check.refusal is None
        assert rig.reconcile() == [slot]
        rig.come(slot)
        assert rig.ask(slot).order == "check"
        rig.jobs.end(slot, EXECUTOR_LOST)
    assert rig.service.code_check.refusal is not None


def test_an_image_without_the_trainer_is_given_up_on(rig: Rig) -> None:
    rig.submit(1)
    failed = SlotFailed(
        "ModuleNotFoundError: No module named 'sparksweep_trainer'", executor_lost=False
    )
    for slot in range(MAX_FAILED_STARTS):
        assert rig.service.code_check.refusal is None
        assert rig.reconcile() == [slot]
        rig.jobs.end(slot, failed)
    assert rig.service.code_check.refusal == f"No slot can start in the trial's image: {failed}"


def test_lost_executors_are_no_fault_of_the_image(rig: Rig) -> None:
    rig.submit(1)
    for slot in range(3 * MAX_FAILED_STARTS):
        assert rig.reconcile() == [slot]
        rig.jobs.end(slot, EXECUTOR_LOST)
    assert rig.service.code_check.refusal is None


def test_slots_that_end_at_once_are_replaced_ever_more_slowly(rig: Rig) -> None:
    rig.manager = SlotManager(rig.service, rig.jobs, first_restart_s=0.02)
    rig.submit(1)
    pauses = []
    for slot in range(4):
        begun = time.monotonic()
        while not rig.reconcile():
            assert time.monotonic() - begun < 5
            time.sleep(0.001)
        pauses.append(time.monotonic() - begun)
        rig.jobs.end(slot, EXECUTOR_LOST)
    assert pauses[0] < 0.02
    assert pauses[1] >= 0.02
    assert pauses[3] >= 0.08


def test_closing_waits_for_the_slots_that_still_run(rig: Rig) -> None:
    rig.submit(1)
    rig.manager.start()
    while not rig.jobs.ended:
        time.sleep(0.001)
    rig.service.close()
    assert not rig.manager.close(0.01)
    timer = threading.Timer(0.05, lambda: rig.jobs.end(0))
    timer.start()
    assert rig.manager.close(5)
    timer.join()


def test_trials_cut_off_by_the_end_run_again_in_a_later_driver(rig: Rig) -> None:
    rig.submit(1, 2, 3)
    rig.reconcile()
    rig.come(0, 1)
    rig.work(0, 1)
    rig.service.interrupt("stopped by Ctrl-C")
    rig.finish(0, TrialState.STOPPED)
    rig.service.abandon()
    assert rig.states == [TrialState.PENDING] * 3
    assert [status.reason for status in rig.statuses] == [
        "Interrupted",
        "Interrupted",
        None,
    ]
    assert [status.attempt for status in rig.statuses] == [1, 1, 0]
    assert [status.message for status in rig.statuses] == ["stopped by Ctrl-C"] * 2 + [None]
    assert rig.service.running == 0


# ---------------------------------------------------------------------- slots that send nothing


def pass_seconds(rig: Rig, seconds: float) -> list[int]:
    """Reconcile once a second; return the slots that were started meanwhile."""
    started = []
    for _ in range(int(seconds)):
        rig.now += 1.0
        started += rig.reconcile()
    return started


def beat(rig: Rig, slot: int, number: int) -> str:
    order = rig.service.heartbeat(Heartbeat(slot=slot, number=number, attempt=1))
    assert order is not None
    return order.order


def test_a_slot_whose_process_was_stopped_is_replaced_and_its_trial_counted_once(rig: Rig) -> None:
    rig.submit(1, 2)
    rig.reconcile()
    rig.come(0, 1)
    rig.work(0, 1)
    started = []
    for _ in range(70):
        assert beat(rig, 1, 2) == "continue"
        started += pass_seconds(rig, 1)
    assert started == [2]
    assert rig.jobs.cancelled == [0]
    assert rig.discarded == ["exec-0/1"]
    first = rig.statuses[0]
    assert (first.state, first.reason, first.lost) == (TrialState.PENDING, "ExecutorLost", 1)
    assert first.message == "Its slot has sent nothing for 60 s."
    rig.come(2)
    rig.work(2)
    # It was resumed after all: its trial ends, and its outcome does not count.
    assert beat(rig, 0, 1) == "stop"
    rig.finish(2)
    rig.finish(1)
    assert [(status.state, status.attempt) for status in rig.statuses] == [
        (TrialState.SUCCEEDED, 2),
        (TrialState.SUCCEEDED, 1),
    ]


def test_any_request_shows_that_a_slot_lives(rig: Rig) -> None:
    rig.submit(1)
    rig.reconcile()
    rig.come(0)
    rig.work(0)
    for _ in range(3):
        pass_seconds(rig, 50)
        # One part of a file after another, after the trial's end.
        assert rig.service.runs(0, 1, 1)
    pass_seconds(rig, 50)
    assert rig.statuses[0].state is TrialState.RUNNING


def test_an_idle_slot_that_asks_no_more_is_replaced_too(rig: Rig) -> None:
    rig.submit(1)
    rig.reconcile()
    rig.come(0)
    rig.work(0)
    rig.finish(0)
    rig.submit(2)
    assert pass_seconds(rig, 61) == [], "it may remove what its trial has left"
    assert pass_seconds(rig, 660) == [1]


def test_a_check_of_the_code_takes_as_long_as_it_may(rig: Rig) -> None:
    rig.submit(1)
    rig.reconcile()
    rig.come(0)
    assert rig.ask(0).order == "check"
    assert pass_seconds(rig, 650) == []
    assert pass_seconds(rig, 20) == [1]
    rig.come(1)
    assert rig.ask(1).order == "check"


def test_a_driver_that_was_stopped_itself_loses_no_slot(rig: Rig) -> None:
    rig.submit(1)
    rig.reconcile()
    rig.come(0)
    rig.work(0)
    pass_seconds(rig, 10)
    for _ in range(20):
        rig.now += 3600.0
        rig.reconcile()
        assert beat(rig, 0, 1) == "continue"
    rig.now += 3600.0
    assert rig.reconcile() == []
    assert rig.statuses[0].state is TrialState.RUNNING
