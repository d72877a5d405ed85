"""The settings of differential evolution together: what those that are absent stand for, and how many trials they make."""

from __future__ import annotations

from dataclasses import dataclass

from sparksweep_core.api.algorithm_settings import EvolutionMode, EvolutionStrategy, settings_of
from sparksweep_core.api.search_spec import Algorithm

POPULATION = 10
GENERATIONS = 10
"""The defaults of Hops' differential evolution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvolutionSettings:
    """How an experiment's differential evolution is to go."""

    mode: EvolutionMode
    strategy: EvolutionStrategy
    """By default the screened one, and the classic one in generational mode, which is there to be Hops'."""
    population: int | None
    """None: the search chooses."""
    trials: int | None
    """Population times generations; None: as many as maxTrialCount says."""
    mutation: float
    """F: of the adaptive strategy, where it begins."""
    crossover: float
    """CR: of the adaptive strategy, where it begins."""
    seed: int


def evolution_settings(algorithm: Algorithm, max_trial_count: int | None) -> EvolutionSettings:
    """The settings of an algorithm that is differential-evolution.

    In asynchronous mode without `generations`, maxTrialCount alone says how many trials there are, and the search
    chooses its population unless one is given.

    Raises:
        InvalidExperiment: the settings were not checked before.
    """
    values = settings_of(algorithm)
    mode = EvolutionMode(str(values["mode"]))
    population = values.get("population")
    generations = values.get("generations")
    is_generational = mode is EvolutionMode.GENERATIONAL
    is_open = not is_generational and generations is None and max_trial_count is not None
    if is_generational or generations is not None:
        population = population or POPULATION
    strategy = EvolutionStrategy.RAND_1_BIN if is_generational else EvolutionStrategy.SCREENED
    trials = int(population or POPULATION) * int(generations or GENERATIONS)
    return EvolutionSettings(
        mode=mode,
        strategy=EvolutionStrategy(str(values.get("strategy", strategy))),
        population=None if population is None else int(population),
        trials=None if is_open else trials,
        mutation=float(values["mutation"]),
        crossover=float(values["crossover"]),
        seed=int(values["seed"]),
    )
