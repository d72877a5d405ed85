"""The seed of a search without one in its spec: drawn once for each experiment, recorded, and the same after any crash."""

from __future__ import annotations

from typing import Any

import pytest

from sparksweep_core.api import AlgorithmName, ExperimentStatus
from sparksweep_core.contract.annotations import SEED_ANNOTATION
from sparksweep_core.history import History
from sparksweep_core.planner.seeding import seed_of
from support.planner.planner_simulation import Simulation, experiment_of

ALGORITHMS = [AlgorithmName.RANDOM, AlgorithmName.DIFFERENTIAL_EVOLUTION]


def unseeded(algorithm: AlgorithmName = AlgorithmName.RANDOM, **spec: Any) -> Simulation:
    """Return a simulation of an experiment whose spec has no seed."""
    spec = {"max_trial_count": 12, "parallel_trial_count": 2, **spec}
    return Simulation(experiment_of(points=None, algorithm=algorithm, settings={}, **spec))


def points(simulation: Simulation) -> list[str]:
    simulation.run([0.5, 0.25, 0.75])
    return [trial.spec.parameters["x"] for trial in simulation.trials]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_experiment_has_points_of_its_own_and_its_seed_repeats_them(
    algorithm: AlgorithmName,
) -> None:
    first, second = unseeded(algorithm, uid="a"), unseeded(algorithm, uid="b")
    assert points(first) != points(second)
    seed = first.status.seed
    assert seed is not None
    assert seed != second.status.seed
    given = experiment_of(
        points=None, algorithm=algorithm, settings={"seed": str(seed)}, uid="c",
        max_trial_count=12, parallel_trial_count=2,
    )  # fmt: skip
    repeated = Simulation(given)
    assert points(repeated) == points(first)
    assert repeated.status.seed == seed


@pytest.mark.parametrize("name", ["seed", "random_state"])
def test_a_given_seed_is_the_seed_whatever_is_recorded(name: str) -> None:
    given = experiment_of(points=None, algorithm=AlgorithmName.RANDOM, settings={name: "5"})
    recorded = given.model_copy(update={"status": ExperimentStatus(seed=9)})
    assert seed_of(given, History().summary) == seed_of(recorded, History().summary) == 5


def test_a_grid_has_none() -> None:
    simulation = Simulation(experiment_of(points=3))
    simulation.run([1.0])
    assert simulation.status.seed is None
    assert all(batch.metadata.annotations is None for batch in simulation.batches.values())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_lost_status_does_not_change_the_points(algorithm: AlgorithmName) -> None:
    whole = points(unseeded(algorithm))
    simulation = unseeded(algorithm)
    simulation.settle()
    simulation.begin()
    simulation.end(0, 0.5)
    simulation.experiment = simulation.experiment.model_copy(update={"status": None})
    begun = [trial.spec.parameters["x"] for trial in simulation.trials]
    assert whole[: len(begun)] == begun
    simulation.settle()
    batch = next(iter(simulation.batches.values()))
    assert (batch.metadata.annotations or {})[SEED_ANNOTATION] == str(simulation.status.seed)
    if algorithm is AlgorithmName.RANDOM:
        simulation.run([0.5])
        assert [trial.spec.parameters["x"] for trial in simulation.trials] == whole


def test_trials_of_a_version_that_recorded_no_seed_go_on_with_its_default() -> None:
    simulation = Simulation(
        experiment_of(
            points=None, algorithm=AlgorithmName.RANDOM, settings={"seed": "0"}, max_trial_count=150
        )
    )
    simulation.settle()
    old = [
        batch.model_copy(
            update={"metadata": batch.metadata.model_copy(update={"annotations": None})}
        )
        for batch in simulation.batches.values()
    ]
    experiment = experiment_of(
        points=None, algorithm=AlgorithmName.RANDOM, settings={}, max_trial_count=150
    )
    assert seed_of(experiment, History(old).summary) == 0
    assert seed_of(experiment, History().summary) not in (0, None)


def test_without_a_uid_the_status_has_the_drawn_seed() -> None:
    experiment = experiment_of(points=None, algorithm=AlgorithmName.RANDOM, settings={}, uid=None)
    drawn = experiment.model_copy(update={"status": ExperimentStatus(seed=41)})
    assert seed_of(drawn, History().summary) == 41
    assert seed_of(experiment, History().summary) == 0
