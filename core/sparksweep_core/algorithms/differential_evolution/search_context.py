"""Parts that all trials of one search are made with."""

from __future__ import annotations

from sparksweep_core.algorithms.differential_evolution.population import CostFunction, Member
from sparksweep_core.algorithms.differential_evolution.strategies import Strategy
from sparksweep_core.algorithms.encoding.space import Space
from sparksweep_core.algorithms.encoding.unit_cube import Genotype, UnitCube
from sparksweep_core.algorithms.memo import Memo
from sparksweep_core.algorithms.visited_points import VisitedPoints

BUCKET_KEY, HYPERCUBE_KEY, REMAINDER_KEY, ADVISOR_KEY = -1, -2, -3, -4
"""Key elements for draws other than a trial's children: below 0, as attempts count from 0, so that keys differ."""


class SearchContext:
    """Encodings, strategy, seed and caches of one search."""

    def __init__(
        self,
        *,
        cube: UnitCube,
        space: Space,
        strategy: Strategy,
        seed: int,
        cost_of: CostFunction,
        budget: int,
    ) -> None:
        """Store what all trials of the search share.

        Args:
            cube: encoding that differential evolution computes in.
            space: the same parameters, for uniform draws.
            strategy: makes children.
            seed: seed of all draws.
            cost_of: cost of a trial.
            budget: number of trials that the search makes in all.
        """
        self.cube = cube
        self.space = space
        self.strategy = strategy
        self.seed = seed
        self.cost_of = cost_of
        self.budget = budget
        self.visited = VisitedPoints(self.cube.names)
        self._genotypes = Memo(
            lambda number, point: self.cube.encode(point, (seed, BUCKET_KEY, number))
        )

    def genotype(self, member: Member) -> Genotype:
        """Return a member's genotype, the same one at each call."""
        return self._genotypes.get(member.number, member.point)
