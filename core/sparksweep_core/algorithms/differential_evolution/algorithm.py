"""Differential evolution: trials are made from the differences of earlier ones, and the better one stays.

How a trial is made is in evolution_strategies.py, which of several children is tried in screening.py, how the population
is read from the trials in evolution_population.py, and what a trial's record keeps in lineage.py. Here is when which place
of the population gets its next trial.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from sparksweep_core.algorithms.base import Algorithm, UnsupportedAlgorithm, next_number
from sparksweep_core.algorithms.differential_evolution.lineage import Rates
from sparksweep_core.algorithms.differential_evolution.offspring import (
    OffspringGenerator,
    SearchContext,
)
from sparksweep_core.algorithms.differential_evolution.population import (
    Population,
    costs_by,
    finished_newest_first,
    newest_population,
)
from sparksweep_core.algorithms.differential_evolution.strategies import (
    Adaptive,
    RandOneBin,
    Strategy,
)
from sparksweep_core.algorithms.model_assisted.screening import MOST_EXPLORED_LATE, Screen
from sparksweep_core.api import ExperimentSpec, Trial, TrialSpec
from sparksweep_core.api.algorithm_settings import EvolutionMode, EvolutionStrategy
from sparksweep_core.api.evolution_settings import evolution_settings

_STRATEGIES: Mapping[EvolutionStrategy, type[Strategy]] = {
    EvolutionStrategy.SCREENED: Adaptive,
    EvolutionStrategy.ADAPTIVE: Adaptive,
    EvolutionStrategy.RAND_1_BIN: RandOneBin,
}
DEPTH = 4
"""Sizes of the population in ended trials that successes are learnt from; if none improved, the search starts anew."""

_FEWEST = 5
"""Places of a population that the settings leave open."""
_SEVERAL = 9
"""Places where there are trials enough, and no model of the whole space finds other ones to look at to the end."""


class DifferentialEvolution(Algorithm):
    """Trial n is a function of the seed and of what the trials before it became.

    In generational mode it is one of the earlier generations alone: the sequence is the same however the trials of a
    generation end, and however many are asked for at once. In asynchronous mode it depends on which trials had ended
    when it was made; there is at most one unfinished trial for each place of the population, and when the population
    has come to rest, or has closed in on a place and gains nothing there, another one starts.
    """

    def __init__(self, spec: ExperimentSpec) -> None:
        if spec.objective is None:
            raise UnsupportedAlgorithm("differential-evolution needs an objective.")
        settings = evolution_settings(spec.algorithm, spec.max_trial_count)
        self._tools = SearchContext(
            spec.parameters,
            _STRATEGIES[settings.strategy],
            rates=Rates(settings.mutation, settings.crossover),
            seed=settings.seed,
        )
        self._cost_of = costs_by(spec.objective)
        self._is_generational = settings.mode is EvolutionMode.GENERATIONAL
        self._size = _least(settings.trials, self._tools.space.size)
        if settings.strategy is EvolutionStrategy.SCREENED:
            budget = _least(self._size, spec.max_trial_count)
            assert budget is not None, "either bounds the number of trials"
            self._tools.screen = Screen(self._tools.cube, self._cost_of, budget)
        self._population = settings.population or _population(
            len(spec.parameters),
            _least(self._size, spec.max_trial_count),
            spec.parallel_trial_count,
        )

    def size(self) -> int | None:
        """Population times generations, or the points of a finite space if there are fewer; None: maxTrialCount says."""
        return self._size

    def ahead(self, parallel: int) -> int:
        """A whole generation; without generations few, as each trial that ends makes the next ones better."""
        return self._population if self._is_generational else math.ceil(parallel / 4)

    def propose(self, trials: Sequence[Trial], count: int) -> list[TrialSpec]:
        """The next ones, for the places of the population that are free, in turn."""
        first = next_number(trials)
        most = count if self._size is None else min(count, self._size + 1 - first)
        if most <= 0:
            return []
        settled = self._earlier(first, trials) if self._is_generational else trials
        population = self._before(settled) if self._is_generational else self._now(settled)
        if population is None:
            return []
        maker = OffspringGenerator(self._tools, population, trials, settled=settled)
        places = islice(self._places(population, first), most)
        return [maker.trial(number, place) for number, place in enumerate(places, first)]

    def _earlier(self, number: int, trials: Sequence[Trial]) -> Sequence[Trial]:
        """The trials of the generations before a trial's."""
        generation = (number - 1) // self._population
        end = len(trials)
        while end and trials[end - 1].number > generation * self._population:
            end -= 1
        return trials[:end]

    def _before(self, earlier: Sequence[Trial]) -> Population | None:
        """The population after these generations; None while they have unfinished trials."""
        if not all(trial.state.is_finished for trial in earlier[-self._population :]):
            return None
        found = newest_population(earlier, self._cost_of, depth=DEPTH)
        return found or Population(restart=0, size=self._population)

    def _now(self, trials: Sequence[Trial]) -> Population:
        found = newest_population(trials, self._cost_of, depth=DEPTH)
        if found is None:
            return Population(restart=0, size=self._population)
        if found.has_converged(DEPTH) or self._has_closed_in(found, trials):
            return Population(restart=found.restart + 1, size=self._population)
        found.size = max(found.size, self._population)
        return found

    def _has_closed_in(self, found: Population, trials: Sequence[Trial]) -> bool:
        screen = self._tools.screen
        if screen is None or not screen.restarts(next_number(trials)):
            return False
        if len(found.members) < found.size:
            return False
        return screen.has_stagnated(finished_newest_first(trials, found.restart), found.size)

    def _places(self, population: Population, first: int) -> Iterator[int]:
        """The free places in turn. Each place gets its first trial before any gets its second."""
        size = population.size
        if self._is_generational:
            yield from range((first - 1) % size, size)
            return
        begun = population.begun
        yield from range(begun, size)
        start = population.last + 1 if begun == size else 0
        for place in range(start, start + size):
            if place % size not in population.busy and place % size < begun:
                yield place % size


def _least(*bounds: int | None) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)


def _population(dimensions: int, budget: int | None, parallel: int) -> int:
    """How many places there are when the settings leave it open: few, so that few trials suffice for generations.

    A quarter more than trials at once, so that a place is free when a trial ends.
    """
    most = 4 + 3 * math.log(dimensions)
    if dimensions > MOST_EXPLORED_LATE:
        most = max(most, _SEVERAL)
    usual = most
    if budget is not None:
        few = min(4 + 1.5 * math.log(dimensions), budget / 6)
        many = max(0.4 * math.sqrt(budget), budget / (11 * dimensions))
        usual = min(max(few, many), most)
    return max(_FEWEST, round(usual), math.ceil(1.25 * parallel))
