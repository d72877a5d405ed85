"""Linear algebra of a few dozen unknowns, in plain Python: the operator has no NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul

Point = Sequence[float]
Rows = list[list[float]]


def cholesky(lower: Sequence[Sequence[float]], *, least: float = 0.0) -> Rows | None:
    """Cholesky's lower triangle of a symmetric matrix.

    Args:
        lower: the matrix's lower triangle, its diagonal included: row i has i + 1 numbers.
        least: what a pivot is at least; with 0, a matrix that is not positive definite has no factor.

    Returns:
        The factor's lower triangle; None when there is none.
    """
    found: Rows = []
    for values in lower:
        row: list[float] = []
        for value, other in zip(values, found, strict=False):
            row.append((value - sum(map(mul, row, other))) / other[-1])
        pivot = max(values[-1] - sum(map(mul, row, row)), least)
        # Not `pivot <= 0`: it may not be a number.
        if not pivot > 0 or not math.isfinite(pivot):
            return None
        row.append(math.sqrt(pivot))
        found.append(row)
    return found


def forward_substitution(rows: Rows, right: Sequence[float]) -> list[float]:
    """The x of L x = b, for a factor L."""
    solution: list[float] = []
    for row, value in zip(rows, right, strict=True):
        solution.append((value - sum(map(mul, row, solution))) / row[-1])
    return solution


def cholesky_solve(rows: Rows, right: Sequence[float]) -> list[float]:
    """The x of L L' x = b, for a factor L."""
    rest = forward_substitution(rows, right)
    for place in range(len(rest) - 1, -1, -1):
        row = rows[place]
        rest[place] /= row[-1]
        value = rest[place]
        for other in range(place):
            rest[other] -= value * row[other]
    return rest
