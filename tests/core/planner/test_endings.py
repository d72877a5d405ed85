"""Each way in which an experiment ends, and what becomes of the trials that were not done."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sparksweep_core.api import AlgorithmName, TrialReason, TrialState
from sparksweep_core.planner import DriverState
from support.planner.planned_world import MAXIMIZE, MINIMIZE, World, experiment_of


def ended(values: list[float | None], **spec: Any) -> World:
    """A world whose trial n gets values[n - 1], run to its end."""
    world = World(experiment_of(**spec))
    turns = world.run(values)
    assert turns[-1].finished
    return world


def test_a_grid_ends_when_all_its_points_ran() -> None:
    world = ended([0.1, 0.3, None], points=6)
    assert world.reason("Complete") == ("True", "SearchSpaceExhausted")
    assert world.condition("Complete").message == "All 6 grid points ran. 2 trials failed."
    assert world.reason("Running") == ("False", "Finished")
    assert world.condition("Failed") is None
    assert (world.status.state, world.status.progress) == ("Complete", "6/6")
    assert world.status.best_trial.number == 2


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"points": 45}, "12 of 45 grid points ran (maxTrialCount: 12)."),
        (
            {"points": 45, "algorithm": AlgorithmName.RANDOM},
            "12 of 45 points of the search space ran (maxTrialCount: 12).",
        ),
        (
            {"points": None, "algorithm": AlgorithmName.RANDOM},
            "12 trials ran (maxTrialCount: 12).",
        ),
        (
            {"points": 10**40},
            "12 of 10^40 grid points ran (maxTrialCount: 12).",
        ),
    ],
)
def test_the_most_trials_end_it(spec: dict[str, Any], message: str) -> None:
    world = ended([1.0], max_trial_count=12, **spec)
    assert world.reason("Complete") == ("True", "MaxTrialsReached")
    assert world.condition("Complete").message == message
    assert world.status.trials.created == world.status.trials.succeeded == 12


def test_no_success_is_a_failure() -> None:
    world = ended([None], points=3)
    assert world.reason("Failed") == ("True", "NoTrialSucceeded")
    assert world.condition("Failed").message == (
        "None of 3 trials succeeded. Trial 3 failed last: Exception: it broke"
    )
    assert world.condition("Complete") is None
    assert world.status.best_trial is None


def test_without_an_objective_trials_succeed_and_none_is_best() -> None:
    world = ended([0.5], points=3, objective=None)
    assert world.reason("Complete") == ("True", "SearchSpaceExhausted")
    assert world.status.best_trial is None


@pytest.mark.parametrize(
    ("objective", "values", "best"),
    [
        (MAXIMIZE, [-3.0, -1.5, -2.0, -1.5], (2, -1.5)),
        (MINIMIZE, [-3.0, -1.5, -2.0, -3.0], (1, -3.0)),
        (MAXIMIZE, [math.nan, -1e300, math.nan, None], (2, -1e300)),
        (MINIMIZE, [math.nan, 0.0, 0.0, None], (2, 0.0)),
    ],
)
def test_the_best_is_the_first_of_the_best_finite_values(
    objective: Any, values: list[float | None], best: tuple[int, float]
) -> None:
    world = ended(values, points=4, objective=objective)
    assert (world.status.best_trial.number, world.status.best_trial.objective) == best
    nans = [n for n, value in enumerate(values, 1) if value is not None and math.isnan(value)]
    assert nans == [t.number for t in world.trials if t.status.reason == TrialReason.METRIC_NAN]


def test_the_goal_stops_running_and_waiting_trials_before_it_is_complete() -> None:
    objective = MAXIMIZE.model_copy(update={"goal": 0.9})
    world = World(experiment_of(points=250, objective=objective, parallel_trial_count=3))
    world.settle()
    assert world.begin() == [1, 2, 3]
    world.end(1, 0.9)
    turn = world.turn()
    assert turn.driver_wanted
    assert not turn.finished
    assert world.reason("Running") == ("True", "Stopping")
    assert world.condition("Complete") is None
    assert world.status.state == "Stopping"
    counts = world.status.trials
    assert (counts.pending, counts.running, counts.succeeded) == (97, 2, 1)
    for slot in world.busy_slots:
        world.end(slot)
    turn = world.turn()
    assert turn.finished
    assert not turn.driver_wanted
    assert world.reason("Complete") == ("True", "GoalReached")
    message = "Trial 2 reached the goal: score is 0.9, at least 0.9."
    assert world.condition("Complete").message == message
    stopped = [trial for trial in world.trials if trial.state is TrialState.STOPPED]
    assert len(stopped) == 99
    assert {trial.status.reason for trial in stopped} == {TrialReason.GOAL_REACHED}
    assert {trial.status.message for trial in stopped} == {message}


def test_minimizing_reaches_the_goal_from_above() -> None:
    objective = MINIMIZE.model_copy(update={"goal": 0.1})
    world = ended([0.2, 0.05, 0.3], points=30, objective=objective, parallel_trial_count=1)
    assert world.reason("Complete") == ("True", "GoalReached")
    assert "at most 0.1" in world.condition("Complete").message
    assert world.status.trials.succeeded == 2


@pytest.mark.parametrize(("allowed", "failures"), [(0, 1), (1, 1), (2, 2), (3, 3), (None, None)])
def test_it_fails_when_as_many_trials_failed_as_katib_would_count(
    allowed: int | None, failures: int | None
) -> None:
    world = ended([1.0, None], points=20, parallel_trial_count=1, max_failed_trial_count=allowed)
    if failures is None:
        assert world.reason("Complete") == ("True", "SearchSpaceExhausted")
        return
    assert world.reason("Failed") == ("True", "MaxFailedTrialsReached")
    assert world.status.trials.failed == failures
    assert f"maxFailedTrialCount: {allowed}" in world.condition("Failed").message
    assert "Exception: it broke" in world.condition("Failed").message
    stopped = [trial for trial in world.trials if trial.state is TrialState.STOPPED]
    assert {trial.status.reason for trial in stopped} == {TrialReason.EXPERIMENT_FAILED}


def test_a_retried_attempt_is_no_failed_trial() -> None:
    world = World(experiment_of(points=2, retries=1, max_failed_trial_count=1))
    world.settle()
    world.begin()
    world.end(0)
    world.settle()
    assert world.status.trials.failed == 0
    assert world.reason("Running") == ("True", "TrialsRunning")


def test_a_goal_counts_more_than_the_failures_beside_it() -> None:
    objective = MAXIMIZE.model_copy(update={"goal": 0.9})
    world = World(experiment_of(points=9, objective=objective, max_failed_trial_count=1))
    world.settle()
    world.begin()
    world.end(0)
    world.end(1, 0.95)
    world.end(2)
    world.settle()
    assert world.reason("Complete") == ("True", "GoalReached")


def test_an_end_once_decided_outlives_an_edit_a_late_success_and_a_lost_status() -> None:
    objective = MAXIMIZE.model_copy(update={"goal": 0.9})
    world = World(experiment_of(points=9, objective=objective, max_failed_trial_count=1))
    world.settle()
    world.begin()
    world.end(0)
    world.turn()
    decided = world.condition("Running").message
    world.change(max_failed_trial_count=5)
    world.wipe_status()
    world.turn()
    assert world.condition("Running").message == decided
    world.end(1)
    world.end(2)
    world.settle()
    assert world.reason("Failed") == ("True", "MaxFailedTrialsReached")


def test_the_deadline_fails_it_at_the_second_and_asks_to_be_called_then() -> None:
    world = World(experiment_of(points=9, active_deadline_seconds=60))
    turn = world.turn()
    assert turn.requeue_after.total_seconds() == 60
    world.wait(59.5)
    assert world.turn().requeue_after.total_seconds() == 0.5
    assert world.condition("Failed") is None
    world.wait(0.5)
    world.turn()
    assert world.reason("Failed") == ("True", "DeadlineExceeded")
    assert "activeDeadlineSeconds: 60" in world.condition("Failed").message


def test_the_deadline_goes_on_while_it_is_suspended() -> None:
    world = World(experiment_of(points=9, active_deadline_seconds=60))
    world.settle()
    world.change(suspend=True)
    world.settle()
    world.wait(61)
    world.settle()
    assert world.reason("Failed") == ("True", "DeadlineExceeded")


def test_the_deadline_is_found_again_when_the_status_was_lost() -> None:
    world = World(experiment_of(points=9, active_deadline_seconds=60))
    world.settle()
    world.begin()
    world.wait(30)
    world.wipe_status()
    assert world.turn().requeue_after.total_seconds() == pytest.approx(30, abs=1)


def test_a_clock_that_runs_backwards_ends_nothing() -> None:
    world = World(experiment_of(points=2, active_deadline_seconds=60))
    world.settle()
    world.wait(-3600)
    assert world.run([1.0])[-1].finished
    assert world.reason("Complete") == ("True", "SearchSpaceExhausted")
    assert world.status.completion_time == world.status.start_time


def test_a_refused_function_fails_it_with_the_refusal() -> None:
    world = World(experiment_of(points=9))
    world.settle()
    world.refuse("train:training has no argument x; it has lr.")
    world.settle()
    assert world.reason("Accepted") == ("False", "FunctionRefused")
    assert world.reason("Failed") == ("True", "FunctionRefused")
    assert world.condition("Failed").message == "train:training has no argument x; it has lr."
    assert world.status.trials.stopped == world.status.trials.created == 9


def test_a_space_that_the_algorithm_can_not_search_is_an_invalid_spec() -> None:
    world = World(experiment_of(points=None))
    turn = world.turn()
    assert (turn.batches, turn.driver_wanted, turn.finished) == ((), False, True)
    assert world.reason("Accepted") == ("False", "InvalidSpec")
    assert world.reason("Failed") == ("True", "InvalidSpec")
    assert "grid can't enumerate x" in world.condition("Failed").message
    assert world.ask().status == world.status


def test_without_a_driver_unfinished_trials_count_as_stopped_at_once() -> None:
    world = World(experiment_of(points=9, max_failed_trial_count=1))
    world.settle()
    world.begin()
    world.end(0)
    world.end_driver()
    turn = world.turn()
    assert turn.finished
    counts = world.status.trials
    assert (counts.failed, counts.stopped, counts.pending, counts.running) == (1, 8, 0, 0)
    assert all(batch.spec.stop for batch in world.batches.values())


def test_a_driver_that_has_not_begun_is_given_up_when_the_end_comes() -> None:
    world = World(experiment_of(points=9, active_deadline_seconds=5))
    world.turn()
    world.driver = DriverState.STARTING
    world.wait(6)
    turn = world.turn()
    assert (turn.driver_wanted, turn.finished) == (False, False)
    assert world.turn().finished
    assert world.status.trials.stopped == 9


def test_a_finished_experiment_stays_as_it_is_until_its_time_to_live_is_over() -> None:
    world = ended([1.0], points=2, ttl_seconds_after_finished=100)
    status = world.status
    world.change(max_trial_count=50, suspend=True, parallel_trial_count=9)
    turn = world.turn()
    assert (turn.batches, turn.driver_wanted, turn.expired) == ((), False, False)
    assert turn.requeue_after.total_seconds() == 100
    world.wait(99.999)
    assert not world.turn().expired
    world.wait(0.001)
    turn = world.turn()
    assert turn.expired
    assert turn.requeue_after is None
    assert world.status == status


def test_the_end_is_written_before_the_object_is_deleted() -> None:
    world = World(experiment_of(points=1, ttl_seconds_after_finished=0))
    world.settle()
    world.begin()
    world.end(0, 1.0)
    turn = world.turn()
    assert (turn.finished, turn.expired) == (True, False)
    assert turn.requeue_after.total_seconds() == 0
    assert world.turn().expired


def test_without_a_time_to_live_it_stays() -> None:
    world = ended([1.0], points=2)
    world.wait(10**8)
    assert (world.turn().expired, world.turn().requeue_after) == (False, None)
