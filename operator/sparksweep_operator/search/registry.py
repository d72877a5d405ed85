"""Which algorithms there are."""

from __future__ import annotations

from sparksweep.api import AlgorithmName, ExperimentSpec
from sparksweep_operator.search.base import Algorithm, UnsupportedAlgorithm
from sparksweep_operator.search.grid import GridSearch
from sparksweep_operator.search.random_search import RandomSearch

_ALGORITHMS: dict[AlgorithmName, type[Algorithm]] = {
    AlgorithmName.GRID: GridSearch,
    AlgorithmName.RANDOM: RandomSearch,
}


def create(spec: ExperimentSpec) -> Algorithm:
    """The search that a spec asks for.

    Raises:
        UnsupportedAlgorithm: there is none of that name, or it can't search this space.
    """
    name = spec.algorithm.algorithm_name
    algorithm = _ALGORITHMS.get(name)
    if algorithm is None:
        raise UnsupportedAlgorithm(
            f"algorithmName {name} is not implemented; there are {', '.join(sorted(_ALGORITHMS))}."
        )
    return algorithm(spec)
