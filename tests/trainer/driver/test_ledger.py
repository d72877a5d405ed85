"""The ledger's rules, by example and under random histories."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sparksweep_core.api import (
    Stop,
    Trial,
    TrialReason,
    TrialSpec,
    TrialState,
    TrialStatus,
    count_states,
)
from sparksweep_trainer.driver import ledger as driver
from sparksweep_trainer.driver.retry_policy import MAX_LOST_ATTEMPTS
from sparksweep_trainer.protocol import Assignment, Outcome
from support.hypothesis_profiles import examples

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Ledger(driver.Ledger):
    """A ledger that remembers finished trials, too, and what it holds itself."""

    def __init__(self, *, max_retries: int) -> None:
        super().__init__(max_retries=max_retries)
        self.newest: dict[int, TrialStatus] = {}

    def add(self, specs: Iterable[TrialSpec], statuses: Iterable[TrialStatus] = ()) -> list[Trial]:
        added = super().add(specs, statuses)
        self.newest = {trial.number: trial.status for trial in added} | self.newest
        return added

    def _set(self, status: TrialStatus) -> None:
        super()._set(status)
        self.newest[status.number] = status

    @property
    def statuses(self) -> list[TrialStatus]:
        unfinished = super().statuses
        everything = [self.newest[number] for number in sorted(self.newest)]
        assert unfinished == [item for item in everything if not item.state.is_finished]
        return everything


def specs(*numbers: int) -> list[TrialSpec]:
    return [TrialSpec(number=number, parameters={"x": str(number)}) for number in numbers]


FinalState = Literal[TrialState.SUCCEEDED, TrialState.FAILED, TrialState.STOPPED]


def outcome(state: FinalState = TrialState.SUCCEEDED) -> Outcome:
    reasons = {
        TrialState.SUCCEEDED: TrialReason.COMPLETED,
        TrialState.FAILED: TrialReason.EXCEPTION,
        TrialState.STOPPED: TrialReason.INTERRUPTED,
    }
    return Outcome(
        state=state,
        reason=reasons[state],
        metrics={"loss": 1.0} if state is TrialState.SUCCEEDED else {},
        start_time=NOW,
        completion_time=NOW + timedelta(seconds=1),
        duration_seconds=1.0,
    )


def assign(ledger: Ledger, slot: int = 0) -> Assignment:
    assignment = ledger.assign(slot, node="here", now=NOW)
    assert assignment is not None
    return assignment


def status(ledger: Ledger, number: int) -> TrialStatus:
    return next(status for status in ledger.statuses if status.number == number)


def test_trials_start_in_the_order_of_their_numbers() -> None:
    ledger = Ledger(max_retries=0)
    ledger.add(specs(3, 1, 2))
    assert [assign(ledger, slot).number for slot in range(3)] == [1, 2, 3]
    assert ledger.assign(3, node="here", now=NOW) is None


def test_an_outcome_is_taken_once() -> None:
    ledger = Ledger(max_retries=0)
    ledger.add(specs(1))
    assign(ledger)
    assert ledger.finish(0, 1, 1, outcome())
    assert not ledger.finish(0, 1, 1, outcome(TrialState.FAILED))
    assert status(ledger, 1).state is TrialState.SUCCEEDED
    assert status(ledger, 1).metrics == {"loss": 1.0}


def test_a_late_report_of_an_attempt_given_up_on_is_dropped() -> None:
    ledger = Ledger(max_retries=0)
    ledger.add(specs(1))
    assign(ledger, slot=0)
    ledger.lose(0, "node gone")
    second = assign(ledger, slot=1)
    assert second.attempt == 2
    assert not ledger.finish(0, 1, 1, outcome())
    assert status(ledger, 1).state is TrialState.RUNNING
    assert ledger.finish(1, 1, 2, outcome())


def test_a_report_by_another_slot_than_the_one_assigned_is_dropped() -> None:
    ledger = Ledger(max_retries=0)
    ledger.add(specs(1))
    assign(ledger, slot=0)
    assert not ledger.finish(7, 1, 1, outcome())
    assert not ledger.finish(0, 99, 1, outcome())


def test_a_failed_attempt_is_retried_as_often_as_asked_for() -> None:
    ledger = Ledger(max_retries=2)
    ledger.add(specs(1))
    for attempt in (1, 2):
        assigned = assign(ledger)
        assert (assigned.attempt, assigned.is_last) == (attempt, False)
        ledger.finish(0, 1, attempt, outcome(TrialState.FAILED))
        assert status(ledger, 1).state is TrialState.PENDING
        assert status(ledger, 1).retries == attempt
    assigned = assign(ledger)
    assert (assigned.attempt, assigned.is_last) == (3, True)
    ledger.finish(0, 1, 3, outcome(TrialState.FAILED))
    assert status(ledger, 1).state is TrialState.FAILED
    assert status(ledger, 1).retries == 2


def test_attempts_lost_with_their_slot_are_not_charged_but_do_not_go_on_for_ever() -> None:
    ledger = Ledger(max_retries=0)
    ledger.add(specs(1))
    for _ in range(MAX_LOST_ATTEMPTS):
        assign(ledger)
        ledger.lose(0, "executor gone")
        assert status(ledger, 1).state is TrialState.PENDING
        assert status(ledger, 1).retries == 0
    assign(ledger)
    ledger.lose(0, "executor gone")
    assert status(ledger, 1).state is TrialState.FAILED
    assert status(ledger, 1).reason == TrialReason.EXECUTOR_LOST


def test_suspensions_are_no_losses() -> None:
    state = TrialStatus(number=1)
    for _ in range(3 * MAX_LOST_ATTEMPTS):
        # A suspended experiment's next driver begins with what the last one has written.
        ledger = Ledger(max_retries=0)
        ledger.add(specs(1), [state])
        assign(ledger)
        ledger.interrupt("stopped by Ctrl-C")
        ledger.abandon()
        state = TrialStatus.from_api(status(ledger, 1).to_dict())
    ledger = Ledger(max_retries=0)
    ledger.add(specs(1), [state])
    for _ in range(MAX_LOST_ATTEMPTS):
        assign(ledger)
        ledger.lose(0, "executor gone")
        assert status(ledger, 1).state is TrialState.PENDING
    assign(ledger)
    ledger.lose(0, "executor gone")
    assert status(ledger, 1).state is TrialState.FAILED
    assert "the 11th attempt lost" in (status(ledger, 1).message or "")


def test_stop_ends_waiting_trials_at_once_and_running_ones_when_they_report() -> None:
    ledger = Ledger(max_retries=3)
    ledger.add(specs(1, 2, 3))
    assign(ledger, slot=0)
    assign(ledger, slot=1)
    ledger.stop(Stop(reason=TrialReason.GOAL_REACHED, message="enough"))
    assert status(ledger, 3).state is TrialState.STOPPED
    assert status(ledger, 3).attempt == 0
    assert not ledger.is_wanted(0, 1, 1)
    ledger.finish(0, 1, 1, outcome(TrialState.STOPPED))
    assert status(ledger, 1).state is TrialState.STOPPED
    assert status(ledger, 1).reason == TrialReason.GOAL_REACHED
    assert status(ledger, 1).message == "enough"
    # One that ended by itself in the meantime counts as what it was.
    ledger.finish(1, 2, 1, outcome(TrialState.FAILED))
    assert status(ledger, 2).state is TrialState.FAILED
    ledger.add(specs(4))
    assert status(ledger, 4).state is TrialState.STOPPED


def test_interrupted_trials_wait_and_what_succeeded_meanwhile_counts() -> None:
    ledger = Ledger(max_retries=0)
    ledger.add(specs(1, 2, 3))
    assign(ledger, slot=0)
    assign(ledger, slot=1)
    ledger.interrupt("stopped by Ctrl-C")
    assert not ledger.is_wanted(0, 1, 1)
    ledger.finish(0, 1, 1, outcome(TrialState.STOPPED))
    ledger.finish(1, 2, 1, outcome(TrialState.SUCCEEDED))
    assert status(ledger, 1).state is TrialState.PENDING
    assert status(ledger, 1).reason == TrialReason.INTERRUPTED
    assert status(ledger, 1).message == "stopped by Ctrl-C"
    assert status(ledger, 2).state is TrialState.SUCCEEDED
    assert ledger.assign(0, node="here", now=NOW) is None


def test_a_later_driver_repeats_what_ran_and_nothing_that_finished() -> None:
    known = [
        TrialStatus(number=1, state=TrialState.SUCCEEDED, attempt=1, metrics={"loss": 0.5}),
        TrialStatus(number=2, state=TrialState.RUNNING, attempt=2, retries=1),
        TrialStatus(number=3, state=TrialState.FAILED, attempt=1),
    ]
    ledger = Ledger(max_retries=1)
    ledger.add(specs(1, 2, 3, 4), known)
    first, second = assign(ledger, 0), assign(ledger, 1)
    assert (first.number, first.attempt) == (2, 3)
    assert (second.number, second.attempt) == (4, 1)
    assert ledger.assign(2, node="here", now=NOW) is None
    assert status(ledger, 2).retries == 1
    assert status(ledger, 1).metrics == {"loss": 0.5}


class Histories(RuleBasedStateMachine):
    """Any order of assignments, reports (late and repeated ones too), losses, stops and interrupts."""

    @initialize(retries=st.integers(0, 2), trials=st.integers(1, 8))
    def begin(self, retries: int, trials: int) -> None:
        self.retries = retries
        self.ledger = Ledger(max_retries=retries)
        self.ledger.add(specs(*range(1, trials + 1)))
        self.given: list[tuple[int, Assignment]] = []
        self.finished: dict[int, TrialStatus] = {}
        self.seen: dict[int, TrialStatus] = {}
        self.next_number = trials + 1

    @rule(slot=st.integers(0, 3))
    def ask(self, slot: int) -> None:
        self.ledger.lose(slot, "asked again")
        assignment = self.ledger.assign(slot, node="here", now=NOW)
        if assignment is not None:
            assert assignment.number not in self.finished
            assert (assignment.number, assignment.attempt) not in [
                (known.number, known.attempt) for _, known in self.given
            ]
            self.given.append((slot, assignment))

    @precondition(lambda self: self.given)
    @rule(data=st.data(), state=st.sampled_from(get_args(FinalState)))
    def report(self, data: st.DataObject, state: FinalState) -> None:
        slot, assignment = data.draw(st.sampled_from(self.given))
        self.ledger.finish(slot, assignment.number, assignment.attempt, outcome(state))

    @rule(slot=st.integers(0, 3))
    def lose(self, slot: int) -> None:
        self.ledger.lose(slot, "gone")

    @rule()
    def grow(self) -> None:
        self.ledger.add(specs(self.next_number))
        self.next_number += 1

    @precondition(lambda self: len(self.given) > 5)
    @rule()
    def stop(self) -> None:
        self.ledger.stop(Stop(reason=TrialReason.GOAL_REACHED))

    @precondition(lambda self: len(self.given) > 8)
    @rule()
    def interrupt(self) -> None:
        self.ledger.interrupt("stopped by Ctrl-C")

    @invariant()
    def finished_trials_never_change(self) -> None:
        for status in self.ledger.statuses:
            if status.number in self.finished:
                assert status == self.finished[status.number]
            elif status.state.is_finished:
                self.finished[status.number] = status

    @invariant()
    def every_trial_is_in_one_place(self) -> None:
        states = [status.state for status in self.ledger.statuses]
        assert len(states) == self.next_number - 1
        assert states.count(TrialState.RUNNING) == self.ledger.running

    @invariant()
    def the_tally_is_the_count_of_all_trials(self) -> None:
        statuses = self.ledger.statuses
        tally = self.ledger.tally.values
        assert tally.counts == count_states(statuses)
        assert tally.attempts == sum(status.attempt for status in statuses)
        ended = [s.duration_seconds for s in statuses if s.state.is_finished]
        timed = [seconds for seconds in ended if seconds is not None]
        assert tally.timed == len(timed)
        assert tally.seconds == pytest.approx(sum(timed))
        assert all(status.number in self.ledger.tally for status in statuses)
        assert self.next_number not in self.ledger.tally

    @invariant()
    def retries_stay_within_what_was_asked_for(self) -> None:
        for status in self.ledger.statuses:
            assert status.retries <= min(self.retries, status.attempt)

    @invariant()
    def the_changes_add_up_to_the_statuses(self) -> None:
        self.seen |= {trial.number: trial.status for trial in self.ledger.take_changes()}
        for status in self.ledger.statuses:
            assert self.seen.get(status.number, TrialStatus(number=status.number)) == status


TestHistories = Histories.TestCase
TestHistories.settings = examples(60, stateful_step_count=40)


@pytest.mark.parametrize("retries", [0, 3])
def test_nothing_is_retried_once_the_experiment_ends(retries: int) -> None:
    ledger = Ledger(max_retries=retries)
    ledger.add(specs(1))
    assign(ledger)
    ledger.stop(Stop(reason=TrialReason.EXPERIMENT_FAILED))
    ledger.finish(0, 1, 1, outcome(TrialState.FAILED))
    assert status(ledger, 1).state is TrialState.FAILED
