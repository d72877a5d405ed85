"""Linear algebra of a few dozen unknowns, in plain Python: the operator has no NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul

Vector = Sequence[float]
Rows = list[list[float]]


def cholesky(lower: Sequence[Sequence[float]], *, least: float = 0.0) -> Rows | None:
    """Return the lower triangle of a symmetric matrix's Cholesky factor.

    Args:
        lower: the matrix's lower triangle, its diagonal included: row i has i + 1 numbers.
        least: lower bound of each pivot; with 0, a matrix that is not positive definite has no factor.

    Returns:
        The factor's lower triangle; None if there is none.
    """
    factor: Rows = []
    for values in lower:
        row: list[float] = []
        for value, other in zip(values, factor, strict=False):
            row.append((value - sum(map(mul, row, other))) / other[-1])
        pivot = max(values[-1] - sum(map(mul, row, row)), least)
        # Not `pivot <= 0`: it may not be a number.
        if not pivot > 0 or not math.isfinite(pivot):
            return None
        row.append(math.sqrt(pivot))
        factor.append(row)
    return factor


def forward_substitution(factor: Rows, right: Sequence[float]) -> list[float]:
    """Return the x of L x = b, for a factor L."""
    solution: list[float] = []
    for row, value in zip(factor, right, strict=True):
        solution.append((value - sum(map(mul, row, solution))) / row[-1])
    return solution


def cholesky_solve(factor: Rows, right: Sequence[float]) -> list[float]:
    """Return the x of L L' x = b, for a factor L."""
    solution = forward_substitution(factor, right)
    for index in range(len(solution) - 1, -1, -1):
        row = factor[index]
        solution[index] /= row[-1]
        value = solution[index]
        for other in range(index):
            solution[other] -= value * row[other]
    return solution
