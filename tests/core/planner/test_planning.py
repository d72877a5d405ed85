"""Plans of a running experiment: the first one, new batches, suspension, changes of the spec, the status."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sparksweep_core.api import AlgorithmName, FeasibleSpace, TrialState, TrialStatus, limits
from sparksweep_core.planner import DriverState, DriverStatus, Locations, plan, reject
from support.messages import SWAPPED_BOUNDS
from support.planner.planner_simulation import (
    METRIC,
    START,
    Simulation,
    experiment_of,
    simulation_of,
)


def test_the_first_plan_makes_the_first_batch_and_wants_a_driver() -> None:
    simulation = Simulation(experiment_of(points=10))
    planned = simulation.reconcile()
    (batch,) = planned.batches
    assert batch.metadata.name == "digits-00000"
    assert batch.metadata.namespace == "lab"
    assert batch.metadata.labels == {"sparksweep.dev/experiment": "digits"}
    (owner,) = batch.metadata.owner_references or []
    assert (owner.kind, owner.name, owner.uid, owner.controller) == (
        "Experiment", "digits", "uid-1", True,
    )  # fmt: skip
    assert [trial.parameters["x"] for trial in batch.spec.trials] == [str(n) for n in range(1, 11)]
    assert planned.driver_wanted
    assert simulation.reason("Accepted") == ("True", "Valid")
    assert simulation.reason("Running") == ("False", "WaitingForDriver")
    assert simulation.status.start_time == START.replace(microsecond=123000)
    assert (simulation.status.state, simulation.status.progress) == ("Pending", "0/10")


def test_an_experiment_without_uid_owns_nothing() -> None:
    (batch,) = Simulation(experiment_of(uid=None)).reconcile().batches
    assert batch.metadata.owner_references is None


def test_a_truncated_grid_says_how_many_of_its_points_run() -> None:
    simulation = Simulation(experiment_of(points=45, max_trial_count=12))
    simulation.reconcile()
    assert simulation.reason("Accepted") == ("True", "GridTruncated")
    message = "The grid has 45 points, of which the first 12 run (maxTrialCount: 12)."
    assert simulation.condition("Accepted").message == message
    simulation.change(max_trial_count=100)
    simulation.reconcile()
    assert simulation.reason("Accepted") == ("True", "Valid")
    assert "45 points" in simulation.condition("Accepted").message


@pytest.mark.parametrize(
    ("points", "text"), [(10**40, "10^40"), (32 * 10**39, "about 3.2 * 10^40")]
)
def test_a_grid_without_bounds_runs_as_many_trials_as_an_experiment_may_have(
    points: int, text: str
) -> None:
    simulation = Simulation(experiment_of(points=points))
    simulation.reconcile()
    assert f"The grid has {text} points" in simulation.condition("Accepted").message
    assert simulation.status.trials.expected == limits.TRIALS
    assert simulation.status.trials.created == limits.BATCH_TRIALS


def test_bounds_that_were_exchanged_are_named() -> None:
    experiment = experiment_of(points=None, algorithm=AlgorithmName.DIFFERENTIAL_EVOLUTION)
    space = FeasibleSpace(min="1", max="0")
    parameters = [
        parameter.model_copy(update={"feasible_space": space})
        for parameter in experiment.spec.parameters
    ]
    simulation = Simulation(experiment)
    simulation.change(parameters=parameters)
    simulation.settle()
    assert simulation.reason("Accepted") == ("True", "BoundsExchanged")
    message = f"{SWAPPED_BOUNDS}: x."
    assert simulation.condition("Accepted").message == message
    assert simulation.begin()


def test_an_unbounded_search_counts_without_an_end() -> None:
    simulation = Simulation(experiment_of(points=None, algorithm=AlgorithmName.RANDOM))
    simulation.settle()
    simulation.begin()
    simulation.end(0, 1.0)
    simulation.reconcile()
    assert simulation.status.trials.expected is None
    assert simulation.status.progress == "1"


@pytest.mark.parametrize("parallel", [1, 3, 49, 51, 1000])
def test_twice_as_many_trials_wait_as_there_are_slots_in_full_batches(parallel: int) -> None:
    simulation = Simulation(experiment_of(points=100_000, parallel_trial_count=parallel))
    simulation.settle()
    for _ in range(5):
        assert len(simulation.begin()) == parallel
        simulation.reconcile()
        assert simulation.status.trials.pending >= 2 * parallel
        assert {len(batch.spec.trials) for batch in simulation.batches.values()} == {100}
        for slot in simulation.busy_slots:
            simulation.end(slot, 1.0)


def test_a_generation_is_made_at_once_and_the_next_when_it_has_ended() -> None:
    simulation = Simulation(
        experiment_of(
            points=None,
            algorithm=AlgorithmName.DIFFERENTIAL_EVOLUTION,
            settings={"mode": "generational", "population": "12", "generations": "3"},
            parallel_trial_count=5,
        )
    )
    simulation.settle()
    sizes = []
    while not simulation.status.completion_time:
        sizes.append(len(simulation.trials))
        simulation.begin()
        for slot in simulation.busy_slots:
            simulation.end(slot, 1.0)
        simulation.settle()
    assert sizes == [12, 12, 12, 24, 24, 24, 36, 36, 36]
    assert simulation.reason("Complete") == ("True", "MaxTrialsReached")
    message = "36 trials ran (generations: 3, population: 12)."
    assert simulation.condition("Complete").message == message


def test_without_generations_few_trials_wait_so_that_the_next_ones_know_more() -> None:
    simulation = Simulation(
        experiment_of(
            points=None,
            algorithm=AlgorithmName.DIFFERENTIAL_EVOLUTION,
            parallel_trial_count=8,
            max_trial_count=100,
        )
    )
    simulation.settle()
    for _ in range(20):
        simulation.begin()
        simulation.reconcile()
        simulation.begin()
        simulation.reconcile()
        assert (simulation.status.trials.running, simulation.status.trials.pending) == (8, 2)
        simulation.end(simulation.busy_slots[-1], 1.0)


def test_a_batch_is_filled_before_the_next_one_is_made() -> None:
    simulation = Simulation(experiment_of(points=250, max_trial_count=30))
    simulation.settle()
    simulation.change(max_trial_count=250, parallel_trial_count=60)
    planned = simulation.reconcile()
    assert [(b.metadata.name, len(b.spec.trials)) for b in planned.batches] == [
        ("digits-00000", 100), ("digits-00001", 100),
    ]  # fmt: skip
    assert [trial.number for trial in simulation.trials] == list(range(1, 201))
    assert simulation.status.trials.pending == simulation.status.trials.created == 200


def test_lowering_the_most_trials_takes_nothing_back() -> None:
    simulation = Simulation(experiment_of(points=50))
    simulation.settle()
    simulation.change(max_trial_count=5)
    assert simulation.settle().batches == ()
    assert simulation.status.trials.expected == simulation.status.trials.created == 50
    assert simulation.run([1.0])[-1].finished
    assert simulation.reason("Complete") == ("True", "SearchSpaceExhausted")


def test_raising_the_most_trials_just_before_the_end_goes_on() -> None:
    simulation = Simulation(experiment_of(points=50, max_trial_count=2))
    simulation.settle()
    simulation.begin()
    simulation.end(0, 1.0)
    simulation.end(1, 1.0)
    simulation.change(max_trial_count=4)
    assert not simulation.settle().finished
    assert simulation.status.progress == "2/4"
    assert simulation.condition("Running").observed_generation == 2


def test_suspending_gives_the_driver_back_and_what_ran_waits_again() -> None:
    simulation = Simulation(experiment_of(points=300, parallel_trial_count=3))
    simulation.settle()
    simulation.begin()
    simulation.end(0, 1.0)
    simulation.change(suspend=True)
    planned = simulation.reconcile()
    assert (planned.driver_wanted, planned.batches, planned.finished) == (False, (), False)
    assert simulation.reason("Suspended") == ("True", "SuspendedByUser")
    assert simulation.reason("Running") == ("False", "SuspendedByUser")
    assert simulation.status.trials.running == 2, "the driver still ran"
    simulation.reconcile()
    counts = simulation.status.trials
    assert (counts.pending, counts.running, counts.succeeded) == (99, 0, 1)
    assert [trial.number for trial in simulation.status.recent_trials] == [1]
    assert simulation.status.state == "Suspended"

    simulation.change(suspend=False)
    simulation.settle()
    assert simulation.reason("Suspended") == ("False", "Resumed")
    assert simulation.begin() == [2, 3, 4]
    assert {trial.number: trial.status.attempt for trial in simulation.trials[:4]} == {
        1: 1, 2: 2, 3: 2, 4: 1,
    }  # fmt: skip


def test_an_experiment_that_was_made_suspended_starts_nothing_and_no_clock() -> None:
    simulation = Simulation(experiment_of(suspend=True, active_deadline_seconds=10))
    planned = simulation.settle()
    assert (planned.driver_wanted, planned.batches, planned.requeue_after) == (False, (), None)
    assert simulation.reason("Accepted") == ("True", "Valid")
    assert simulation.status.start_time is None
    simulation.wait(100)
    simulation.change(suspend=False)
    assert simulation.settle().requeue_after is not None
    assert simulation.status.trials.created == 10


def test_conditions_keep_the_time_of_their_last_change() -> None:
    simulation = Simulation(experiment_of(points=300))
    simulation.reconcile()
    waiting = simulation.condition("Running").last_transition_time
    simulation.wait(5)
    simulation.driver = DriverState.STARTING
    simulation.reconcile()
    assert simulation.condition("Running").last_transition_time == waiting
    simulation.wait(5)
    simulation.start_driver()
    simulation.change(parallel_trial_count=5)
    simulation.reconcile()
    running = simulation.condition("Running").last_transition_time
    assert (running - waiting).total_seconds() == 10
    assert simulation.condition("Accepted").last_transition_time == waiting
    assert {c.observed_generation for c in simulation.status.conditions} == {2}
    assert simulation.status.observed_generation == 2


def test_finished_trials_do_not_touch_the_conditions() -> None:
    simulation = Simulation(experiment_of(points=300))
    simulation.settle()
    before = simulation.status.conditions
    simulation.begin()
    simulation.end(0, 1.0)
    simulation.end(1)
    simulation.reconcile()
    assert simulation.status.conditions == before
    assert simulation.status.best_trial is not None


def test_what_keeps_the_driver_is_said() -> None:
    experiment = experiment_of()
    driver = DriverStatus(state=DriverState.STARTING, message="0/3 nodes have a free GPU.")
    planned = plan(experiment, [], driver=driver, now=START)
    (running,) = [c for c in planned.status.conditions if c.type == "Running"]
    assert (running.reason, running.message) == ("WaitingForDriver", "0/3 nodes have a free GPU.")


def test_what_keeps_every_executor_is_said() -> None:
    simulation = Simulation(experiment_of(points=10))
    simulation.settle()
    driver = DriverStatus(state=DriverState.RUNNING, message="0/2 nodes are available")
    status = plan(
        simulation.experiment, list(simulation.batches.values()), driver=driver, now=simulation.now
    ).status
    (running,) = [item for item in status.conditions if item.type == "Running"]
    assert (running.status, running.reason) == ("False", "WaitingForExecutors")
    assert running.message == "0/2 nodes are available"


def test_what_keeps_some_executors_is_said_beside_the_trials_that_run() -> None:
    simulation = Simulation(experiment_of(points=10, parallel_trial_count=3))
    simulation.settle()
    simulation.begin()
    driver = DriverStatus(state=DriverState.RUNNING, message="One of 3 executors is waiting.")
    status = plan(
        simulation.experiment, list(simulation.batches.values()), driver=driver, now=simulation.now
    ).status
    (running,) = [item for item in status.conditions if item.type == "Running"]
    assert (running.status, running.reason) == ("True", "TrialsRunning")
    assert (
        running.message == "Trials are running, at most 3 at once. One of 3 executors is waiting."
    )


def test_a_changed_parallelism_is_written_into_the_newest_batch_alone() -> None:
    simulation = Simulation(experiment_of(points=150, parallel_trial_count=70))
    simulation.settle()
    assert [batch.spec.parallel_trial_count for batch in simulation.batches.values()] == [70, 70]
    simulation.change(parallel_trial_count=5)
    (batch,) = simulation.reconcile().batches
    assert (batch.spec.index, batch.spec.parallel_trial_count) == (1, 5)
    assert [batch.spec.parallel_trial_count for batch in simulation.batches.values()] == [70, 5]


def test_a_parallelism_changed_after_the_last_trial_does_not_delay_the_end() -> None:
    simulation = Simulation(experiment_of(points=2, parallel_trial_count=2))
    simulation.settle()
    simulation.begin()
    simulation.end(0, 1.0)
    simulation.end(1, 2.0)
    simulation.change(parallel_trial_count=1)
    planned = simulation.reconcile()
    assert (planned.batches, planned.finished) == ((), True)


def test_a_lost_status_is_made_again_from_the_batches() -> None:
    simulation = Simulation(experiment_of(points=300))
    simulation.settle()
    simulation.begin()
    simulation.end(0, 1.0)
    simulation.end(1)
    simulation.reconcile()
    before = simulation.status
    simulation.wipe_status()
    simulation.reconcile()
    assert simulation.status.trials == before.trials
    assert simulation.status.best_trial == before.best_trial
    assert simulation.status.recent_trials == before.recent_trials


def test_locations_in_the_status_are_kept() -> None:
    simulation = Simulation(experiment_of())
    simulation.reconcile()
    links = {"tensorboard": "http://here", "results": "/data/results.parquet"}
    status = simulation.status.model_copy(update=links)
    simulation.experiment = simulation.experiment.model_copy(update={"status": status})
    simulation.settle()
    assert (simulation.status.tensorboard, simulation.status.results) == tuple(links.values())


@pytest.mark.parametrize("finished", [False, True])
def test_given_locations_replace_those_in_the_status(finished: bool) -> None:
    simulation = Simulation(experiment_of())
    if finished:
        simulation.run([1.0])
    else:
        simulation.settle()
    driver = DriverStatus(state=simulation.driver)
    batches = list(simulation.batches.values())
    for locations in (Locations("pod/digits-driver-0:/run", "http://here"), Locations()):
        status = plan(
            simulation.experiment,
            batches,
            driver=driver,
            now=simulation.now,
            locations=locations,
        ).status
        assert (status.results, status.tensorboard) == (locations.results, locations.tensorboard)
        assert status.state == simulation.status.state


def test_a_rejected_experiment_names_its_locations_too() -> None:
    status = reject(
        experiment_of(), "no", now=START, locations=Locations(results="s3://b/x")
    ).status
    assert (status.results, status.tensorboard) == ("s3://b/x", None)


def test_recent_trials_are_the_best_the_last_failed_and_running_ones() -> None:
    simulation = Simulation(experiment_of(points=300, parallel_trial_count=20))
    simulation.settle()
    simulation.begin()
    for slot in range(6):
        simulation.wait(1)
        simulation.end(slot, message="x" * 3000)
    simulation.end(6, 0.5)
    simulation.begin()
    simulation.reconcile()
    recent = simulation.status.recent_trials
    assert [trial.number for trial in recent] == [4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    assert [trial.state for trial in recent[:5]] == [
        TrialState.FAILED, TrialState.FAILED, TrialState.FAILED, TrialState.SUCCEEDED,
        TrialState.RUNNING,
    ]  # fmt: skip
    assert len(recent[0].message or "") == 512


def trial_of(number: int) -> TrialStatus:
    """Of the trials, a third each has failed, is running, has succeeded."""
    state = (TrialState.FAILED, TrialState.RUNNING, TrialState.SUCCEEDED)[number % 3]
    done = state is TrialState.SUCCEEDED
    return TrialStatus(
        number=number,
        state=state,
        attempt=1,
        metrics={METRIC: float(number)} if done else {},
        reason="Exception" if state is TrialState.FAILED else None,
        message="y" * 4000 if state is TrialState.FAILED else None,
        completion_time=START + timedelta(seconds=number),
    )


def test_the_status_of_ten_thousand_trials_is_no_larger_than_that_of_twenty() -> None:
    sizes = []
    for count in (20, 10_000):
        simulation = simulation_of(
            experiment_of(points=count, parallel_trial_count=10),
            [trial_of(number) for number in range(1, count + 1)],
        )
        simulation.reconcile()
        assert len(simulation.status.recent_trials) == limits.RECENT_TRIALS
        assert simulation.status.trials.created == count
        sizes.append(len(simulation.status.to_json()))
    assert abs(sizes[1] - sizes[0]) <= 1000
    assert max(sizes) <= 10_000
