"""A parabola through what a few trials cost: where it is lowest, and how well it foretells what it was not told.

G. E. P. Box, K. B. Wilson, "On the Experimental Attainment of Optimum Conditions", Journal of the Royal Statistical
Society B 13(1), 1951: a quadratic regression, whose lowest point is tried next. Near a smooth optimum one such trial
replaces many generations.

D. M. Allen, "The Relationship Between Variable Selection and Data Augmentation and a Method for Prediction", Technometrics
16(1), 1974: each trial is left out in turn, without fitting the parabola anew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul
from statistics import fmean
from typing import NamedTuple

from sparksweep_core.algorithms.keyed_random import BELOW_ONE
from sparksweep_core.algorithms.models.linear_algebra import (
    Point,
    Rows,
    cholesky,
    cholesky_solve,
    forward_substitution,
)

_RIDGE = 1e-9
"""Of the mean of the normal equations' diagonal: points on one line or plane leave the parabola open."""
_BEYOND = 0.5
"""How much larger the box is on each side than the one that the points span: the lowest point may be on a bound of the
cube, which points that are drawn come near to and never reach."""
_SWEEPS = 20
"""How often each coordinate is improved where the lowest point is not inside."""
_ALONE = 1e-12
"""Less of a point's cost than this is not left open by the others: it is rounding."""
_FLAT = 1e-9
"""Less curvature is none, in units of half the box and of the costs' range."""


def coefficient_count(dimensions: int) -> int:
    """How many numbers a parabola has, and how many points it takes at least."""
    return (dimensions + 1) * (dimensions + 2) // 2


def minimizer(points: Sequence[Point], costs: Sequence[float], centre: Point) -> list[float] | None:
    """Where the parabola is lowest, in the box that the points span or a little outside of it.

    Args:
        points: at least `terms` of them in the unit cube, for each a cost.
        costs: less is better.
        centre: the point that the parabola is written around; in the box.

    Returns:
        The place; None where the costs say nothing of it, or it is the centre.
    """
    low, high = _box(points)
    scale = _scale(low, high)
    found = _fitted(points, costs, centre, scale)
    if found is None:
        return None
    slope, curvature = _parts(found.weights, len(centre))
    place = _lowest(slope, curvature, *_scaled([low, high], centre, scale))
    if place is None:
        return None
    return [c + s * z for c, s, z in zip(centre, scale, place, strict=True)]


def predictive_r2(points: Sequence[Point], costs: Sequence[float], centre: Point) -> float:
    """How well the parabola through the others foretells each point's cost.

    Args:
        points: more than `terms` of them in the unit cube, for each a cost.
        costs: less is better.
        centre: the point that the parabola is written around; in the box.

    Returns:
        1 if exactly, 0 if as well as their mean does, less if worse; 0 where the costs say nothing.
    """
    found = _fitted(points, costs, centre, _scale(*_box(points)))
    if found is None:
        return 0.0
    missed = 0.0
    for row, height in zip(found.rows, found.heights, strict=True):
        part = forward_substitution(found.shape, row)
        # What a point's own cost moves the parabola at its place; all of it, but for rounding, where it stands alone.
        left = max(1.0 - sum(map(mul, part, part)), _ALONE)
        missed += ((height - sum(map(mul, found.weights, row))) / left) ** 2
    mean = fmean(found.heights)
    return 1.0 - missed / sum((height - mean) ** 2 for height in found.heights)


class _Fit(NamedTuple):
    """A parabola, and what it was made of."""

    rows: Rows
    """For each point what the parabola's numbers are multiplied with: 1, its positions, their products."""
    heights: list[float]
    """The costs as shares of their range."""
    shape: Rows
    """The factor of the normal equations."""
    weights: list[float]
    """The parabola's numbers."""


def _fitted(
    points: Sequence[Point], costs: Sequence[float], centre: Point, scale: Point
) -> _Fit | None:
    """Least squares; None where the costs or the points say nothing."""
    heights = _heights(costs)
    if heights is None:
        return None
    rows = [
        [1.0, *point, *(x * y for end, x in enumerate(point, 1) for y in point[:end])]
        for point in _scaled(points, centre, scale)
    ]
    columns = list(zip(*rows, strict=True))
    normal = [
        [sum(map(mul, one, other)) for other in columns[:end]] for end, one in enumerate(columns, 1)
    ]
    ridge = _RIDGE * sum(row[-1] for row in normal) / len(normal)
    for values in normal:
        values[-1] += ridge
    shape = cholesky(normal)
    if shape is None:
        return None
    weights = cholesky_solve(shape, [sum(map(mul, column, heights)) for column in columns])
    return _Fit(rows, heights, shape, weights)


def _heights(costs: Sequence[float]) -> list[float] | None:
    """The costs as shares of their range; None if they have none."""
    # The range of two floats may be too large for one; half of a tiny one is nothing.
    share = 1.0 if math.isfinite(max(costs) - min(costs)) else 0.5
    best, spread = share * min(costs), share * max(costs) - share * min(costs)
    if not 0 < spread < math.inf:
        return None
    return [(share * cost - best) / spread for cost in costs]


def _box(points: Sequence[Point]) -> tuple[Point, Point]:
    """The corners of the box that the points span, and some more of the cube on each side."""
    low, high = [], []
    for column in zip(*points, strict=True):
        least, most = min(column), max(column)
        more = _BEYOND * (most - least)
        low.append(max(least - more, 0.0))
        high.append(min(most + more, BELOW_ONE))
    return low, high


def _scale(low: Point, high: Point) -> list[float]:
    return [(above - below) / 2 or 1.0 for below, above in zip(low, high, strict=True)]


def _scaled(points: Sequence[Point], centre: Point, scale: Point) -> Rows:
    return [[(x - c) / s for x, c, s in zip(point, centre, scale, strict=True)] for point in points]


def _parts(weights: Sequence[float], size: int) -> tuple[list[float], Rows]:
    """The slope at zero, and the lower triangle of the curvature."""
    rest = iter(weights[size + 1 :])
    curvature = [[next(rest) for _ in range(row + 1)] for row in range(size)]
    for row in range(size):
        curvature[row][row] *= 2
    return list(weights[1 : size + 1]), curvature


def _lowest(slope: list[float], curvature: Rows, low: Point, high: Point) -> list[float] | None:
    shape = cholesky([[*row[:-1], row[-1] - _FLAT] for row in curvature])
    if shape is not None:
        place = cholesky_solve(shape, [-value for value in slope])
        if all(b <= z <= a for b, z, a in zip(low, place, high, strict=True)):
            return place if any(place) else None
    size = len(slope)
    full = [
        [curvature[max(row, other)][min(row, other)] for other in range(size)]
        for row in range(size)
    ]
    place = [0.0] * size
    for _ in range(_SWEEPS):
        for row in range(size):
            bend = full[row][row]
            tilt = slope[row] + sum(map(mul, full[row], place)) - bend * place[row]
            ends = (low[row], high[row])
            if bend > _FLAT:
                place[row] = min(max(-tilt / bend, ends[0]), ends[1])
            else:
                place[row] = min(ends, key=lambda z: tilt * z + bend * z * z / 2)
    return place if any(place) else None
