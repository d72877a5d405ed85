"""Distances in the shape of the best trials: long where these are far apart, short where they are close.

In a valley that is narrow and long, the trials that are near by this measure are those along the valley. Mahalanobis'
distance, with the covariance of the best trials; S. Kern, N. Hansen, P. Koumoutsakos, "Local Meta-Models for
Optimization Using Evolution Strategies", PPSN IX, 2006, choose their models' points by such a one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import mul
from statistics import fmean

from sparksweep_core.algorithms.models.linear_algebra import Vector, cholesky, forward_substitution

Whitening = Callable[[Vector], Vector]
"""Maps a point into the space in which Mahalanobis' distance is the Euclidean one."""

_BALL = 0.5
"""Share of a ball in the covariance, times dimensions and divided by points: few points give only a rough shape."""


def identity(point: Vector) -> Vector:
    """Return the point itself: the whitening where distances are Euclidean from the start."""
    return point


def whitening_of(best: Sequence[Vector]) -> Whitening:
    """Return the whitening of some points; the identity if they are too few to have a shape, or all the same.

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
    share = _BALL * size / len(best)
    ball = share * fmean(covariance[row][row] for row in range(size))
    for row in range(size):
        covariance[row] = [(1 - share) * value for value in covariance[row]]
        covariance[row][row] += ball
    factor = cholesky(covariance)
    if factor is None:
        return identity
    return lambda point: forward_substitution(factor, point)
