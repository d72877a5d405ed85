"""Which algorithms there are."""

from __future__ import annotations

from sparksweep.api import AlgorithmName, ExperimentSpec
from sparksweep_operator.search.base import Algorithm
from sparksweep_operator.search.differential_evolution import DifferentialEvolution
from sparksweep_operator.search.grid import GridSearch
from sparksweep_operator.search.random_search import RandomSearch

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
