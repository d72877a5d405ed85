"""A quadratic model of a few trials' costs: its minimizer, and how well it predicts trials that were left out.

G. E. P. Box, K. B. Wilson, "On the Experimental Attainment of Optimum Conditions", Journal of the Royal Statistical
Society B 13(1), 1951: a quadratic regression, whose lowest point is tried next. Near a smooth optimum one such trial
replaces many generations.

D. M. Allen, "The Relationship Between Variable Selection and Data Augmentation and a Method for Prediction",
Technometrics 16(1), 1974: each trial is left out in turn, without fitting the model again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul
from statistics import fmean
from typing import NamedTuple

from sparksweep_core.algorithms.keyed_random import BELOW_ONE
from sparksweep_core.algorithms.models.linear_algebra import (
    Rows,
    Vector,
    cholesky,
    cholesky_solve,
    forward_substitution,
)

_RIDGE = 1e-9
"""Share of the mean of the normal equations' diagonal that is added to it: points on one line or plane leave the model
undetermined."""
_BEYOND = 0.5
"""Size that the box has on each side beyond the points, as a share of their range: the minimizer may be on a bound of
the cube, which drawn points come near to and never reach."""
_SWEEPS = 20
"""Passes of coordinate descent where the minimizer is not inside the box."""
_LEAST_LEVERAGE_LEFT = 1e-12
"""A smaller share of a point's cost that the other points leave open is rounding."""
_FLAT = 1e-9
"""Least curvature, in units of half the box and of the costs' range."""


def coefficient_count(dimensions: int) -> int:
    """Return the number of the model's coefficients, which is the least number of points too."""
    return (dimensions + 1) * (dimensions + 2) // 2


def minimizer(
    points: Sequence[Vector], costs: Sequence[float], centre: Vector
) -> list[float] | None:
    """Return the model's lowest point, in the box that the points span or a little outside of it.

    Args:
        points: at least `coefficient_count` of them in the unit cube.
        costs: cost of each; less is better.
        centre: origin of the model's coordinates; in the box.

    Returns:
        The point; None if the costs do not determine one, or it is the centre.
    """
    low, high = _box(points)
    scale = _scale(low, high)
    fit = _fitted(points, costs, centre, scale)
    if fit is None:
        return None
    slope, curvature = _slope_and_curvature(fit.coefficients, len(centre))
    lowest = _lowest(slope, curvature, *_scaled([low, high], centre, scale))
    if lowest is None:
        return None
    return [c + s * z for c, s, z in zip(centre, scale, lowest, strict=True)]


def predictive_r2(points: Sequence[Vector], costs: Sequence[float], centre: Vector) -> float:
    """Return the leave-one-out R²: how well each point's cost is predicted by a model of the others.

    Args:
        points: more than `coefficient_count` of them in the unit cube.
        costs: cost of each; less is better.
        centre: origin of the model's coordinates; in the box.

    Returns:
        1 if exactly, 0 if as well as by their mean, less if worse; 0 if the costs determine no model.
    """
    fit = _fitted(points, costs, centre, _scale(*_box(points)))
    if fit is None:
        return 0.0
    squared_errors = 0.0
    for row, cost in zip(fit.rows, fit.scaled_costs, strict=True):
        part = forward_substitution(fit.factor, row)
        # 1 minus the leverage: 0, but for rounding, where a point alone determines the model.
        left = max(1.0 - sum(map(mul, part, part)), _LEAST_LEVERAGE_LEFT)
        squared_errors += ((cost - sum(map(mul, fit.coefficients, row))) / left) ** 2
    mean = fmean(fit.scaled_costs)
    return 1.0 - squared_errors / sum((cost - mean) ** 2 for cost in fit.scaled_costs)


class _Fit(NamedTuple):
    """A fitted model and its inputs."""

    rows: Rows
    """Design matrix: for each point 1, its coordinates and their products."""
    scaled_costs: list[float]
    """Costs as shares of their range."""
    factor: Rows
    """Cholesky factor of the normal equations."""
    coefficients: list[float]
    """One for each column of the design matrix."""


def _fitted(
    points: Sequence[Vector], costs: Sequence[float], centre: Vector, scale: Vector
) -> _Fit | None:
    """Fit by least squares; None if the costs or the points determine no model."""
    scaled_costs = _scaled_costs(costs)
    if scaled_costs is None:
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
    factor = cholesky(normal)
    if factor is None:
        return None
    right = [sum(map(mul, column, scaled_costs)) for column in columns]
    return _Fit(rows, scaled_costs, factor, cholesky_solve(factor, right))


def _scaled_costs(costs: Sequence[float]) -> list[float] | None:
    """Return the costs as shares of their range; None if they have none."""
    # The range of two floats may be too large for one; half of a tiny one is nothing.
    share = 1.0 if math.isfinite(max(costs) - min(costs)) else 0.5
    best, spread = share * min(costs), share * max(costs) - share * min(costs)
    if not 0 < spread < math.inf:
        return None
    return [(share * cost - best) / spread for cost in costs]


def _box(points: Sequence[Vector]) -> tuple[Vector, Vector]:
    """Return the corners of the box that the points span, and some more of the cube on each side."""
    low, high = [], []
    for column in zip(*points, strict=True):
        least, most = min(column), max(column)
        more = _BEYOND * (most - least)
        low.append(max(least - more, 0.0))
        high.append(min(most + more, BELOW_ONE))
    return low, high


def _scale(low: Vector, high: Vector) -> list[float]:
    return [(above - below) / 2 or 1.0 for below, above in zip(low, high, strict=True)]


def _scaled(points: Sequence[Vector], centre: Vector, scale: Vector) -> Rows:
    return [[(x - c) / s for x, c, s in zip(point, centre, scale, strict=True)] for point in points]


def _slope_and_curvature(coefficients: Sequence[float], size: int) -> tuple[list[float], Rows]:
    """Return the gradient at the centre, and the lower triangle of the Hessian."""
    products = iter(coefficients[size + 1 :])
    curvature = [[next(products) for _ in range(row + 1)] for row in range(size)]
    for row in range(size):
        curvature[row][row] *= 2
    return list(coefficients[1 : size + 1]), curvature


def _lowest(slope: list[float], curvature: Rows, low: Vector, high: Vector) -> list[float] | None:
    """Return the lowest point in a box, in the model's coordinates; None if it is the origin."""
    factor = cholesky([[*row[:-1], row[-1] - _FLAT] for row in curvature])
    if factor is not None:
        point = cholesky_solve(factor, [-value for value in slope])
        if all(b <= z <= a for b, z, a in zip(low, point, high, strict=True)):
            return point if any(point) else None
    size = len(slope)
    full = [
        [curvature[max(row, other)][min(row, other)] for other in range(size)]
        for row in range(size)
    ]
    point = [0.0] * size
    for _ in range(_SWEEPS):
        for row in range(size):
            bend = full[row][row]
            tilt = slope[row] + sum(map(mul, full[row], point)) - bend * point[row]
            ends = (low[row], high[row])
            if bend > _FLAT:
                point[row] = min(max(-tilt / bend, ends[0]), ends[1])
            else:
                point[row] = min(ends, key=lambda z: tilt * z + bend * z * z / 2)
    return point if any(point) else None
