"""A cheap model of what trials cost: kriging of the ranks of a few ended trials, in plain Python.

D. G. Krige's interpolation as J. Sacks, W. J. Welch, T. J. Mitchell, H. P. Wynn, "Design and Analysis of Computer
Experiments", Statistical Science 4(4), 1989, give it: a constant plus a Gaussian process, here with the Matern 5/2
correlation. Ranks instead of costs, as in T. P. Runarsson, "Ordinal Regression in Evolutionary Computation", PPSN 2006,
make it the same for every increasing function of the cost, and no cost too large for it. Trials that have not ended count
as middling ones, so that not all go to one place: the constant liar of D. Ginsbourger, R. Le Riche, L. Carraro, "Kriging
Is Well-Suited to Parallelize Optimization", in Computational Intelligence in Expensive Optimization Problems, 2010.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul
from statistics import NormalDist, fmean

from sparksweep_operator.search.linear import Point, factor, forward, solved

_NORMAL = NormalDist()
_NUGGET = 1e-3
"""Variance of what the process does not explain: it keeps the factorisation from failing where points nearly coincide."""
_ROOT = math.sqrt(5)


class Kriging:
    """The model of some points; n of them take n^3 / 6 multiplications once, and n distances for each prediction."""

    def __init__(self, points: Sequence[Point], costs: Sequence[float | None]) -> None:
        """Fit the model.

        Args:
            points: two or more; if there are more than costs, the last ones have not ended.
            costs: those of the first points; None is the highest.
        """
        self._points = points
        distances = [
            [math.dist(one, other) for other in points[:place]] for place, one in enumerate(points)
        ]
        # The mean distance is the scale, so that the model shrinks with the population.
        mean = fmean(distance for row in distances for distance in row)
        self._scale = _ROOT / mean if mean > 0 else 0.0
        shape = factor(
            [
                [*(_matern(self._scale * distance) for distance in row), 1 + _NUGGET]
                for row in distances
            ],
            # Never below the nugget but for rounding.
            least=_NUGGET / 2,
        )
        assert shape is not None, "no pivot is below the nugget"
        scores = normal_scores(costs) + [0.0] * (len(points) - len(costs))
        ones = forward(shape, [1.0] * len(points))
        self._mean = sum(map(mul, ones, forward(shape, scores))) / sum(map(mul, ones, ones))
        self._weights = solved(shape, [score - self._mean for score in scores])

    def predicted(self, point: Point) -> float:
        """What a point's normal score would be: less is better."""
        scale, dist = self._scale, math.dist
        near = [_matern(scale * dist(point, other)) for other in self._points]
        expected: float = self._mean + sum(map(mul, near, self._weights))
        return expected


def normal_scores(costs: Sequence[float | None]) -> list[float]:
    """The quantiles of the costs' ranks in a normal distribution, the lowest first; equal ones share their mean rank."""
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


def _matern(distance: float) -> float:
    return (1 + distance + distance * distance / 3) * math.exp(-distance)
