"""The trial service among threads: waiting, waking, and recording a change before anyone can read it."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import TimeoutError as NotYet

import pytest

from sparksweep_core.api import Stop, Trial, TrialReason, TrialState
from sparksweep_trainer.driver.slot_loss import Loss
from sparksweep_trainer.protocol import Heartbeat, SlotHello
from support.trainer.service_rig import (
    LONG_S,
    ServiceRig,
    assignment_of,
    heartbeat_order,
    next_order,
)
from support.trainer.stage import soon


@pytest.fixture
def rig() -> Iterator[ServiceRig]:
    rig = ServiceRig()
    yield rig
    rig.close()


def test_one_slot_checks_the_code_while_the_others_wait(rig: ServiceRig) -> None:
    asking = [rig.asking(slot) for slot in range(3)]
    rig.submit(1, 2, 3)
    assert soon(lambda: any(future.done() for future in asking))
    checker = next(slot for slot, future in enumerate(asking) if future.done())
    assert asking[checker].result().order == "check"
    others = [future for slot, future in enumerate(asking) if slot != checker]
    # An answer without an order is an answer, too: they ask again.
    still = [
        f if not f.done() else rig.waiting(lambda: next_order(rig.service, 9, LONG_S))
        for f in others
    ]
    assert not rig.service.code_check.accept(checker + 7)
    assert not rig.service.code_check.is_passed
    assert rig.service.code_check.accept(checker)
    assert rig.service.code_check.is_passed
    assert {future.result(LONG_S).order for future in still} == {"run"}


def test_a_refusal_lets_every_slot_leave_and_starts_nothing(rig: ServiceRig) -> None:
    rig.submit(1, 2)
    assert next_order(rig.service, 0, 0).order == "check"
    waiting = rig.asking(1)
    assert not rig.service.code_check.refuse(1, "not its business")
    assert rig.service.code_check.refuse(0, "no such function")
    assert waiting.result(LONG_S).order == "leave"
    assert next_order(rig.service, 0, 0).order == "leave"
    assert rig.service.code_check.refusal == "no such function"
    assert rig.states == [TrialState.PENDING] * 2


def test_the_check_is_handed_over_when_the_checker_is_lost(rig: ServiceRig) -> None:
    rig.submit(1)
    assert next_order(rig.service, 0, 0).order == "check"
    waiting = rig.asking(1)
    rig.service.lose(0, Loss("its executor was lost"))
    assert waiting.result(LONG_S).order == "check"
    # What the first one may still say is not heard any more.
    assert not rig.service.code_check.accept(0)
    assert rig.service.code_check.accept(1)


def test_a_check_is_not_asked_for_before_there_are_trials(rig: ServiceRig) -> None:
    assert next_order(rig.service, 0, 0).order == "wait"
    rig.submit(1)
    assert next_order(rig.service, 0, 0).order == "check"


def test_waiting_slots_get_new_trials_each_another_one(rig: ServiceRig) -> None:
    rig.checked(1)
    rig.report(rig.assigned())
    asking = [rig.asking(slot) for slot in range(4)]
    rig.submit(2, 3, 4, 5)
    numbers = {assignment_of(future.result(LONG_S)).number for future in asking}
    assert numbers == {2, 3, 4, 5}
    assert rig.service.running == 4


def test_a_trial_that_is_to_be_retried_wakes_a_slot() -> None:
    rig = ServiceRig(max_retries=1)
    rig.checked(1)
    first = rig.assigned(slot=0)
    waiting = rig.asking(1)
    rig.report(first, state=TrialState.FAILED)
    assert assignment_of(waiting.result(LONG_S)).attempt == 2
    rig.close()


def test_a_lost_slots_trial_goes_to_a_waiting_one(rig: ServiceRig) -> None:
    rig.checked(1)
    lost = rig.assigned(slot=0)
    waiting = rig.asking(1)
    rig.service.lose(0, Loss("its executor was lost"))
    again = assignment_of(waiting.result(LONG_S))
    assert (again.number, again.attempt) == (1, 2)
    # Too late.
    assert not rig.report(lost, slot=0)
    assert rig.report(again, slot=1)
    assert rig.states == [TrialState.SUCCEEDED]


def test_a_slot_that_starts_anew_has_lost_its_trial(rig: ServiceRig) -> None:
    rig.checked(1)
    lost = rig.assigned(slot=0)
    beat = rig.beating(lost, slot=0)
    rig.service.hello(SlotHello(slot=0, node="elsewhere", pid=7))
    assert beat.result(LONG_S).order == "stop"
    assert rig.assigned(slot=0).attempt == 2
    assert rig.statuses[0].node == "elsewhere"


def test_stop_ends_what_waits_and_tells_those_who_run(rig: ServiceRig) -> None:
    rig.checked(1, 2, 3)
    assignments = [rig.assigned(slot) for slot in (0, 1)]
    beats = [rig.beating(a, slot) for slot, a in enumerate(assignments)]
    rig.service.stop(Stop(reason=TrialReason.GOAL_REACHED, message="enough"))
    assert [beat.result(LONG_S).order for beat in beats] == ["stop", "stop"]
    assert rig.states == [TrialState.RUNNING, TrialState.RUNNING, TrialState.STOPPED]
    rig.report(assignments[0], 0, TrialState.STOPPED)
    rig.report(assignments[1], 1, TrialState.SUCCEEDED)
    assert rig.states == [TrialState.STOPPED, TrialState.SUCCEEDED, TrialState.STOPPED]
    assert next_order(rig.service, 0, 0).order == "wait"


def test_an_interrupt_ends_what_runs_and_keeps_it_for_later(rig: ServiceRig) -> None:
    rig.checked(1, 2)
    running = rig.assigned()
    beat = rig.beating(running)
    rig.service.interrupt("stopped by Ctrl-C")
    assert beat.result(LONG_S).order == "stop"
    rig.report(running, state=TrialState.STOPPED)
    assert rig.states == [TrialState.PENDING] * 2
    assert next_order(rig.service, 0, 0).order == "wait"
    assert rig.service.running == 0


def test_a_wanted_trial_is_ordered_to_continue(rig: ServiceRig) -> None:
    rig.checked(1)
    assignment = rig.assigned()
    beat = Heartbeat(slot=0, number=1, attempt=assignment.attempt)
    assert heartbeat_order(rig.service, beat, 0).order == "continue"
    assert heartbeat_order(rig.service, beat.model_copy(update={"attempt": 2}), 0).order == "stop"
    assert heartbeat_order(rig.service, beat.model_copy(update={"slot": 1}), 0).order == "stop"


def test_close_lets_every_waiting_slot_leave(rig: ServiceRig) -> None:
    rig.checked(1)
    running = rig.assigned(slot=9)
    asking = [rig.asking(slot) for slot in range(3)]
    rig.service.close()
    assert [future.result(LONG_S).order for future in asking] == ["leave"] * 3
    # What runs is taken nevertheless.
    assert rig.report(running, slot=9)


def test_the_owner_waits_for_a_change_and_misses_none(rig: ServiceRig) -> None:
    seen = rig.service.wait(-1, LONG_S)
    waiting = rig.waiting(lambda: rig.service.wait(seen, LONG_S))
    rig.checked(1)
    assert waiting.result(LONG_S) > seen
    # A change before the wait ends it at once, and none lets it run out.
    now = rig.service.wait(seen, LONG_S)
    with pytest.raises(NotYet):
        rig.waiting(lambda: rig.service.wait(now, 2.0)).result(0.05)
    rig.assigned()
    assert rig.service.wait(now, LONG_S) > now


def test_every_trial_is_run_once_by_many_slots(rig: ServiceRig) -> None:
    trials, slots = 200, 8
    rig.checked(1)
    rig.report(rig.assigned())
    done: list[int] = []
    lock = threading.Lock()

    def serve(slot: int) -> None:
        while (order := next_order(rig.service, slot, LONG_S)).order != "leave":
            if order.assignment is not None:
                assert rig.report(order.assignment, slot)
                with lock:
                    done.append(order.assignment.number)

    threads = [threading.Thread(target=serve, args=(slot,)) for slot in range(slots)]
    for thread in threads:
        thread.start()
    for first in range(2, trials, 20):
        rig.submit(*range(first, min(first + 20, trials + 1)))
    assert soon(lambda: len(done) == trials - 1)
    rig.service.close()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(2, trials + 1))
    assert set(rig.states) == {TrialState.SUCCEEDED}


class Disk:
    """A record that fails while it is full."""

    def __init__(self, rig: ServiceRig) -> None:
        self.full = False
        self._rig = rig
        rig.service._record = self.record

    def record(self, changed: Sequence[Trial]) -> None:
        if self.full:
            raise OSError("No space left on device")
        self._rig.trials.record(changed)


def test_an_outcome_that_could_not_be_recorded_is_taken_when_the_slot_repeats_it(
    rig: ServiceRig,
) -> None:
    disk = Disk(rig)
    rig.checked(1)
    assignment = rig.assigned()
    disk.full = True
    for _ in range(3):
        with pytest.raises(OSError, match="No space"):
            rig.report(assignment)
    assert [status.state for status in rig.recorded] == [TrialState.RUNNING]
    disk.full = False
    assert rig.report(assignment)
    assert [status.state for status in rig.recorded] == [TrialState.RUNNING, TrialState.SUCCEEDED]
    assert not rig.report(assignment)
    assert len(rig.recorded) == 2


def test_what_could_not_be_recorded_is_recorded_with_the_next_change(rig: ServiceRig) -> None:
    disk = Disk(rig)
    rig.checked(1, 2)
    first, second = rig.assigned(0), rig.assigned(1)
    disk.full = True
    with pytest.raises(OSError, match="No space"):
        rig.report(first, slot=0)
    disk.full = False
    rig.report(second, slot=1)
    states = {status.number: status.state for status in rig.recorded}
    assert states == {1: TrialState.SUCCEEDED, 2: TrialState.SUCCEEDED}
    rig.submit(3)
    disk.full = True
    with pytest.raises(OSError, match="No space"):
        rig.service.stop(Stop(reason=TrialReason.GOAL_REACHED))
    disk.full = False
    rig.service.commit()
    assert rig.recorded[-1].state is TrialState.STOPPED


def test_a_start_that_can_not_be_recorded_costs_no_attempt(rig: ServiceRig) -> None:
    disk = Disk(rig)
    rig.checked(1)
    disk.full = True
    for _ in range(30):
        with pytest.raises(OSError, match="No space"):
            next_order(rig.service, 0, 0)
    assert (rig.service.running, rig.states) == (0, [TrialState.PENDING])
    disk.full = False
    assert rig.assigned().attempt == 1
    assert rig.statuses[0].lost is None
