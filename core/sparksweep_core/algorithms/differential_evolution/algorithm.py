"""Differential evolution: trials are made from the differences of earlier ones, and the better one stays.

This module decides which target of the population gets its next trial, and when. `strategies.py` makes children,
`offspring.py` chooses a trial's point, `population.py` reads the population from the trials, `lineage.py` is the record
in each trial, and `advisor.py` the hook for what proposes other points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from sparksweep_core.algorithms.base import Algorithm, UnsupportedAlgorithm, next_number
from sparksweep_core.algorithms.differential_evolution.advisor import Advisor
from sparksweep_core.algorithms.differential_evolution.lineage import Rates
from sparksweep_core.algorithms.differential_evolution.offspring import OffspringGenerator
from sparksweep_core.algorithms.differential_evolution.population import (
    Population,
    cost_function,
    newest_population,
)
from sparksweep_core.algorithms.differential_evolution.search_context import SearchContext
from sparksweep_core.algorithms.differential_evolution.strategies import (
    Adaptive,
    RandOneBin,
    Strategy,
)
from sparksweep_core.algorithms.encoding.space import Space
from sparksweep_core.algorithms.encoding.unit_cube import UnitCube
from sparksweep_core.api import ExperimentSpec, Trial, TrialSpec
from sparksweep_core.api.algorithm_settings import EvolutionMode, EvolutionStrategy
from sparksweep_core.api.evolution_settings import bound_of, evolution_settings
from sparksweep_core.validation.checks_search import in_order

_STRATEGIES: Mapping[EvolutionStrategy, type[Strategy]] = {
    EvolutionStrategy.SCREENED: Adaptive,
    EvolutionStrategy.ADAPTIVE: Adaptive,
    EvolutionStrategy.RAND_1_BIN: RandOneBin,
}
DEPTH = 4
"""Ended trials that successes are learnt from, in population sizes; if none improved, another population starts."""
FEW_PARAMETERS = 2
"""Number of parameters up to which the bound of a default population's size is not raised to `_SEVERAL`."""

_FEWEST = 5
"""Least size of a default population."""
_SEVERAL = 9
"""Bound of a default population's size with more parameters, if the usual one is lower: no model of the whole space
finds other regions to the end there."""


class DifferentialEvolution(Algorithm):
    """Trial n is a function of the seed and of the trials before it.

    In generational mode it depends on the earlier generations alone: the sequence is the same however the trials of a
    generation end, and however many are asked for at once. In asynchronous mode it depends on which trials had ended
    when it was made; there is at most one unfinished trial for each target, and when the population has converged, or
    the advisor finds that it has stagnated, another one starts.
    """

    def __init__(
        self, spec: ExperimentSpec, advisor: Callable[[SearchContext], Advisor] | None = None
    ) -> None:
        """Build the search.

        Args:
            spec: of the experiment.
            advisor: makes the search's advisor; None for plain differential evolution.

        Raises:
            UnsupportedAlgorithm: the experiment has no objective.
        """
        if spec.objective is None:
            raise UnsupportedAlgorithm("differential-evolution needs an objective.")
        settings = evolution_settings(spec.algorithm, spec.max_trial_count)
        self._cost_of = cost_function(spec.objective)
        self._is_generational = settings.mode is EvolutionMode.GENERATIONAL
        parameters = [in_order(parameter) for parameter in spec.parameters]
        cube, space = UnitCube(parameters), Space(parameters)
        self._size = _least(settings.trials, space.size)
        is_whole = space.size is not None and space.size == self._size
        self._bound = None if is_whole else bound_of(spec.algorithm)
        budget = _least(self._size, spec.max_trial_count)
        assert budget is not None, "either bounds the number of trials"
        rates = Rates(settings.mutation, settings.crossover)
        self._context = SearchContext(
            cube=cube,
            space=space,
            strategy=_STRATEGIES[settings.strategy](cube, rates),
            seed=settings.seed,
            cost_of=self._cost_of,
            budget=budget,
        )
        self._advisor = None if advisor is None else advisor(self._context)
        self._population_size = settings.population or _default_population_size(
            len(spec.parameters), budget, spec.slots
        )

    def size(self) -> int | None:
        """Return population times generations, or the number of points of a finite space if that is less.

        None: maxTrialCount alone ends the search.
        """
        return self._size

    def bound(self) -> str | None:
        """Return the settings, or the default, that limit the trials; None if all points of the space run."""
        return self._bound

    def ahead(self, parallel: int) -> int:
        """Return a whole generation; without generations few, as each trial that ends improves the next ones."""
        return self._population_size if self._is_generational else math.ceil(parallel / 4)

    def propose(self, trials: Sequence[Trial], count: int) -> list[TrialSpec]:
        """Return the next trials, for the free targets of the population in turn."""
        first = next_number(trials)
        most = count if self._size is None else min(count, self._size + 1 - first)
        if most <= 0:
            return []
        if self._is_generational:
            observed = self._earlier_generations(first, trials)
            population = self._generational_population(observed)
        else:
            observed = trials
            population = self._asynchronous_population(observed)
        if population is None:
            return []
        offspring = OffspringGenerator(
            self._context, population, trials, observed=observed, advisor=self._advisor
        )
        targets = islice(self._free_targets(population, first), most)
        return [offspring.trial(number, target) for number, target in enumerate(targets, first)]

    def _earlier_generations(self, number: int, trials: Sequence[Trial]) -> Sequence[Trial]:
        """Return the trials of the generations before that of a trial's number."""
        generation = (number - 1) // self._population_size
        end = len(trials)
        while end and trials[end - 1].number > generation * self._population_size:
            end -= 1
        return trials[:end]

    def _generational_population(self, earlier: Sequence[Trial]) -> Population | None:
        """Return the population after these generations; None while they have unfinished trials."""
        if not all(trial.state.is_finished for trial in earlier[-self._population_size :]):
            return None
        population = newest_population(earlier, self._cost_of, depth=DEPTH)
        return population or Population(restart=0, size=self._population_size)

    def _asynchronous_population(self, trials: Sequence[Trial]) -> Population:
        """Return the newest population, or another one if that is finished."""
        population = newest_population(trials, self._cost_of, depth=DEPTH)
        if population is None:
            return Population(restart=0, size=self._population_size)
        if population.has_converged(DEPTH) or (
            self._advisor is not None and self._advisor.has_stagnated(population, trials)
        ):
            return Population(restart=population.restart + 1, size=self._population_size)
        population.size = max(population.size, self._population_size)
        return population

    def _free_targets(self, population: Population, first: int) -> Iterator[int]:
        """Yield the free targets in turn. Each target gets its first trial before any gets its second."""
        size = population.size
        if self._is_generational:
            yield from range((first - 1) % size, size)
            return
        started = population.started_count
        yield from range(started, size)
        start = population.last_target + 1 if started == size else 0
        for index in range(start, start + size):
            target = index % size
            if target not in population.busy and target < started:
                yield target


def _least(*bounds: int | None) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)


def _default_population_size(dimensions: int, budget: int, parallel: int) -> int:
    """Return the population's size if the settings give none: small, so that a small budget has several generations.

    At least a quarter more than the trials that run at once, so that a target is free when one of them ends.
    """
    most = 4 + 3 * math.log(dimensions)
    if dimensions > FEW_PARAMETERS:
        most = max(most, _SEVERAL)
    few = min(4 + 1.5 * math.log(dimensions), budget / 6)
    many = max(0.4 * math.sqrt(budget), budget / (11 * dimensions))
    return max(_FEWEST, round(min(max(few, many), most)), math.ceil(1.25 * parallel))
