"""The algorithms by name."""

from __future__ import annotations

from typing import assert_never

from sparksweep_core.algorithms.base import Algorithm
from sparksweep_core.algorithms.differential_evolution.algorithm import DifferentialEvolution
from sparksweep_core.algorithms.grid import GridSearch
from sparksweep_core.algorithms.model_assisted.advisor import ModelAdvisor
from sparksweep_core.algorithms.random_search import RandomSearch
from sparksweep_core.api import AlgorithmName, ExperimentSpec
from sparksweep_core.api.algorithm_settings import EvolutionStrategy
from sparksweep_core.api.evolution_settings import evolution_settings


def create(spec: ExperimentSpec) -> Algorithm:
    """Build the search that a spec asks for.

    Raises:
        UnsupportedAlgorithm: it can't search this space.
    """
    match spec.algorithm.algorithm_name:
        case AlgorithmName.GRID:
            return GridSearch(spec)
        case AlgorithmName.RANDOM:
            return RandomSearch(spec)
        case AlgorithmName.DIFFERENTIAL_EVOLUTION:
            return _differential_evolution(spec)
        case unknown:
            assert_never(unknown)


def _differential_evolution(spec: ExperimentSpec) -> Algorithm:
    strategy = evolution_settings(spec.algorithm, spec.max_trial_count).strategy
    match strategy:
        case EvolutionStrategy.SCREENED:
            return DifferentialEvolution(spec, advisor=ModelAdvisor)
        case EvolutionStrategy.ADAPTIVE | EvolutionStrategy.RAND_1_BIN:
            return DifferentialEvolution(spec)
        case unknown:
            assert_never(unknown)
