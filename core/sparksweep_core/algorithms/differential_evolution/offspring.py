"""One trial of differential evolution: the first of its place, a child of the one that holds it, or a drawn point.

Whatever it is, no point is tried that was tried before while there are others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from sparksweep_core.algorithms.differential_evolution.lineage import Lineage, Rates
from sparksweep_core.algorithms.differential_evolution.population import Member, Population
from sparksweep_core.algorithms.differential_evolution.strategies import Parents, Strategy
from sparksweep_core.algorithms.encoding.space import Space
from sparksweep_core.algorithms.encoding.unit_cube import Genotype, UnitCube
from sparksweep_core.algorithms.keyed_random import key_hash, uniform_stream, uniforms
from sparksweep_core.algorithms.memo import Memo
from sparksweep_core.algorithms.model_assisted.screening import MOST_CHILDREN, Screen
from sparksweep_core.algorithms.permutation import Permutation
from sparksweep_core.algorithms.visited_points import VisitedPoints
from sparksweep_core.api import Parameter, Trial, TrialSpec
from sparksweep_core.validation.checks_search import in_order

_CHILDREN = MOST_CHILDREN
"""Children that are made for one trial while each was tried before; then points are drawn from the whole space."""
_DRAWS = 100
"""Points that are drawn; then the rest of a finite space follows in a random order."""
_RECENT = 200
"""Trials that a new one is compared with when it has a continuous parameter's value that no member has."""
_LEADING = 1 / 3
"""Share of the members, the best ones, whose places guesses are made for."""
_BUCKETS, _ORDER, _REST, _EXPLORING = -1, -2, -3, -4
"""What else is drawn, beside the children of a trial and the points that take their place."""

Candidate = tuple[dict[str, str], Rates | None]
"""A point, and the rates that it was made with, if it is somebody's child."""


class SearchContext:
    """What the trials of one search are made with."""

    def __init__(
        self, parameters: Sequence[Parameter], strategy: type[Strategy], *, rates: Rates, seed: int
    ) -> None:
        parameters = [in_order(parameter) for parameter in parameters]
        self.cube = UnitCube(parameters)
        self.space = Space(parameters)
        self.strategy = strategy(self.cube, rates)
        self.seed = seed
        self.seen = VisitedPoints(self.cube.names)
        self.screen: Screen | None = None
        """What chooses among children; None: the first one is taken."""
        self._genotypes = Memo(
            lambda number, point: self.cube.encode(point, (seed, _BUCKETS, number))
        )

    def genotype(self, member: Member) -> Genotype:
        """A member's place in the cube."""
        return self._genotypes.of(member.number, member.point)


