"""How an experiment goes on: its first plan, refills, suspension, changes while it runs, and its status."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sparksweep_core.api import AlgorithmName, FeasibleSpace, TrialState, TrialStatus, limits
from sparksweep_core.planner import DriverState, DriverView, plan
from support.planner.planned_world import METRIC, START, World, experiment_of, world_of


def test_the_first_plan_makes_the_first_batch_and_wants_a_driver() -> None:
    world = World(experiment_of(points=10))
    turn = world.turn()
    (batch,) = turn.batches
    assert batch.metadata.name == "digits-00000"
    assert batch.metadata.namespace == "lab"
    assert batch.metadata.labels == {"sparksweep.dev/experiment": "digits"}
    (owner,) = batch.metadata.owner_references or []
    assert (owner.kind, owner.name, owner.uid, owner.controller) == (
        "Experiment", "digits", "uid-1", True,
    )  # fmt: skip
    assert [trial.parameters["x"] for trial in batch.spec.trials] == [str(n) for n in range(1, 11)]
    assert turn.driver_wanted
    assert world.reason("Accepted") == ("True", "Valid")
    assert world.reason("Running") == ("False", "WaitingForDriver")
    assert world.status.start_time == START.replace(microsecond=123000)
    assert (world.status.state, world.status.progress) == ("Pending", "0/10")


def test_an_experiment_without_uid_owns_nothing() -> None:
    (batch,) = World(experiment_of(uid=None)).turn().batches
    assert batch.metadata.owner_references is None


def test_a_truncated_grid_says_how_many_of_its_points_run() -> None:
    world = World(experiment_of(points=45, max_trial_count=12))
    world.turn()
    assert world.reason("Accepted") == ("True", "GridTruncated")
    message = "The grid has 45 points, of which the first 12 run (maxTrialCount: 12)."
    assert world.condition("Accepted").message == message
    world.change(max_trial_count=100)
    world.turn()
    assert world.reason("Accepted") == ("True", "Valid")
    assert "45 points" in world.condition("Accepted").message


@pytest.mark.parametrize(
    ("points", "text"), [(10**40, "10^40"), (32 * 10**39, "about 3.2 * 10^40")]
)
def test_a_grid_without_bounds_runs_as_many_trials_as_an_experiment_may_have(
    points: int, text: str
) -> None:
    world = World(experiment_of(points=points))
    world.turn()
    assert f"The grid has {text} points" in world.condition("Accepted").message
    assert world.status.trials.expected == limits.TRIALS
    assert world.status.trials.created == limits.BATCH_TRIALS


def test_bounds_that_were_exchanged_are_named() -> None:
    experiment = experiment_of(points=None, algorithm=AlgorithmName.DIFFERENTIAL_EVOLUTION)
    space = FeasibleSpace(min="1", max="0")
    parameters = [
        parameter.model_copy(update={"feasible_space": space})
        for parameter in experiment.spec.parameters
    ]
    world = World(experiment)
    world.change(parameters=parameters)
    world.settle()
    assert world.reason("Accepted") == ("True", "BoundsExchanged")
    message = "min was more than max, and they were exchanged: x."
    assert world.condition("Accepted").message == message
    assert world.begin()


def test_an_unbounded_search_counts_without_an_end() -> None:
    world = World(experiment_of(points=None, algorithm=AlgorithmName.RANDOM))
    world.settle()
    world.begin()
    world.end(0, 1.0)
    world.turn()
    assert world.status.trials.expected is None
    assert world.status.progress == "1"


@pytest.mark.parametrize("parallel", [1, 3, 49, 51, 1000])
def test_twice_as_many_trials_wait_as_there_are_slots_in_full_batches(parallel: int) -> None:
    world = World(experiment_of(points=100_000, parallel_trial_count=parallel))
    world.settle()
    for _ in range(5):
        assert len(world.begin()) == parallel
        world.turn()
        assert world.status.trials.pending >= 2 * parallel
        assert {len(batch.spec.trials) for batch in world.batches.values()} == {100}
        for slot in world.busy_slots:
            world.end(slot, 1.0)


def test_a_generation_is_made_at_once_and_the_next_when_it_has_ended() -> None:
    world = World(
        experiment_of(
            points=None,
            algorithm=AlgorithmName.DIFFERENTIAL_EVOLUTION,
            settings={"mode": "generational", "population": "12", "generations": "3"},
            parallel_trial_count=5,
        )
    )
    world.settle()
    sizes = []
    while not world.status.completion_time:
        sizes.append(len(world.trials))
        world.begin()
        for slot in world.busy_slots:
            world.end(slot, 1.0)
        world.settle()
    assert sizes == [12, 12, 12, 24, 24, 24, 36, 36, 36]
    assert world.reason("Complete") == ("True", "SearchSpaceExhausted")


def test_without_generations_few_trials_wait_so_that_the_next_ones_know_more() -> None:
    world = World(
        experiment_of(
            points=None,
            algorithm=AlgorithmName.DIFFERENTIAL_EVOLUTION,
            parallel_trial_count=8,
            max_trial_count=100,
        )
    )
    world.settle()
    for _ in range(20):
        world.begin()
        world.turn()
        world.begin()
        world.turn()
        assert (world.status.trials.running, world.status.trials.pending) == (8, 2)
        world.end(world.busy_slots[-1], 1.0)


def test_a_batch_is_filled_before_the_next_one_is_made() -> None:
    world = World(experiment_of(points=250, max_trial_count=30))
    world.settle()
    world.change(max_trial_count=250, parallel_trial_count=60)
    turn = world.turn()
    assert [(b.metadata.name, len(b.spec.trials)) for b in turn.batches] == [
        ("digits-00000", 100), ("digits-00001", 100),
    ]  # fmt: skip
    assert [trial.number for trial in world.trials] == list(range(1, 201))
    assert world.status.trials.pending == world.status.trials.created == 200


def test_lowering_the_most_trials_takes_nothing_back() -> None:
    world = World(experiment_of(points=50))
    world.settle()
    world.change(max_trial_count=5)
    assert world.settle().batches == ()
    assert world.status.trials.expected == world.status.trials.created == 50
    assert world.run([1.0])[-1].finished
    assert world.reason("Complete") == ("True", "SearchSpaceExhausted")


def test_raising_the_most_trials_just_before_the_end_goes_on() -> None:
    world = World(experiment_of(points=50, max_trial_count=2))
    world.settle()
    world.begin()
    world.end(0, 1.0)
    world.end(1, 1.0)
    world.change(max_trial_count=4)
    assert not world.settle().finished
    assert world.status.progress == "2/4"
    assert world.condition("Running").observed_generation == 2


def test_suspending_gives_the_driver_back_and_what_ran_waits_again() -> None:
    world = World(experiment_of(points=300, parallel_trial_count=3))
    world.settle()
    world.begin()
    world.end(0, 1.0)
    world.change(suspend=True)
    turn = world.turn()
    assert (turn.driver_wanted, turn.batches, turn.finished) == (False, (), False)
    assert world.reason("Suspended") == ("True", "SuspendedByUser")
    assert world.reason("Running") == ("False", "SuspendedByUser")
    assert world.status.trials.running == 2, "the driver was still there"
    world.turn()
    counts = world.status.trials
    assert (counts.pending, counts.running, counts.succeeded) == (99, 0, 1)
    assert [trial.number for trial in world.status.recent_trials] == [1]
    assert world.status.state == "Suspended"

    world.change(suspend=False)
    world.settle()
    assert world.reason("Suspended") == ("False", "Resumed")
    assert world.begin() == [2, 3, 4]
    assert {trial.number: trial.status.attempt for trial in world.trials[:4]} == {
        1: 1, 2: 2, 3: 2, 4: 1,
    }  # fmt: skip


def test_an_experiment_that_was_made_suspended_starts_nothing_and_no_clock() -> None:
    world = World(experiment_of(suspend=True, active_deadline_seconds=10))
    turn = world.settle()
    assert (turn.driver_wanted, turn.batches, turn.requeue_after) == (False, (), None)
    assert world.reason("Accepted") == ("True", "Valid")
    assert world.status.start_time is None
    world.wait(100)
    world.change(suspend=False)
    assert world.settle().requeue_after is not None
    assert world.status.trials.created == 10


def test_conditions_keep_the_time_of_their_last_change() -> None:
    world = World(experiment_of(points=300))
    world.turn()
    waiting = world.condition("Running").last_transition_time
    world.wait(5)
    world.driver = DriverState.STARTING
    world.turn()
    assert world.condition("Running").last_transition_time == waiting
    world.wait(5)
    world.start_driver()
    world.change(parallel_trial_count=5)
    world.turn()
    running = world.condition("Running").last_transition_time
    assert (running - waiting).total_seconds() == 10
    assert world.condition("Accepted").last_transition_time == waiting
    assert {c.observed_generation for c in world.status.conditions} == {2}
    assert world.status.observed_generation == 2


def test_finished_trials_do_not_touch_the_conditions() -> None:
    world = World(experiment_of(points=300))
    world.settle()
    before = world.status.conditions
    world.begin()
    world.end(0, 1.0)
    world.end(1)
    world.turn()
    assert world.status.conditions == before
    assert world.status.best_trial is not None


def test_what_keeps_the_driver_is_said() -> None:
    experiment = experiment_of()
    view = DriverView(state=DriverState.STARTING, message="0/3 nodes have a free GPU.")
    turn = plan(experiment, [], view, START)
    (running,) = [c for c in turn.status.conditions if c.type == "Running"]
    assert (running.reason, running.message) == ("WaitingForDriver", "0/3 nodes have a free GPU.")


def test_what_keeps_every_executor_is_said() -> None:
    world = World(experiment_of(points=10))
    world.settle()
    view = DriverView(state=DriverState.RUNNING, message="0/2 nodes are available")
    status = plan(world.experiment, list(world.batches.values()), view, world.now).status
    (running,) = [item for item in status.conditions if item.type == "Running"]
    assert (running.status, running.reason) == ("False", "WaitingForExecutors")
    assert running.message == "0/2 nodes are available"


def test_what_keeps_some_executors_is_said_beside_the_trials_that_run() -> None:
    world = World(experiment_of(points=10, parallel_trial_count=3))
    world.settle()
    world.begin()
    view = DriverView(state=DriverState.RUNNING, message="One of 3 executors waits.")
    status = plan(world.experiment, list(world.batches.values()), view, world.now).status
    (running,) = [item for item in status.conditions if item.type == "Running"]
    assert (running.status, running.reason) == ("True", "TrialsRunning")
    assert running.message == "Trials run, at most 3 at once. One of 3 executors waits."


def test_a_changed_parallelism_is_told_in_the_newest_batch_alone() -> None:
    world = World(experiment_of(points=150, parallel_trial_count=70))
    world.settle()
    assert [batch.spec.parallel_trial_count for batch in world.batches.values()] == [70, 70]
    world.change(parallel_trial_count=5)
    (batch,) = world.turn().batches
    assert (batch.spec.index, batch.spec.parallel_trial_count) == (1, 5)
    assert [batch.spec.parallel_trial_count for batch in world.batches.values()] == [70, 5]


def test_a_parallelism_changed_after_the_last_trial_does_not_delay_the_end() -> None:
    world = World(experiment_of(points=2, parallel_trial_count=2))
    world.settle()
    world.begin()
    world.end(0, 1.0)
    world.end(1, 2.0)
    world.change(parallel_trial_count=1)
    turn = world.turn()
    assert (turn.batches, turn.finished) == ((), True)


def test_a_lost_status_is_made_again_from_the_batches() -> None:
    world = World(experiment_of(points=300))
    world.settle()
    world.begin()
    world.end(0, 1.0)
    world.end(1)
    world.turn()
    before = world.status
    world.wipe_status()
    world.turn()
    assert world.status.trials == before.trials
    assert world.status.best_trial == before.best_trial
    assert world.status.recent_trials == before.recent_trials


def test_links_in_the_status_are_kept() -> None:
    world = World(experiment_of())
    world.turn()
    links = {"tensorboard": "http://here", "results": "/data/results.parquet"}
    status = world.status.model_copy(update=links)
    world.experiment = world.experiment.model_copy(update={"status": status})
    world.settle()
    assert (world.status.tensorboard, world.status.results) == tuple(links.values())


def test_recent_trials_are_the_best_the_last_failed_and_running_ones() -> None:
    world = World(experiment_of(points=300, parallel_trial_count=20))
    world.settle()
    world.begin()
    for slot in range(6):
        world.wait(1)
        world.end(slot, message="x" * 3000)
    world.end(6, 0.5)
    world.begin()
    world.turn()
    recent = world.status.recent_trials
    assert [trial.number for trial in recent] == [4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    assert [trial.state for trial in recent[:5]] == [
        TrialState.FAILED, TrialState.FAILED, TrialState.FAILED, TrialState.SUCCEEDED,
        TrialState.RUNNING,
    ]  # fmt: skip
    assert len(recent[0].message) == 512


def trial_of(number: int) -> TrialStatus:
    """A third of the trials each has failed, runs, or has succeeded."""
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
        world = world_of(
            experiment_of(points=count, parallel_trial_count=10),
            [trial_of(number) for number in range(1, count + 1)],
        )
        world.turn()
        assert len(world.status.recent_trials) == limits.RECENT_TRIALS
        assert world.status.trials.created == count
        sizes.append(len(world.status.to_json()))
    assert abs(sizes[1] - sizes[0]) <= 1000
    assert max(sizes) <= 10_000
