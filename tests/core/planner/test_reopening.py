"""Ends that are taken back: a run goes on as if its limits had always been the new ones."""

from __future__ import annotations

from typing import Any

import pytest

from sparksweep_core.api import AlgorithmName, ConditionType, TrialState
from sparksweep_core.planner import obstacle, reopen
from support.planner.planner_simulation import MAXIMIZE, Simulation, experiment_of


def reopened(simulation: Simulation) -> None:
    """Take the end of a simulation back, as a resumed local run does."""
    batches = list(simulation.batches.values())
    result = reopen(simulation.experiment, batches)
    assert obstacle(simulation.experiment, result, now=simulation.now) is None
    simulation.batches = {batch.metadata.name: batch for batch in result.batches}
    simulation.experiment = simulation.experiment.model_copy(update={"status": result.status})
    # Another process goes on.
    simulation.end_driver()


def points(simulation: Simulation) -> list[dict[str, str]]:
    return [trial.spec.parameters for trial in simulation.trials]


@pytest.mark.parametrize("algorithm", list(AlgorithmName))
def test_a_run_that_was_extended_has_the_points_of_one_that_was_not(
    algorithm: AlgorithmName,
) -> None:
    values = [0.1 * number for number in range(12)]
    spec: dict[str, Any] = {"points": 1000, "algorithm": algorithm, "parallel_trial_count": 1}
    whole = Simulation(experiment_of(max_trial_count=12, **spec))
    whole.run(values)
    extended = Simulation(experiment_of(max_trial_count=5, **spec))
    extended.run(values[:5])
    assert extended.reason("Complete") == ("True", "MaxTrialsReached")
    extended.change(max_trial_count=12)
    reopened(extended)
    extended.run(values)
    assert extended.status.trials.succeeded == 12
    assert len(points(extended)) == 12
    if algorithm is not AlgorithmName.DIFFERENTIAL_EVOLUTION:
        # Its population depends on the number of trials.
        assert points(extended) == points(whole)


def test_what_a_goal_had_stopped_runs_and_the_grid_has_no_hole() -> None:
    goal = MAXIMIZE.model_copy(update={"goal": 0.5})
    simulation = Simulation(experiment_of(points=9, objective=goal))
    simulation.run([0.1, 0.6])
    assert simulation.reason("Complete") == ("True", "GoalReached")
    assert simulation.status.trials.stopped > 0
    simulation.change(objective=MAXIMIZE.model_copy(update={"goal": 7.0}))
    reopened(simulation)
    simulation.run([0.1, 0.6])
    assert simulation.reason("Complete") == ("True", "SearchSpaceExhausted")
    assert simulation.status.trials.succeeded == 9
    assert [trial.state for trial in simulation.trials] == [TrialState.SUCCEEDED] * 9
    assert [point["x"] for point in points(simulation)] == [str(n) for n in range(1, 10)]


def test_a_start_stays_and_an_end_goes() -> None:
    simulation = Simulation(experiment_of(points=3))
    simulation.run([1.0])
    before = simulation.status
    result = reopen(simulation.experiment, list(simulation.batches.values()))
    assert result.status.start_time == before.start_time
    assert result.status.completion_time is None
    assert not result.status.holds(ConditionType.COMPLETE)
    assert result.restarted == ()
    blocked = obstacle(simulation.experiment, result, now=simulation.now)
    assert blocked is not None
    assert blocked[0].path == "spec.parameters"
