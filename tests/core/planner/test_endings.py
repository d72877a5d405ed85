"""Every end of an experiment, and the final states of its unfinished trials."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from sparksweep_core.api import AlgorithmName, BestTrial, TrialReason, TrialState
from sparksweep_core.planner import DriverState
from support.planner.planner_simulation import MAXIMIZE, MINIMIZE, Simulation, experiment_of


def ended(values: list[float | None], **spec: Any) -> Simulation:
    """Run a simulation to its end, in which trial n gets values[n - 1]."""
    simulation = Simulation(experiment_of(**spec))
    plans = simulation.run(values)
    assert plans[-1].finished
    return simulation


def best_trial(simulation: Simulation) -> BestTrial:
    assert simulation.status.best_trial is not None
    return simulation.status.best_trial


def seconds(after: timedelta | None) -> float:
    assert after is not None
    return after.total_seconds()


def test_a_grid_ends_when_all_its_points_ran() -> None:
    simulation = ended([0.1, 0.3, None], points=6)
    assert simulation.reason("Complete") == ("True", "SearchSpaceExhausted")
    assert simulation.condition("Complete").message == "All 6 grid points ran. 2 trials failed."
    assert simulation.reason("Running") == ("False", "Finished")
    assert simulation.find_condition("Failed") is None
    assert (simulation.status.state, simulation.status.progress) == ("Complete", "6/6")
    assert best_trial(simulation).number == 2


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
    simulation = ended([1.0], max_trial_count=12, **spec)
    assert simulation.reason("Complete") == ("True", "MaxTrialsReached")
    assert simulation.condition("Complete").message == message
    assert simulation.status.trials.created == simulation.status.trials.succeeded == 12


@pytest.mark.parametrize(
    ("points", "settings", "count", "reason", "message"),
    [
        (None, {}, 100, "MaxTrialsReached", "100 trials ran (the default of differential-evolution, 10 generations of 10; "
         "maxTrialCount sets another number)."),
        (200, {}, 100, "MaxTrialsReached", "100 trials ran (the default of differential-evolution, 10 generations of 10; "
         "maxTrialCount sets another number)."),
        (100, {}, 100, "SearchSpaceExhausted", "All 100 points of the search space ran."),
        (7, {}, 7, "SearchSpaceExhausted", "All 7 points of the search space ran."),
        (None, {"population": "5", "generations": "2"}, 10, "MaxTrialsReached",
         "10 trials ran (generations: 2, population: 5)."),
        (None, {"generations": "2"}, 20, "MaxTrialsReached", "20 trials ran (generations: 2, population: 10)."),
        (None, {"population": "4"}, 40, "MaxTrialsReached", "40 trials ran (population: 4, and by default 10 generations; "
         "maxTrialCount sets another number)."),
        (3, {"generations": "2"}, 3, "SearchSpaceExhausted", "All 3 points of the search space ran."),
    ],
)  # fmt: skip
def test_an_evolution_says_what_has_limited_it(
    points: int | None, settings: dict[str, str], count: int, reason: str, message: str
) -> None:
    simulation = ended(
        [1.0],
        points=points,
        algorithm=AlgorithmName.DIFFERENTIAL_EVOLUTION,
        settings=settings,
    )
    assert simulation.status.trials.succeeded == count
    assert simulation.reason("Complete") == ("True", reason)
    assert simulation.condition("Complete").message == message


@pytest.mark.parametrize(("parallel", "trials", "slots"), [(5, 2, 2), (3, 2, 2), (2, 5, 2)])
def test_no_more_slots_are_asked_for_than_there_are_trials(
    parallel: int, trials: int, slots: int
) -> None:
    simulation = Simulation(
        experiment_of(
            points=None,
            algorithm=AlgorithmName.RANDOM,
            parallel_trial_count=parallel,
            max_trial_count=trials,
        )
    )
    simulation.settle()
    assert [batch.spec.parallel_trial_count for batch in simulation.batches.values()] == [slots]
    simulation.change(max_trial_count=9)
    simulation.settle()
    last = list(simulation.batches.values())[-1]
    assert last.spec.parallel_trial_count == parallel


def test_no_success_is_a_failure() -> None:
    simulation = ended([None], points=3)
    assert simulation.reason("Failed") == ("True", "NoTrialSucceeded")
    assert simulation.condition("Failed").message == (
        "None of 3 trials succeeded. Trial 3 failed last: Exception: it broke"
    )
    assert simulation.find_condition("Complete") is None
    assert simulation.status.best_trial is None


def test_without_an_objective_trials_succeed_and_none_is_best() -> None:
    simulation = ended([0.5], points=3, objective=None)
    assert simulation.reason("Complete") == ("True", "SearchSpaceExhausted")
    assert simulation.status.best_trial is None


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
    simulation = ended(values, points=4, objective=objective)
    assert (best_trial(simulation).number, best_trial(simulation).objective) == best
    nans = [n for n, value in enumerate(values, 1) if value is not None and math.isnan(value)]
    assert nans == [
        t.number for t in simulation.trials if t.status.reason == TrialReason.METRIC_NAN
    ]


def test_the_goal_stops_running_and_waiting_trials_before_it_is_complete() -> None:
    objective = MAXIMIZE.model_copy(update={"goal": 0.9})
    simulation = Simulation(experiment_of(points=250, objective=objective, parallel_trial_count=3))
    simulation.settle()
    assert simulation.begin() == [1, 2, 3]
    simulation.end(1, 0.9)
    planned = simulation.reconcile()
    assert planned.driver_wanted
    assert not planned.finished
    assert simulation.reason("Running") == ("True", "Stopping")
    assert simulation.find_condition("Complete") is None
    assert simulation.status.state == "Stopping"
    counts = simulation.status.trials
    assert (counts.pending, counts.running, counts.succeeded) == (97, 2, 1)
    for slot in simulation.busy_slots:
        simulation.end(slot)
    planned = simulation.reconcile()
    assert planned.finished
    assert not planned.driver_wanted
    assert simulation.reason("Complete") == ("True", "GoalReached")
    message = "Trial 2 reached the goal: score is 0.9, at least 0.9."
    assert simulation.condition("Complete").message == message
    stopped = [trial for trial in simulation.trials if trial.state is TrialState.STOPPED]
    assert len(stopped) == 99
    assert {trial.status.reason for trial in stopped} == {TrialReason.GOAL_REACHED}
    assert {trial.status.message for trial in stopped} == {message}


def test_minimizing_reaches_the_goal_from_above() -> None:
    objective = MINIMIZE.model_copy(update={"goal": 0.1})
    simulation = ended([0.2, 0.05, 0.3], points=30, objective=objective, parallel_trial_count=1)
    assert simulation.reason("Complete") == ("True", "GoalReached")
    assert "at most 0.1" in simulation.condition("Complete").message
    assert simulation.status.trials.succeeded == 2


@pytest.mark.parametrize(("allowed", "failures"), [(0, 1), (1, 1), (2, 2), (3, 3), (None, None)])
def test_it_fails_when_as_many_trials_failed_as_katib_would_count(
    allowed: int | None, failures: int | None
) -> None:
    simulation = ended(
        [1.0, None], points=20, parallel_trial_count=1, max_failed_trial_count=allowed
    )
    if failures is None:
        assert simulation.reason("Complete") == ("True", "SearchSpaceExhausted")
        return
    assert simulation.reason("Failed") == ("True", "MaxFailedTrialsReached")
    assert simulation.status.trials.failed == failures
    assert f"maxFailedTrialCount: {allowed}" in simulation.condition("Failed").message
    assert "Exception: it broke" in simulation.condition("Failed").message
    stopped = [trial for trial in simulation.trials if trial.state is TrialState.STOPPED]
    assert {trial.status.reason for trial in stopped} == {TrialReason.EXPERIMENT_FAILED}


def test_a_retried_attempt_is_no_failed_trial() -> None:
    simulation = Simulation(experiment_of(points=2, retries=1, max_failed_trial_count=1))
    simulation.settle()
    simulation.begin()
    simulation.end(0)
    simulation.settle()
    assert simulation.status.trials.failed == 0
    assert simulation.reason("Running") == ("True", "TrialsRunning")


def test_a_goal_counts_more_than_the_failures_beside_it() -> None:
    objective = MAXIMIZE.model_copy(update={"goal": 0.9})
    simulation = Simulation(experiment_of(points=9, objective=objective, max_failed_trial_count=1))
    simulation.settle()
    simulation.begin()
    simulation.end(0)
    simulation.end(1, 0.95)
    simulation.end(2)
    simulation.settle()
    assert simulation.reason("Complete") == ("True", "GoalReached")


def test_an_end_once_decided_outlives_an_edit_a_late_success_and_a_lost_status() -> None:
    objective = MAXIMIZE.model_copy(update={"goal": 0.9})
    simulation = Simulation(experiment_of(points=9, objective=objective, max_failed_trial_count=1))
    simulation.settle()
    simulation.begin()
    simulation.end(0)
    simulation.reconcile()
    decided = simulation.condition("Running").message
    simulation.change(max_failed_trial_count=5)
    simulation.wipe_status()
    simulation.reconcile()
    assert simulation.condition("Running").message == decided
    simulation.end(1)
    simulation.end(2)
    simulation.settle()
    assert simulation.reason("Failed") == ("True", "MaxFailedTrialsReached")


def test_the_deadline_fails_it_at_the_second_and_asks_to_be_called_then() -> None:
    simulation = Simulation(experiment_of(points=9, active_deadline_seconds=60))
    planned = simulation.reconcile()
    assert seconds(planned.requeue_after) == 60
    simulation.wait(59.5)
    assert seconds(simulation.reconcile().requeue_after) == 0.5
    assert simulation.find_condition("Failed") is None
    simulation.wait(0.5)
    simulation.reconcile()
    assert simulation.reason("Failed") == ("True", "DeadlineExceeded")
    assert "activeDeadlineSeconds: 60" in simulation.condition("Failed").message


def test_the_deadline_goes_on_while_it_is_suspended() -> None:
    simulation = Simulation(experiment_of(points=9, active_deadline_seconds=60))
    simulation.settle()
    simulation.change(suspend=True)
    simulation.settle()
    simulation.wait(61)
    simulation.settle()
    assert simulation.reason("Failed") == ("True", "DeadlineExceeded")


def test_the_deadline_is_found_again_when_the_status_was_lost() -> None:
    simulation = Simulation(experiment_of(points=9, active_deadline_seconds=60))
    simulation.settle()
    simulation.begin()
    simulation.wait(30)
    simulation.wipe_status()
    assert seconds(simulation.reconcile().requeue_after) == pytest.approx(30, abs=1)


def test_a_clock_that_runs_backwards_ends_nothing() -> None:
    simulation = Simulation(experiment_of(points=2, active_deadline_seconds=60))
    simulation.settle()
    simulation.wait(-3600)
    assert simulation.run([1.0])[-1].finished
    assert simulation.reason("Complete") == ("True", "SearchSpaceExhausted")
    assert simulation.status.completion_time == simulation.status.start_time


def test_a_refused_function_fails_it_with_the_refusal() -> None:
    simulation = Simulation(experiment_of(points=9))
    simulation.settle()
    simulation.refuse("train:training has no argument x; it has lr.")
    simulation.settle()
    assert simulation.reason("Accepted") == ("False", "FunctionRefused")
    assert simulation.reason("Failed") == ("True", "FunctionRefused")
    assert simulation.condition("Failed").message == "train:training has no argument x; it has lr."
    assert simulation.status.trials.stopped == simulation.status.trials.created == 9


def test_a_space_that_the_algorithm_can_not_search_is_an_invalid_spec() -> None:
    simulation = Simulation(experiment_of(points=None))
    planned = simulation.reconcile()
    assert (planned.batches, planned.driver_wanted, planned.finished) == ((), False, True)
    assert simulation.reason("Accepted") == ("False", "InvalidSpec")
    assert simulation.reason("Failed") == ("True", "InvalidSpec")
    assert "grid can't enumerate x" in simulation.condition("Failed").message
    assert simulation.ask().status == simulation.status


def test_without_a_driver_unfinished_trials_count_as_stopped_at_once() -> None:
    simulation = Simulation(experiment_of(points=9, max_failed_trial_count=1))
    simulation.settle()
    simulation.begin()
    simulation.end(0)
    simulation.end_driver()
    planned = simulation.reconcile()
    assert planned.finished
    counts = simulation.status.trials
    assert (counts.failed, counts.stopped, counts.pending, counts.running) == (1, 8, 0, 0)
    assert all(batch.spec.stop for batch in simulation.batches.values())


def test_a_driver_that_has_not_begun_is_given_up_when_the_end_comes() -> None:
    simulation = Simulation(experiment_of(points=9, active_deadline_seconds=5))
    simulation.reconcile()
    simulation.driver = DriverState.STARTING
    simulation.wait(6)
    planned = simulation.reconcile()
    assert (planned.driver_wanted, planned.finished) == (False, False)
    assert simulation.reconcile().finished
    assert simulation.status.trials.stopped == 9


def test_a_finished_experiment_stays_as_it_is_until_its_time_to_live_is_over() -> None:
    simulation = ended([1.0], points=2, ttl_seconds_after_finished=100)
    status = simulation.status
    simulation.change(max_trial_count=50, suspend=True, parallel_trial_count=9)
    planned = simulation.reconcile()
    assert (planned.batches, planned.driver_wanted, planned.expired) == ((), False, False)
    assert seconds(planned.requeue_after) == 100
    simulation.wait(99.999)
    assert not simulation.reconcile().expired
    simulation.wait(0.001)
    planned = simulation.reconcile()
    assert planned.expired
    assert planned.requeue_after is None
    assert simulation.status == status


def test_the_end_is_written_before_the_object_is_deleted() -> None:
    simulation = Simulation(experiment_of(points=1, ttl_seconds_after_finished=0))
    simulation.settle()
    simulation.begin()
    simulation.end(0, 1.0)
    planned = simulation.reconcile()
    assert (planned.finished, planned.expired) == (True, False)
    assert seconds(planned.requeue_after) == 0
    assert simulation.reconcile().expired


def test_without_a_time_to_live_it_stays() -> None:
    simulation = ended([1.0], points=2)
    simulation.wait(10**8)
    assert (simulation.reconcile().expired, simulation.reconcile().requeue_after) == (False, None)
