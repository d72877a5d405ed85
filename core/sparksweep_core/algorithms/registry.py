"""Which algorithms there are."""

from __future__ import annotations

from sparksweep_core.algorithms.base import Algorithm
from sparksweep_core.algorithms.differential_evolution.algorithm import DifferentialEvolution
from sparksweep_core.algorithms.grid import GridSearch
from sparksweep_core.algorithms.random_search import RandomSearch
from sparksweep_core.api import AlgorithmName, ExperimentSpec

_ALGORITHMS: dict[AlgorithmName, type[Algorithm]] = {
    AlgorithmName.GRID: GridSearch,
    AlgorithmName.RANDOM: RandomSearch,
    AlgorithmName.DIFFERENTIAL_EVOLUTION: DifferentialEvolution,
}


def create(spec: ExperimentSpec) -> Algorithm:
    """The search that a spec asks for.

    Raises:
        UnsupportedAlgorithm: it can't search this space.
    """
    return _ALGORITHMS[spec.algorithm.algorithm_name](spec)
