"""Chi-square tests with fixed seeds: they pass or fail the same way every time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist


def chi_square_is_ordinary(counts: Sequence[int], *, tail: float = 1e-4) -> bool:
    """Return True if counts of equally likely cells are as uneven as chance makes them, and not evener."""
    expected = sum(counts) / len(counts)
    statistic = sum((count - expected) ** 2 for count in counts) / expected
    freedom = len(counts) - 1
    # Wilson and Hilferty, 1931: the cube root of chi-square over its freedom is nearly normal.
    mean, deviation = 1 - 2 / (9 * freedom), math.sqrt(2 / (9 * freedom))
    score = ((statistic / freedom) ** (1 / 3) - mean) / deviation
    return tail < NormalDist().cdf(score) < 1 - tail
