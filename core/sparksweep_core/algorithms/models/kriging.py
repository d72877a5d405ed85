"""A cheap model of what trials cost: kriging of the scores of a few trials, in plain Python.

D. G. Krige's interpolation as J. Sacks, W. J. Welch, T. J. Mitchell, H. P. Wynn, "Design and Analysis of Computer
Experiments", Statistical Science 4(4), 1989, give it: a constant plus a Gaussian process, here with the Matern 5/2
correlation. Scores instead of costs, so that no cost is too large for it. Trials that have not ended get a middling one, so
that not all go to one place: the constant liar of D. Ginsbourger, R. Le Riche, L. Carraro, "Kriging Is Well-Suited to
Parallelize Optimization", in Computational Intelligence in Expensive Optimization Problems, 2010.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from operator import mul
from statistics import NormalDist, fmean

from sparksweep_core.algorithms.models.linear_algebra import (
    Point,
    cholesky,
    cholesky_solve,
    forward_substitution,
)

_NORMAL = NormalDist()
_NUGGET = 1e-3
"""Variance of what the process does not explain: it keeps the factorisation from failing where points nearly coincide."""
_ROOT = math.sqrt(5)
_MOST = sys.float_info.max


class Kriging:
    """The model of some points; n of them take n^3 / 6 multiplications once, and n distances for each prediction."""

    def __init__(
        self, points: Sequence[Point], scores: Sequence[float], *, length_scale: float | None = None
    ) -> None:
        """Fit the model.

        Args:
            points: two or more.
            scores: of each point; less is better.
            reach: how far apart points are still alike; None: their mean distance, so that the model shrinks with the
                population.
        """
        self._points = points
        distances = [
            [math.dist(one, other) for other in points[:place]] for place, one in enumerate(points)
        ]
        if length_scale is None:
            length_scale = fmean(distance for row in distances for distance in row)
        self._scale = _ROOT / length_scale if length_scale > 0 else 0.0
        shape = cholesky(
            [
                [*(_matern(self._scale * distance) for distance in row), 1 + _NUGGET]
                for row in distances
            ],
            # Never below the nugget but for rounding.
            least=_NUGGET / 2,
        )
        assert shape is not None, "no pivot is below the nugget"
        self._shape = shape
        ones, right = (
            forward_substitution(shape, [1.0] * len(points)),
            forward_substitution(shape, scores),
        )
        self._mean = sum(map(mul, ones, right)) / sum(map(mul, ones, ones))
        rest = [score - self._mean for score in scores]
        self._weights = cholesky_solve(shape, rest)
        self._variance = sum(map(mul, rest, self._weights)) / len(points)

    def mean_at(self, point: Point) -> float:
        """What a point's score would be."""
        return self._expected(self._near(point))

    def mean_and_deviation(self, point: Point) -> tuple[float, float]:
        """What a point's score would be, and the standard deviation of that."""
        near = self._near(point)
        known = forward_substitution(self._shape, near)
        unknown = max(1 - sum(map(mul, known, known)), 0.0)
        return self._expected(near), math.sqrt(self._variance * unknown)

    @property
    def log_likelihood(self) -> float:
        """The logarithm of how likely the scores are under the model, but for a constant; more is better."""
        if not self._variance > 0:
            return -math.inf
        spread = sum(math.log(row[-1]) for row in self._shape)
        return -spread - len(self._points) / 2 * math.log(self._variance)

    def _near(self, point: Point) -> list[float]:
        scale, dist = self._scale, math.dist
        return [_matern(scale * dist(point, other)) for other in self._points]

    def _expected(self, near: list[float]) -> float:
        expected: float = self._mean + sum(map(mul, near, self._weights))
        return expected


def normal_scores(costs: Sequence[float | None]) -> list[float]:
    """The quantiles of the costs' ranks in a normal distribution; equal ones share their mean rank, None is the highest.

    T. P. Runarsson, "Ordinal Regression in Evolutionary Computation", PPSN 2006: with ranks, a model is the same for every
    increasing function of the cost.
    """
    worst = [cost is None for cost in costs]
    keys = [
        (failed, 0.0 if cost is None else cost) for failed, cost in zip(worst, costs, strict=True)
    ]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    scores = [0.0] * len(keys)
    begin = 0
    while begin < len(order):
        end = begin
        while end < len(order) and keys[order[end]] == keys[order[begin]]:
            end += 1
        score = _NORMAL.inv_cdf((begin + end) / 2 / len(order))
        for place in order[begin:end]:
            scores[place] = score
        begin = end
    return scores


def best_first(costs: Sequence[float | None]) -> list[int]:
    """The places of those that have a cost, the lowest first; of equal ones the later."""
    order = sorted((cost, -place) for place, cost in enumerate(costs) if cost is not None)
    return [-place for _, place in order]


def log_scores(costs: Sequence[float | None]) -> list[float]:
    """The logarithm of how far each cost is from the lowest one, in units of how far the median is; None is the highest.

    Among good costs differences count, among bad ones hardly: they do not bend a model that is to say where the best are.
    """
    known = sorted(cost for cost in costs if cost is not None)
    if not known:
        return [0.0] * len(costs)
    # The range of two floats may be too large for one; half of a tiny one is nothing.
    share = 1.0 if math.isfinite(known[-1] - known[0]) else 0.5
    lowest, middle, highest = (
        share * cost for cost in (known[0], known[len(known) // 2], known[-1])
    )
    unit = middle - lowest or highest - lowest or 1.0
    return [
        # Where the median is as good as the lowest but for a rounding error, others are infinitely worse.
        math.log1p(min(((highest if cost is None else share * cost) - lowest) / unit, _MOST))
        for cost in costs
    ]


def _matern(distance: float) -> float:
    return (1 + distance + distance * distance / 3) * math.exp(-distance)
