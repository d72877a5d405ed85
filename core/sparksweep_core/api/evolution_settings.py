"""Settings of differential evolution, with the defaults of absent ones and the number of trials that follows."""

from __future__ import annotations

from dataclasses import dataclass

from sparksweep_core.api.algorithm_settings import EvolutionMode, EvolutionStrategy, settings_of
from sparksweep_core.api.search_spec import Algorithm

POPULATION = 10
GENERATIONS = 10
"""Default of Hops' differential evolution, as is that of the population."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvolutionSettings:
    """Settings of one experiment's differential evolution."""

    mode: EvolutionMode
    strategy: EvolutionStrategy
    """Default: screened; in generational mode, which reproduces Hops, the classic rand/1/bin."""
    population: int | None
    """None: the search chooses it."""
    trials: int | None
    """Population times generations. None: maxTrialCount alone limits the trials."""
    mutation: float
    """F; the adaptive strategy starts from it."""
    crossover: float
    """CR; the adaptive strategy starts from it."""
    seed: int


def bound_of(algorithm: Algorithm) -> str:
    """Return the reason for `EvolutionSettings.trials`, for messages: the settings, or the default.

    Raises:
        InvalidExperiment: the settings were not checked before.
    """
    values = settings_of(algorithm)
    population, generations = values.get("population"), values.get("generations")
    if population is None and generations is None:
        return (
            f"the default of differential-evolution, {GENERATIONS} generations of {POPULATION}; "
            "maxTrialCount sets another number"
        )
    if generations is None:
        return f"population: {population}, and by default {GENERATIONS} generations; maxTrialCount sets another number"
    return f"generations: {generations}, population: {population or POPULATION}"


def evolution_settings(algorithm: Algorithm, max_trial_count: int | None) -> EvolutionSettings:
    """Return the settings of an algorithm that is differential-evolution.

    In asynchronous mode without `generations`, maxTrialCount alone limits the trials, and the search chooses its
    population unless one is given.

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