class OffspringGenerator:
    """Makes trials for one population, none like one of `trials`, and none like another."""

    def __init__(
        self,
        tools: SearchContext,
        population: Population,
        trials: Sequence[Trial],
        *,
        settled: Sequence[Trial],
    ) -> None:
        """Make one.

        Args:
            tools: the search's.
            population: whose places the trials are for.
            trials: all so far.
            settled: the first of these, as far as a new trial may depend on how they ended.
        """
        self._tools = tools
        self._settled = settled
        self._population = population
        self._ranked = population.ranked()
        self._trials = trials
        self._made: list[Mapping[str, str]] = []
        self._continuous = {self._part(member.point) for member in population.members.values()}

    def trial(self, number: int, place: int) -> TrialSpec:
        """The trial of a number, for a place of the population."""
        holder = self._population.members.get(place)
        point, rates = self._first_new(self._candidates(number, place, holder))
        self._made.append(point)
        lineage = Lineage(
            restart=self._population.restart,
            target=place,
            size=self._population.size,
            parent=holder.number if holder else None,
            rates=rates,
        )
        return TrialSpec(number=number, parameters=point, lineage=str(lineage))

    def _first_new(self, candidates: Iterator[Candidate]) -> Candidate:
        for candidate in candidates:
            if not self._was_tried(candidate[0]):
                return candidate
        # A range between neighbouring floats is a continuum of few values; any other search would repeat them too.
        return candidate

    def _was_tried(self, point: Mapping[str, str]) -> bool:
        # A number that was computed anew comes again only by a rounding error, and then soon.
        is_known = self._part(point) in self._continuous
        if point in self._made:
            return True
        if is_known or not self._tools.cube.continuous:
            return self._tools.seen.has(point, self._trials)
        return any(trial.spec.parameters == point for trial in self._trials[-_RECENT:])

    def _part(self, point: Mapping[str, str]) -> tuple[str | None, ...]:
        return tuple(map(point.get, self._tools.cube.continuous))

    def _candidates(self, number: int, place: int, holder: Member | None) -> Iterator[Candidate]:
        """Points to try, the best ones to try first."""
        tools = self._tools
        if holder is None:
            yield tools.cube.decode(self._first(place)), None
        elif len(self._ranked) > tools.strategy.donors:
            yield from self._children(number, holder)
        for attempt in range(_CHILDREN, _CHILDREN + _DRAWS):
            draws = uniforms((tools.seed, number, attempt), len(tools.cube))
            yield tools.space.decode(draws), None
        if tools.space.size is not None:
            order = Permutation(tools.space.size, seed=key_hash((tools.seed, _REST)))
            for rank in range(tools.space.size):
                yield tools.space.point(order[rank]), None

    def _children(self, number: int, holder: Member) -> Iterator[Candidate]:
        keys = ((self._tools.seed, number, attempt) for attempt in range(_CHILDREN))
        screen = self._tools.screen
        if screen is not None:
            yield from self._screened(screen, number, holder, keys)
        for key in keys:
            yield self._child(key, holder)

    def _screened(
        self, screen: Screen, number: int, holder: Member, keys: Iterator[tuple[int, ...]]
    ) -> Iterator[Candidate]:
        """What the models say, if they are to be asked for this trial."""
        leaders = self._ranked[: max(1, round(_LEADING * len(self._ranked)))]
        leads = holder in leaders
        is_guess = leads and screen.guesses(number)
        is_explorer = screen.explores(number, leads=leads)
        count = screen.children(number)
        if not is_guess and not is_explorer and count == 1:
            return
        later = [trial.spec.parameters for trial in self._trials[len(self._settled) :]]
        known = screen.known(self._settled, [*later, *self._made], centre=self._ranked[0].point)
        if is_explorer:
            draw = uniform_stream((self._tools.seed, number, _EXPLORING))
            if (found := screen.exploration(number, known, draw, leads=leads)) is not None:
                yield self._tools.cube.decode(found), None
        if is_guess and (guess := screen.guess(known)) is not None:
            yield self._tools.cube.decode(guess), None
        if count > 1:
            screened = [self._child(key, holder) for key in islice(keys, count)]
            for place in screen.ranking(known, [point for point, _ in screened]):
                yield screened[place]

    def _child(self, key: tuple[int, ...], holder: Member) -> Candidate:
        draw = uniform_stream(key)
        # From a member that failed nothing is taken over.
        parent = (
            holder if holder.cost is not None else self._ranked[int(draw() * len(self._ranked))]
        )
        strategy = self._tools.strategy
        rates = strategy.rates(self._population.successes, draw).rounded()
        material = Parents(parent, self._ranked, self._population.successes, self._tools.genotype)
        return self._tools.cube.decode(strategy.child(material, rates, draw)), rates

    def _first(self, place: int) -> Genotype:
        """A place's first point: of each parameter's range, cut into as many parts as there are places, each one's own.

        M. D. McKay, R. J. Beckman, W. J. Conover, "A Comparison of Three Methods for Selecting Values of Input
        Variables in the Analysis of Output from a Computer Code", Technometrics 21(2), 1979: Latin hypercube sampling.
        """
        size, restart = self._population.size, self._population.restart
        keys = [
            (self._tools.seed, _ORDER, restart, column) for column in range(len(self._tools.cube))
        ]
        within = uniforms((self._tools.seed, _ORDER, restart, size, place), len(keys))
        return [
            (Permutation(size, seed=key_hash(key))[place] + part) / size
            for key, part in zip(keys, within, strict=True)
        ]
