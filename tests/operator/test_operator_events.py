"""Events of changes of the status: each once, and a bounded number of failures."""

from __future__ import annotations

from sparksweep_core.api import (
    Condition,
    ConditionType,
    ExperimentStatus,
    RecentTrial,
    TrialCounts,
    TrialSpec,
    TrialState,
)
from sparksweep_operator.events import MAX_FAILURE_EVENTS, MESSAGE, driver_started, events_between
from support.operator.operator_objects import NOW, batch

EMPTY = ExperimentStatus()


def condition(kind: ConditionType, status: str, reason: str, message: str = "") -> Condition:
    return Condition.model_validate(
        {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "last_transition_time": NOW,
        }
    )


def failed(*numbers: int, message: str = "ValueError") -> list[RecentTrial]:
    return [
        RecentTrial(
            number=number,
            state=TrialState.FAILED,
            attempt=1,
            reason="Exception",
            message=message,
        )
        for number in numbers
    ]


def events_of(before: ExperimentStatus, after: ExperimentStatus) -> list[tuple[str, str, str]]:
    return [(item.type, item.reason, item.message) for item in events_between(before, after, [])]


def test_nothing_changed_says_nothing() -> None:
    status = ExperimentStatus(
        start_time=NOW,
        conditions=[condition(ConditionType.SUSPENDED, "True", "SuspendedByUser")],
        recent_trials=failed(3),
        trials=TrialCounts(failed=1, created=1),
    )
    assert events_of(EMPTY, EMPTY) == []
    assert events_of(status, status) == []


def test_the_start_has_one_event() -> None:
    started = ExperimentStatus(start_time=NOW, trials=TrialCounts(expected=6))
    message = "The experiment has started: 6 trials."
    assert events_of(EMPTY, started) == [("Normal", "Started", message)]
    assert events_of(started, started) == []


def test_an_endless_search_starts_without_a_count() -> None:
    text = "The experiment has started: an unlimited number of trials."
    assert events_of(EMPTY, ExperimentStatus(start_time=NOW)) == [("Normal", "Started", text)]


def test_batches_of_one_step_make_one_event() -> None:
    trials = [TrialSpec(number=number, parameters={"x": "1"}) for number in range(1, 5)]
    new = [batch(0, trials=trials[:2]), batch(1, trials=trials[2:])]
    events = events_between(EMPTY, EMPTY, new)
    assert [item.message for item in events] == [
        "Created digits-00000, digits-00001: trials 1 to 4."
    ]


def test_of_many_batches_the_first_have_an_event_each_and_then_every_tenth() -> None:
    trials = [TrialSpec(number=1, parameters={"x": "1"})]
    announced = [
        index for index in range(30) if events_between(EMPTY, EMPTY, [batch(index, trials=trials)])
    ]
    assert announced == [0, 1, 2, 3, 4, 10, 20]


def test_a_failed_trial_has_one_event_with_its_reason() -> None:
    before = ExperimentStatus(recent_trials=failed(3), trials=TrialCounts(failed=1))
    after = ExperimentStatus(recent_trials=failed(3, 5), trials=TrialCounts(failed=2))
    message = "Trial 5 failed: Exception. ValueError"
    assert events_of(before, after) == [("Warning", "TrialFailed", message)]


def test_failures_have_events_up_to_a_maximum_and_one_for_the_rest() -> None:
    count, events = 1000, []
    before = EMPTY
    for number in range(1, count + 1):
        recent = failed(*range(max(1, number - 2), number + 1))
        after = ExperimentStatus(recent_trials=recent, trials=TrialCounts(failed=number))
        events += events_between(before, after, [])
        before = after
    reasons = [item.reason for item in events]
    assert reasons == ["TrialFailed"] * MAX_FAILURE_EVENTS + ["ManyTrialsFailed"]


def test_failures_that_come_all_at_once_are_bounded_too() -> None:
    after = ExperimentStatus(recent_trials=failed(7, 8, 9), trials=TrialCounts(failed=5000))
    reasons = [item.reason for item in events_between(EMPTY, after, [])]
    assert reasons == ["TrialFailed"] * 3 + ["ManyTrialsFailed"]


def test_suspension_and_resumption_have_one_event_each() -> None:
    kind = ConditionType.SUSPENDED
    suspended = ExperimentStatus(conditions=[condition(kind, "True", "SuspendedByUser", "Wait.")])
    resumed = ExperimentStatus(conditions=[condition(kind, "False", "Resumed")])
    assert events_of(EMPTY, suspended) == [("Normal", "SuspendedByUser", "Suspended: Wait.")]
    assert events_of(suspended, resumed) == [("Normal", "Resumed", "The experiment has resumed.")]
    assert events_of(resumed, resumed) == []


def test_the_end_has_one_event_and_a_failure_is_a_warning() -> None:
    complete = ExperimentStatus(
        conditions=[condition(ConditionType.COMPLETE, "True", "GoalReached", "Trial 3...")]
    )
    broken = ExperimentStatus(
        conditions=[
            condition(ConditionType.ACCEPTED, "False", "InvalidSpec", "spec.x: no"),
            condition(ConditionType.FAILED, "True", "InvalidSpec", "spec.x: no"),
        ]
    )
    assert events_of(EMPTY, complete) == [("Normal", "GoalReached", "Complete: Trial 3...")]
    assert events_of(complete, complete) == []
    assert events_of(EMPTY, broken) == [("Warning", "InvalidSpec", "Failed: spec.x: no")]


def test_no_message_is_longer_than_the_api_server_takes() -> None:
    after = ExperimentStatus(
        recent_trials=failed(1, message="x" * 512),
        conditions=[condition(ConditionType.FAILED, "True", "NoTrialSucceeded", "x" * 4096)],
        trials=TrialCounts(failed=1),
    )
    many = [batch(index) for index in range(100)]
    events = [*events_between(EMPTY, after, many), driver_started("d", 1, "x" * 4096)]
    assert max(len(item.message) for item in events) == MESSAGE


def test_a_first_driver_is_created_and_a_later_one_restarted() -> None:
    first = driver_started("digits-driver-0", 0, "")
    later = driver_started("digits-driver-1", 1, "The driver digits-driver-0 ended (Error).")
    resumed = driver_started("digits-driver-2", 2, "")
    assert (first.type, first.reason) == ("Normal", "DriverCreated")
    assert (later.type, later.reason) == ("Warning", "DriverRestarted")
    assert later.message.endswith("The driver digits-driver-0 ended (Error).")
    assert (resumed.type, resumed.reason) == ("Normal", "DriverRestarted")
