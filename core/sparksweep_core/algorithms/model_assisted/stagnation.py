"""Detects that a search has stagnated: its best trials are at one point, and it gains nothing more there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from sparksweep_core.algorithms.models.linear_algebra import Vector

MIN_STALLED = 10
"""Least number of last trials that must have gained nothing."""
_NO_GAIN = 1e-4
"""Gain that these may make together, as a share of the distance from the best cost to the best quarter's last."""
_CLUSTER, _CLOSE = 5, 1e-3
"""Number of best trials that must be so close to the best one, in units of the cube's side."""


def has_stagnated(
    costs: Sequence[float | None], point_of: Callable[[int], Vector], *, stalled: int
) -> bool:
    """Return True if the last trials have gained next to nothing, and the best ones are at one point.

    Args:
        costs: of ended trials, in their order; None if it failed.
        point_of: returns the point, in the unit cube, of the trial at an index of that order.
        stalled: number of last trials: `MIN_STALLED`, and more where more targets take turns.
    """
    ranked = [math.inf if cost is None else cost for cost in costs]
    if len(ranked) < 2 * stalled:
        return False
    order = sorted(range(len(ranked)), key=ranked.__getitem__)
    best, before = ranked[order[0]], min(ranked[:-stalled])
    # Not `>`: without any result both are infinite, and the gain is not a number.
    if not before - best <= _NO_GAIN * (ranked[order[len(order) // 4]] - best):
        return False
    centre = point_of(order[0])
    return all(math.dist(point_of(index), centre) <= _CLOSE for index in order[1:_CLUSTER])
