"""Whether a search has closed in on a place, and gains nothing more there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from sparksweep_core.algorithms.models.linear_algebra import Point

MIN_STALLED = 10
"""How many trials are to have gained nothing for that, at least."""
_NO_GAIN = 1e-4
"""What they may gain together, as a share of the distance between the best cost and the best quarter's last one."""
_CLUSTER, _CLOSE = 5, 1e-3
"""How many of the best trials are to be so close to the best one, in units of the cube's side."""


def has_stagnated(
    costs: Sequence[float | None], point_of: Callable[[int], Point], *, still: int
) -> bool:
    """Whether the last trials have gained nothing that is worth it, and the best ones are at one place.

    Args:
        costs: of trials that have ended, in their order; None: it failed.
        point_of: the point of the trial at a place of that order, in the unit cube.
        still: how many the last ones are: `STILL`, and more where more are tried in turn.
    """
    ranked = [math.inf if cost is None else cost for cost in costs]
    if len(ranked) < 2 * still:
        return False
    order = sorted(range(len(ranked)), key=ranked.__getitem__)
    best, before = ranked[order[0]], min(ranked[:-still])
    # Not `>`: without any result both are infinite, and the gain is not a number.
    if not before - best <= _NO_GAIN * (ranked[order[len(order) // 4]] - best):
        return False
    centre = point_of(order[0])
    return all(math.dist(point_of(place), centre) <= _CLOSE for place in order[1:_CLUSTER])
