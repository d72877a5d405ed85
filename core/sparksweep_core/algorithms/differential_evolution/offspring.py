"""Makes one trial of differential evolution: the first of a target, a child of its member, or a drawn point.

No point is tried twice while there are untried ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from sparksweep_core.algorithms.differential_evolution.advisor import (
    AdviceRequest,
    Advisor,
    Candidate,
)
from sparksweep_core.algorithms.differential_evolution.lineage import Lineage
from sparksweep_core.algorithms.differential_evolution.population import Member, Population
from sparksweep_core.algorithms.differential_evolution.search_context import (
    HYPERCUBE_KEY,
    REMAINDER_KEY,
    SearchContext,
)
from sparksweep_core.algorithms.differential_evolution.strategies import Parents
from sparksweep_core.algorithms.encoding.space import Point
from sparksweep_core.algorithms.encoding.unit_cube import Genotype
from sparksweep_core.algorithms.keyed_random import key_hash, uniform_stream, uniforms
from sparksweep_core.algorithms.permutation import Permutation
from sparksweep_core.algorithms.visited_points import latest_points
from sparksweep_core.api import Trial, TrialSpec

MAX_CHILDREN = 20
"""Children made for one trial while each was tried before; then points are drawn from the whole space."""
_DRAWS = 100
"""Points that are drawn; then the rest of a finite space follows in a random order."""
_RECENT = 200
"""Trials that a new one is compared with if it has a continuous parameter's value that no member has."""


class OffspringGenerator:
    """Makes trials for one population, each different from all earlier trials and from each other."""

    def __init__(
        self,
        context: SearchContext,
        population: Population,
        trials: Sequence[Trial],
        *,
        observed: Sequence[Trial],
        advisor: Advisor | None,
    ) -> None:
        """Prepare for a call's trials.

        Args:
            context: parts of the search.
            population: the one that the trials are for.
            trials: all so far.
            observed: the first of these, whose results the new trials may depend on.
            advisor: proposes candidates before the children; None for none.
        """
        self._context = context
        self._population = population
        self._trials = trials
        self._observed = observed
        self._advisor = advisor
        self._ranked = population.ranked()
        self._made: list[Point] = []
        self._member_values = {
            self._continuous_values(member.point) for member in population.members.values()
        }

    def trial(self, number: int, target: int) -> TrialSpec:
        """Return the trial of a number, for a target of the population."""
        member = self._population.members.get(target)
        chosen = self._first_untried(self._candidates(number, target, member))
        self._made.append(chosen.point)
        lineage = Lineage(
            restart=self._population.restart,
            target=target,
            size=self._population.size,
            parent=member.number if member else None,
            rates=chosen.rates,
        )
        return TrialSpec(number=number, parameters=chosen.point, lineage=str(lineage))

    def _first_untried(self, candidates: Iterator[Candidate]) -> Candidate:
        for candidate in candidates:
            if not self._was_tried(candidate.point):
                return candidate
        # A range between neighbouring floats is a continuum of few values; any other search would repeat them too.
        return candidate

    def _was_tried(self, point: Point) -> bool:
        # A newly computed number recurs only by a rounding error, and then soon.
        is_inherited = self._continuous_values(point) in self._member_values
        if point in self._made:
            return True
        if is_inherited or not self._context.cube.continuous:
            return self._context.visited.contains(point, self._trials)
        return point in self._recent_points

    @cached_property
    def _recent_points(self) -> list[Point]:
        return latest_points(self._trials, _RECENT)

    def _continuous_values(self, point: Point) -> tuple[str | None, ...]:
        return tuple(map(point.get, self._context.cube.continuous))

    def _candidates(self, number: int, target: int, member: Member | None) -> Iterator[Candidate]:
        """Yield points to try, in order of preference."""
        seed, cube, space = self._context.seed, self._context.cube, self._context.space
        if member is None:
            yield Candidate(cube.decode(self._initial_genotype(target)), None)
        elif len(self._ranked) > self._context.strategy.donors:
            yield from self._offspring(number, member)
        for attempt in range(MAX_CHILDREN, MAX_CHILDREN + _DRAWS):
            draws = uniforms((seed, number, attempt), len(cube))
            yield Candidate(space.decode(draws), None)
        if space.size is not None:
            order = Permutation(space.size, seed=key_hash((seed, REMAINDER_KEY)))
            for point in self._context.visited.remainder(space, order, self._trials):
                yield Candidate(point, None)

    def _offspring(self, number: int, member: Member) -> Iterator[Candidate]:
        """Yield the advisor's candidates, then the children that it has not taken."""
        keys = ((self._context.seed, number, attempt) for attempt in range(MAX_CHILDREN))
        children = (self._child(key, member) for key in keys)
        if self._advisor is not None:
            later = [trial.spec.parameters for trial in self._trials[len(self._observed) :]]
            request = AdviceRequest(
                number=number,
                target_member=member,
                ranked=self._ranked,
                observed=self._observed,
                unobserved=[*later, *self._made],
                children=children,
            )
            yield from self._advisor.candidates(request)
        yield from children

    def _child(self, key: tuple[int, ...], member: Member) -> Candidate:
        draw = uniform_stream(key)
        # A member that failed passes nothing on.
        parent = (
            member if member.cost is not None else self._ranked[int(draw() * len(self._ranked))]
        )
        strategy = self._context.strategy
        successes = self._population.successes
        rates = strategy.rates(successes, draw).rounded()
        parents = Parents(parent, self._ranked, successes, self._context.genotype)
        return Candidate(self._context.cube.decode(strategy.child(parents, rates, draw)), rates)

    def _initial_genotype(self, target: int) -> Genotype:
        """Return a target's first point: each parameter's range is cut into as many parts as there are targets.

        M. D. McKay, R. J. Beckman, W. J. Conover, "A Comparison of Three Methods for Selecting Values of Input
        Variables in the Analysis of Output from a Computer Code", Technometrics 21(2), 1979: Latin hypercube sampling.
        """
        size, restart, seed = self._population.size, self._population.restart, self._context.seed
        keys = [(seed, HYPERCUBE_KEY, restart, column) for column in range(len(self._context.cube))]
        offsets = uniforms((seed, HYPERCUBE_KEY, restart, size, target), len(keys))
        return [
            (Permutation(size, seed=key_hash(key))[target] + offset) / size
            for key, offset in zip(keys, offsets, strict=True)
        ]
