"""Where in the whole space a trial promises the most: expected improvement, by a model of all trials that have ended.

D. R. Jones, M. Schonlau, W. J. Welch, "Efficient Global Optimization of Expensive Black-Box Functions", Journal of Global
Optimization 13, 1998. A point promises much where a low cost is expected, and where little is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, median

from sparksweep_core.algorithms.encoding.unit_cube import Genotype
from sparksweep_core.algorithms.keyed_random import BELOW_ONE, Draw, standard_normal
from sparksweep_core.algorithms.models.kriging import Kriging, best_first, log_scores
from sparksweep_core.algorithms.models.linear_algebra import Point

_NORMAL = NormalDist()
_REACHES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""How far points may be alike, in units of the cube's side; the likeliest is taken."""
_LISTED_REACHES = (0.4, 0.8, 1.6, 3.2)
"""The same where there are categories: two points that differ in one are 1 apart."""
_ANYWHERE = 200
"""Candidates that are drawn from the whole cube."""
_BESIDE, OF_BEST = 20, 5
"""Candidates that are drawn around each of so many of the best trials."""
_VARIATIONS, _DRAWN_ANEW = 40, 1.5
"""Where there are categories, candidates of each of these that differ in so many parameters or so, and in one at least."""
_NEAR, _FAR = 1e-3, 0.3
"""Bounds of the standard deviation of these, which is drawn for each of them, its logarithm uniformly."""
_APART = 0.01
"""A trial that is nearer to a better one is not in the model: it says little more, and the model takes n^3 steps."""
_AWAY = 0.0025
"""Where nothing but new places counts, candidates are as far from each trial as the side of a cube of such a volume."""


def candidates(ended: Sequence[Point], costs: Sequence[float | None], draw: Draw) -> list[Genotype]:
    """Points among which the most promising one is looked for.

    Args:
        ended: the trials that have ended, in the unit cube; at least one.
        costs: what each of them cost; None: it failed.
        draw: what they are drawn with.
    """
    found = _anywhere(len(ended[0]), draw)
    for best in best_first(costs)[:OF_BEST]:
        for _ in range(_BESIDE):
            spread = _NEAR * (_FAR / _NEAR) ** draw()
            found.append([_beside(position, spread, draw) for position in ended[best]])
    return found


def categorical_candidates(best: Sequence[Genotype], draw: Draw) -> list[Genotype]:
    """Points among which the most promising one is looked for where there are categories: beside is what differs in little.

    Args:
        best: the genotypes of the `OF_BEST` best trials, or fewer; at least one.
        draw: what they are drawn with.
    """
    size = len(best[0])
    found = _anywhere(size, draw)
    for genotype in best:
        for _ in range(_VARIATIONS):
            varied = [draw() if draw() < _DRAWN_ANEW / size else place for place in genotype]
            if varied == genotype:
                varied[int(draw() * size)] = draw()
            found.append(varied)
    return found


def distant(points: Sequence[Point], trials: Sequence[Point]) -> list[int]:
    """The places of the points that are beside no trial."""
    apart = _AWAY ** (1 / len(trials[0]))
    return [
        place
        for place, point in enumerate(points)
        if all(math.dist(point, trial) >= apart for trial in trials)
    ]


def most_promising(
    ended: Sequence[Point],
    costs: Sequence[float | None],
    unfinished: Sequence[Point],
    points: Sequence[Point],
    *,
    has_categories: bool = False,
) -> int | None:
    """The place of the point that is expected to improve the most on the best trial.

    None: there is none, or the costs say nothing.

    Args:
        ended: the trials that have ended, in the unit cube; two at least.
        costs: what each of them cost; None: it failed.
        unfinished: the trials that have not; each is taken for one that costs what half of the others do.
        points: to choose from.
        has_categories: whether coordinates of the points are these.
    """
    all_scores = log_scores(costs)
    best, middle = min(all_scores), median(all_scores)
    if best == max(all_scores) or not points:
        return None
    known: list[Point] = []
    scores: list[float] = []
    for place in sorted(range(len(ended)), key=all_scores.__getitem__):
        if all(math.dist(ended[place], other) >= _APART for other in known):
            known.append(ended[place])
            scores.append(all_scores[place])
    known += unfinished
    scores += [middle] * len(unfinished)
    if len(known) < 2:
        return None
    reaches = _LISTED_REACHES if has_categories else _REACHES
    model = max(
        (Kriging(known, scores, length_scale=length_scale) for length_scale in reaches),
        key=lambda one: one.log_likelihood,
    )
    return max(
        range(len(points)),
        key=lambda place: _improvement(best, *model.mean_and_deviation(points[place])),
    )


def _anywhere(size: int, draw: Draw) -> list[Genotype]:
    return [[draw() for _ in range(size)] for _ in range(_ANYWHERE)]


def _improvement(best: float, mean: float, deviation: float) -> float:
    if not deviation > 0:
        return max(best - mean, 0.0)
    gain = (best - mean) / deviation
    return deviation * (gain * _NORMAL.cdf(gain) + _NORMAL.pdf(gain))


def _beside(position: float, spread: float, draw: Draw) -> float:
    moved = position + spread * standard_normal(draw)
    # Outside it is mirrored at the bound; moved to the bound itself, candidates would pile up there.
    inside = abs(moved) if moved < 1 else 2 - moved
    return min(max(inside, 0.0), BELOW_ONE)
