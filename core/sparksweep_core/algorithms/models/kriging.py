"""Kriging: a cheap model of trials' scores, in plain Python.

D. G. Krige's interpolation as J. Sacks, W. J. Welch, T. J. Mitchell, H. P. Wynn, "Design and Analysis of Computer
Experiments", Statistical Science 4(4), 1989, give it: a constant plus a Gaussian process, here with the Matern 5/2
correlation. It models scores instead of costs, so that no cost is too large for it. Running trials are imputed with a
middling score, so that not all trials go to one region: the constant liar of D. Ginsbourger, R. Le Riche, L. Carraro,
"Kriging Is Well-Suited to Parallelize Optimization", in Computational Intelligence in Expensive Optimization Problems,
2010.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from operator import mul
from statistics import NormalDist, fmean

from sparksweep_core.algorithms.models.linear_algebra import (
    Vector,
    cholesky,
    cholesky_solve,
    forward_substitution,
)

_NORMAL = NormalDist()
_NUGGET = 1e-3
"""Variance that the process does not explain: it keeps the factorisation from failing where points nearly coincide."""
_ROOT = math.sqrt(5)
_MOST = sys.float_info.max


class Kriging:
    """The model of some points; n of them take n^3 / 6 multiplications once, and n distances for each prediction."""

    def __init__(
        self,
        points: Sequence[Vector],
        scores: Sequence[float],
        *,
        length_scale: float | None = None,
    ) -> None:
        """Fit the model.

        Args:
            points: two or more.
            scores: of each point; less is better.
            length_scale: distance over which points are alike; None: their mean distance, so that the model shrinks
                with the population.
        """
        self._points = points
        distances = [
            [math.dist(one, other) for other in points[:index]] for index, one in enumerate(points)
        ]
        if length_scale is None:
            length_scale = fmean(distance for row in distances for distance in row)
        self._scale = _ROOT / length_scale if length_scale > 0 else 0.0
        factor = cholesky(
            [
                [*(_matern(self._scale * distance) for distance in row), 1 + _NUGGET]
                for row in distances
            ],
            # Never below the nugget but for rounding.
            least=_NUGGET / 2,
        )
        assert factor is not None, "no pivot is below the nugget"
        self._factor = factor
        ones = forward_substitution(factor, [1.0] * len(points))
        right = forward_substitution(factor, scores)
        self._mean = sum(map(mul, ones, right)) / sum(map(mul, ones, ones))
        residuals = [score - self._mean for score in scores]
        self._weights = cholesky_solve(factor, residuals)
        self._variance = sum(map(mul, residuals, self._weights)) / len(points)

    def mean_at(self, point: Vector) -> float:
        """Return the expected score of a point."""
        return self._expected(self._correlations(point))

    def mean_and_deviation(self, point: Vector) -> tuple[float, float]:
        """Return the expected score of a point and its standard deviation."""
        correlations = self._correlations(point)
        explained = forward_substitution(self._factor, correlations)
        unexplained = max(1 - sum(map(mul, explained, explained)), 0.0)
        return self._expected(correlations), math.sqrt(self._variance * unexplained)

    @property
    def log_likelihood(self) -> float:
        """Logarithm of the scores' likelihood under the model, up to a constant; more is better."""
        if not self._variance > 0:
            return -math.inf
        spread = sum(math.log(row[-1]) for row in self._factor)
        return -spread - len(self._points) / 2 * math.log(self._variance)

    def _correlations(self, point: Vector) -> list[float]:
        scale, dist = self._scale, math.dist
        return [_matern(scale * dist(point, other)) for other in self._points]

    def _expected(self, correlations: list[float]) -> float:
        expected: float = self._mean + sum(map(mul, correlations, self._weights))
        return expected


def normal_scores(costs: Sequence[float | None]) -> list[float]:
    """Return the quantiles of the costs' ranks in a normal distribution; equal ones share a rank, None is the highest.

    T. P. Runarsson, "Ordinal Regression in Evolutionary Computation", PPSN 2006: with ranks, a model is the same for
    every increasing function of the cost.
    """
    is_failed = [cost is None for cost in costs]
    keys = [
        (failed, 0.0 if cost is None else cost)
        for failed, cost in zip(is_failed, costs, strict=True)
    ]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    scores = [0.0] * len(keys)
    begin = 0
    while begin < len(order):
        end = begin
        while end < len(order) and keys[order[end]] == keys[order[begin]]:
            end += 1
        score = _NORMAL.inv_cdf((begin + end) / 2 / len(order))
        for index in order[begin:end]:
            scores[index] = score
        begin = end
    return scores


def best_first(costs: Sequence[float | None]) -> list[int]:
    """Return the indices of those that have a cost, the lowest first; of equal ones the later."""
    order = sorted((cost, -index) for index, cost in enumerate(costs) if cost is not None)
    return [-index for _, index in order]


def log_scores(costs: Sequence[float | None]) -> list[float]:
    """Return the logarithm of each cost's distance from the lowest, in units of the median's; None is the highest.

    Differences among good costs count, those among bad ones hardly: these do not bend a model of where the best are.
    """
    ascending = sorted(cost for cost in costs if cost is not None)
    if not ascending:
        return [0.0] * len(costs)
    # The range of two floats may be too large for one; half of a tiny one is nothing.
    share = 1.0 if math.isfinite(ascending[-1] - ascending[0]) else 0.5
    lowest, middle, highest = (
        share * cost for cost in (ascending[0], ascending[len(ascending) // 2], ascending[-1])
    )
    unit = middle - lowest or highest - lowest or 1.0
    return [
        # Where the median equals the lowest but for a rounding error, others are infinitely worse.
        math.log1p(min(((highest if cost is None else share * cost) - lowest) / unit, _MOST))
        for cost in costs
    ]


def _matern(distance: float) -> float:
    return (1 + distance + distance * distance / 3) * math.exp(-distance)
