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
from statistics import NormalDist

from sparksweep_operator.search.cube import Cube, Genotype
from sparksweep_operator.search.evolution_population import Member, Success
from sparksweep_operator.search.lineage import Rates
from sparksweep_operator.search.scale import BELOW_ONE

Draw = Callable[[], float]
"""The next uniform number in [0, 1)."""

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Material:
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

    def __init__(self, cube: Cube, start: Rates) -> None:
        self._cube = cube
        self._start = start

    def rates(self, successes: Sequence[Success], draw: Draw) -> Rates:  # noqa: ARG002
        """F and CR for the next trial: those of the settings, unless the strategy learns."""
        return self._start

    @abstractmethod
    def mutant(self, material: Material, mutation: float, draw: Draw) -> Genotype:
        """The vector that is crossed with the parent; it may lie outside the cube."""

    def child(self, material: Material, rates: Rates, draw: Draw) -> Genotype:
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

    def mutant(self, material: Material, mutation: float, draw: Draw) -> Genotype:
        """A member, and F times the difference of two others."""
        others = [member for member in material.ranked if member is not material.parent]
        base, one, other = (material.genotype(member) for member in _chosen(others, 3, draw))
        return [
            self._moved(place, base[place], [(one[place], other[place])], mutation, draw)
            for place in range(len(self._cube))
        ]


class Adaptive(Strategy):
    """current-to-pbest/1/bin; F and CR are drawn around those of the last trials that succeeded."""

    donors = 2
    GREED = 0.2
    """Share of the members that are among the best."""
    SPREAD = 0.1
    PRIOR = 4.0

    def rates(self, successes: Sequence[Success], draw: Draw) -> Rates:
        """F by a Cauchy distribution around the successes' Lehmer mean, CR by a normal one around their mean."""
        mean = self._means(successes)
        mutation = 0.0
        for _ in range(8):
            mutation = mean.mutation + self.SPREAD * math.tan(math.pi * (draw() - 0.5))
            if mutation > 0.05:
                break
        crossover = mean.crossover + self.SPREAD * _NORMAL.inv_cdf(
            min(max(draw(), 1e-9), BELOW_ONE)
        )
        return Rates(min(max(mutation, 0.05), 1.0), min(max(crossover, 0.0), 1.0))

    def _means(self, successes: Sequence[Success]) -> Rates:
        better = [success for success in successes if success.is_improvement]
        F = [s.rates.mutation for s in better]
        squares = sum(f * f for f in F) + self.PRIOR * self._start.mutation**2
        return Rates(
            squares / (sum(F) + self.PRIOR * self._start.mutation),
            (sum(s.rates.crossover for s in better) + self.PRIOR * self._start.crossover)
            / (len(better) + self.PRIOR),
        )

    def mutant(self, material: Material, mutation: float, draw: Draw) -> Genotype:
        """The parent, moved towards one of the best, and by the difference of two others."""
        ranked = material.ranked
        best = ranked[int(draw() * max(2, math.ceil(self.GREED * len(ranked))))]
        others = [member for member in ranked if member is not material.parent]
        (one,) = _chosen(others, 1, draw)
        known = {member.number for member in ranked}
        archive = [
            s.parent
            for s in material.successes
            if s.parent.cost is not None and s.parent.number not in known
        ]
        rest = [member for member in (*others, *archive[: len(ranked)]) if member is not one]
        (other,) = _chosen(rest, 1, draw)
        x, b, r, q = (material.genotype(member) for member in (material.parent, best, one, other))
        mutant = []
        for place in range(len(self._cube)):
            if self._cube.is_category[place]:
                base = b[place] if draw() < mutation else x[place]
                mutant.append(self._moved(place, base, [(r[place], q[place])], mutation, draw))
            else:
                steps = [(b[place], x[place]), (r[place], q[place])]
                mutant.append(self._moved(place, x[place], steps, mutation, draw))
        return mutant


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
