"""Distances in the shape of what has done well: long where the best trials are far apart, short where they are close.

In a valley that is narrow and long, the trials that are near by this measure are those along the valley. Mahalanobis'
distance, with the covariance of the best trials; S. Kern, N. Hansen, P. Koumoutsakos, "Local Meta-Models for Optimization
Using Evolution Strategies", PPSN IX, 2006, choose their models' points by such a one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import mul
from statistics import fmean

from sparksweep_core.algorithms.models.linear_algebra import Point, cholesky, forward_substitution

Whitening = Callable[[Point], Point]
"""Where a point lies in the space in which distances are the usual ones."""

_ROUND = 0.5
"""Share of a ball in the shape, for each dimension and divided by the points: what few of them say of it is rough."""


def identity(point: Point) -> Point:
    """The metric in which distances are the usual ones from the start."""
    return point


def whitening_of(best: Sequence[Point]) -> Whitening:
    """The metric of some points; the usual one if they are too few to have a shape, or all the same.

    Args:
        best: points of the same number of dimensions.
    """
    size = len(best[0]) if best else 0
    if len(best) <= size:
        return identity
    columns = []
    for column in zip(*best, strict=True):
        mean = fmean(column)
        columns.append([value - mean for value in column])
    covariance = [
        [fmean(map(mul, columns[row], columns[other])) for other in range(row + 1)]
        for row in range(size)
    ]
    share = _ROUND * size / len(best)
    ball = share * fmean(covariance[place][place] for place in range(size))
    for row in range(size):
        covariance[row] = [(1 - share) * value for value in covariance[row]]
        covariance[row][row] += ball
    shape = cholesky(covariance)
    if shape is None:
        return identity
    return lambda point: forward_substitution(shape, point)
