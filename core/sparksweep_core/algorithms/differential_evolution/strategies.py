"""Strategies of differential evolution: mutation, crossover and repair make a genotype from members.

R. Storn and K. Price, "Differential Evolution - A Simple and Efficient Heuristic for Global Optimization over
Continuous Spaces", Journal of Global Optimization 11, 1997: rand/1/bin.
J. Zhang and A. C. Sanderson, "JADE: Adaptive Differential Evolution With Optional External Archive", IEEE Transactions
on Evolutionary Computation 13(5), 2009: current-to-pbest/1, the archive, the repair by the midpoint.
R. Tanabe and A. Fukunaga, "Success-History Based Parameter Adaptation for Differential Evolution", CEC 2013.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sparksweep_core.algorithms.differential_evolution.lineage import Rates
from sparksweep_core.algorithms.differential_evolution.population import Member, Success
from sparksweep_core.algorithms.encoding.unit_cube import Genotype, UnitCube
from sparksweep_core.algorithms.keyed_random import BELOW_ONE, Draw, standard_normal

_BEST_SHARE = 0.2
"""Share of the members that count as the best; two at least."""
_FROM_BEST = 0.25
"""Share of the trials that start from the best."""
_SPREAD = 0.1
"""Scale of F's Cauchy distribution and of CR's normal one, as in JADE."""
_START_WEIGHT = 4.0
"""Number of successes that the settings count as."""
_LEAST_MUTATION = 0.05
"""A smaller F is drawn again: it would move nothing."""


@dataclass(frozen=True, slots=True)
class Parents:
    """Members that a child is made from."""

    parent: Member
    """The target's member; has a cost."""
    ranked: Sequence[Member]
    """Members that have a cost, the best first; at least `Strategy.donors` without the parent."""
    successes: Sequence[Success]
    """The last ones, the newest first."""
    genotype: Callable[[Member], Genotype]
    """Returns a member's genotype."""


class Strategy(ABC):
    """A way to make children."""

    donors = 3
    """Number of members other than the parent that a child needs."""

    def __init__(self, cube: UnitCube, start: Rates) -> None:
        self._cube = cube
        self._start = start

    def rates(self, successes: Sequence[Success], draw: Draw) -> Rates:  # noqa: ARG002
        """Return F and CR for the next child: those of the settings, unless the strategy learns."""
        return self._start

    @abstractmethod
    def mutant(self, parents: Parents, mutation: float, draw: Draw) -> Genotype:
        """Return the vector that is crossed with the parent; it may lie outside the cube."""

    def child(self, parents: Parents, rates: Rates, draw: Draw) -> Genotype:
        """Return the parent with at least one position of the mutant: each is taken with probability CR."""
        parent = parents.genotype(parents.parent)
        mutant = self.mutant(parents, rates.mutation, draw)
        forced = int(draw() * len(parent))
        return [
            _repaired(new, old) if draw() < rates.crossover or column == forced else old
            for column, (new, old) in enumerate(zip(mutant, parent, strict=True))
        ]

    def _moved(
        self,
        column: int,
        base: float,
        steps: Sequence[tuple[float, float]],
        mutation: float,
        draw: Draw,
    ) -> float:
        """Return the base plus F times each difference, in one column.

        A category can't be added to. Where two donors' categories differ, any category replaces the base with
        probability F; where they agree there is no difference, and the base stays.
        """
        if not self._cube.is_category[column]:
            return base + mutation * sum(one - other for one, other in steps)
        for one, other in steps:
            if not self._cube.is_same(column, one, other) and draw() < mutation:
                base = draw()
        return base


class RandOneBin(Strategy):
    """rand/1/bin with fixed F and CR."""

    def mutant(self, parents: Parents, mutation: float, draw: Draw) -> Genotype:
        """Return a member plus F times the difference of two others."""
        others = [member for member in parents.ranked if member is not parents.parent]
        base, one, other = (parents.genotype(member) for member in _chosen(others, 3, draw))
        return [
            self._moved(column, base[column], [(one[column], other[column])], mutation, draw)
            for column in range(len(self._cube))
        ]


class Adaptive(Strategy):
    """current-to-pbest/1/bin, one in four from the best instead of the parent; F and CR follow the successes.

    The constants are those that did best in benchmarks/search.py with 10 to 100 trials for each parameter, on other
    instances than the ones that are reported.
    """

    donors = 2

    def rates(self, successes: Sequence[Success], draw: Draw) -> Rates:
        """Draw F from a Cauchy distribution around the successes' Lehmer mean, CR from a normal one around their mean.

        Each success counts the same, however large the improvement: only the order of costs matters anywhere.
        """
        better = [success.rates for success in successes if success.is_improvement]
        start, weight = self._start, _START_WEIGHT
        squares = sum(rates.mutation**2 for rates in better) + weight * start.mutation**2
        mutation = squares / (sum(rates.mutation for rates in better) + weight * start.mutation)
        crossover = sum(rates.crossover for rates in better) + weight * start.crossover
        crossover /= len(better) + weight
        return Rates(_cauchy(mutation, draw), _normal(crossover, draw))

    def mutant(self, parents: Parents, mutation: float, draw: Draw) -> Genotype:
        """Return the parent or the best, moved towards one of the best, and by the difference of two others."""
        ranked = parents.ranked
        best = ranked[int(draw() * max(2, math.ceil(_BEST_SHARE * len(ranked))))]
        others = [member for member in ranked if member is not parents.parent]
        (one,) = _chosen(others, 1, draw)
        current = {member.number for member in ranked}
        replaced = [success.parent for success in parents.successes]
        archive = [
            member
            for member in replaced
            if member.cost is not None and member.number not in current
        ]
        rest = [member for member in (*others, *archive[: len(ranked)]) if member is not one]
        (other,) = _chosen(rest, 1, draw)
        start = best if draw() < _FROM_BEST else parents.parent
        base, goal, plus, minus = map(parents.genotype, (start, best, one, other))
        mutant = []
        for column, is_category in enumerate(self._cube.is_category):
            origin, steps = base[column], [(plus[column], minus[column])]
            if not is_category:
                steps.append((goal[column], origin))
            elif draw() < mutation:
                origin = goal[column]
            mutant.append(self._moved(column, origin, steps, mutation, draw))
        return mutant


def _cauchy(location: float, draw: Draw) -> float:
    for _ in range(8):
        value = location + _SPREAD * math.tan(math.pi * (draw() - 0.5))
        if value > _LEAST_MUTATION:
            return min(value, 1.0)
    return location


def _normal(mean: float, draw: Draw) -> float:
    value = mean + _SPREAD * standard_normal(draw)
    return min(max(value, 0.0), 1.0)


def _chosen(members: Sequence[Member], count: int, draw: Draw) -> list[Member]:
    """Draw different members; each order of them is equally likely."""
    left = list(members)
    return [left.pop(int(draw() * len(left))) for _ in range(count)]


def _repaired(new: float, old: float) -> float:
    """Return a position outside the cube to half way between the parent's and the bound it passed.

    Moved to the bound itself, trials would pile up there; half way they come as near as they need to.
    """
    if new < 0.0:
        return old / 2
    if new >= 1.0:
        return min((old + 1.0) / 2, BELOW_ONE)
    return new
