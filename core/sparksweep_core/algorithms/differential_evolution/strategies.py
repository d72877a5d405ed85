"""How differential evolution makes a trial's genotype from the population: mutation, crossover, repair.

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
"""Of F's and CR's distributions, as in JADE."""
_START_WEIGHT = 4.0
"""How many successes the settings count as."""
_LEAST_MUTATION = 0.05
"""A smaller F is drawn again: it would move nothing."""


@dataclass(frozen=True, slots=True)
class Parents:
    """What a trial is made from."""

    parent: Member
    """Who holds the place; has a cost."""
    ranked: Sequence[Member]
    """The members that have a cost, the best first; at least `Strategy.donors` without the parent."""
    successes: Sequence[Success]
    """The last ones, the newest first."""
    genotype: Callable[[Member], Genotype]


class Strategy(ABC):
    """A way to make a trial."""

    donors = 3
    """How many other members it takes."""

    def __init__(self, cube: UnitCube, start: Rates) -> None:
        self._cube = cube
        self._start = start

    def rates(self, successes: Sequence[Success], draw: Draw) -> Rates:  # noqa: ARG002
        """F and CR for the next trial: those of the settings, unless the strategy learns."""
        return self._start

    @abstractmethod
    def mutant(self, material: Parents, mutation: float, draw: Draw) -> Genotype:
        """The vector that is crossed with the parent; it may lie outside the cube."""

    def child(self, material: Parents, rates: Rates, draw: Draw) -> Genotype:
        """The trial: the mutant's positions with probability CR each, at least one of them, and else the parent's."""
        parent = material.genotype(material.parent)
        mutant = self.mutant(material, rates.mutation, draw)
        forced = int(draw() * len(parent))
        return [
            _repaired(new, old) if draw() < rates.crossover or place == forced else old
            for place, (new, old) in enumerate(zip(mutant, parent, strict=True))
        ]

    def _moved(
        self,
        place: int,
        base: float,
        steps: Sequence[tuple[float, float]],
        mutation: float,
        draw: Draw,
    ) -> float:
        """One position: the base, and F times each difference.

        A category can't be added to. Where two donors' categories differ, any category takes the base's place with
        probability F; where they agree there is no difference, and the base stays.
        """
        if not self._cube.is_category[place]:
            return base + mutation * sum(one - other for one, other in steps)
        for one, other in steps:
            if not self._cube.is_same(place, one, other) and draw() < mutation:
                base = draw()
        return base


class RandOneBin(Strategy):
    """rand/1/bin with fixed F and CR."""

    def mutant(self, material: Parents, mutation: float, draw: Draw) -> Genotype:
        """A member, and F times the difference of two others."""
        others = [member for member in material.ranked if member is not material.parent]
        base, one, other = (material.genotype(member) for member in _chosen(others, 3, draw))
        return [
            self._moved(place, base[place], [(one[place], other[place])], mutation, draw)
            for place in range(len(self._cube))
        ]


class Adaptive(Strategy):
    """current-to-pbest/1/bin, one in four from the best instead of the parent; F and CR follow what has succeeded.

    The constants are those that did best in benchmarks/search.py with 10 to 100 trials for each parameter, on other
    instances than the ones that are reported.
    """

    donors = 2

    def rates(self, successes: Sequence[Success], draw: Draw) -> Rates:
        """F from a Cauchy distribution around the successes' Lehmer mean, CR from a normal one around their mean.

        Each success counts the same, however large the improvement: only the order of costs matters anywhere.
        """
        better = [success.rates for success in successes if success.is_improvement]
        start, weight = self._start, _START_WEIGHT
        squares = sum(rates.mutation**2 for rates in better) + weight * start.mutation**2
        mutation = squares / (sum(rates.mutation for rates in better) + weight * start.mutation)
        crossover = sum(rates.crossover for rates in better) + weight * start.crossover
        crossover /= len(better) + weight
        return Rates(_cauchy(mutation, draw), _normal(crossover, draw))

    def mutant(self, material: Parents, mutation: float, draw: Draw) -> Genotype:
        """The parent or the best, moved towards one of the best, and by the difference of two others."""
        ranked = material.ranked
        best = ranked[int(draw() * max(2, math.ceil(_BEST_SHARE * len(ranked))))]
        others = [member for member in ranked if member is not material.parent]
        (one,) = _chosen(others, 1, draw)
        known = {member.number for member in ranked}
        lost = [success.parent for success in material.successes]
        archive = [
            member for member in lost if member.cost is not None and member.number not in known
        ]
        rest = [member for member in (*others, *archive[: len(ranked)]) if member is not one]
        (other,) = _chosen(rest, 1, draw)
        start = best if draw() < _FROM_BEST else material.parent
        base, goal, plus, minus = map(material.genotype, (start, best, one, other))
        mutant = []
        for place, is_category in enumerate(self._cube.is_category):
            origin, steps = base[place], [(plus[place], minus[place])]
            if not is_category:
                steps.append((goal[place], origin))
            elif draw() < mutation:
                origin = goal[place]
            mutant.append(self._moved(place, origin, steps, mutation, draw))
        return mutant


def _cauchy(middle: float, draw: Draw) -> float:
    for _ in range(8):
        value = middle + _SPREAD * math.tan(math.pi * (draw() - 0.5))
        if value > _LEAST_MUTATION:
            return min(value, 1.0)
    return middle


def _normal(middle: float, draw: Draw) -> float:
    value = middle + _SPREAD * standard_normal(draw)
    return min(max(value, 0.0), 1.0)


def _chosen(members: Sequence[Member], count: int, draw: Draw) -> list[Member]:
    """Different members, each order of them as likely."""
    left = list(members)
    return [left.pop(int(draw() * len(left))) for _ in range(count)]


def _repaired(new: float, old: float) -> float:
    """A position outside the cube comes back half way between the parent's and the bound it passed.

    Moved to the bound itself, trials would pile up there; half way they come as near as they need to.
    """
    if new < 0.0:
        return old / 2
    if new >= 1.0:
        return min((old + 1.0) / 2, BELOW_ONE)
    return new
