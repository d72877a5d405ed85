"""Expected improvement: the point of the whole space with the most of it, under a Kriging model of all ended trials.

D. R. Jones, M. Schonlau, W. J. Welch, "Efficient Global Optimization of Expensive Black-Box Functions", Journal of
Global Optimization 13, 1998. It is high where a low cost is expected, and where the model is uncertain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, median

from sparksweep_core.algorithms.encoding.unit_cube import Genotype
from sparksweep_core.algorithms.keyed_random import BELOW_ONE, Draw, standard_normal
from sparksweep_core.algorithms.models.kriging import Kriging, best_first, log_scores
from sparksweep_core.algorithms.models.linear_algebra import Vector

_NORMAL = NormalDist()
_LENGTH_SCALES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Length scales of the model, in units of the cube's side; the likeliest is taken."""
_CATEGORICAL_LENGTH_SCALES = (0.4, 0.8, 1.6, 3.2)
"""The same where there are categories, which are corners of a simplex."""
_GLOBAL = 200
"""Candidates that are drawn from the whole cube."""
_LOCAL, LOCAL_CENTRES = 20, 5
"""Candidates that are drawn around each of so many of the best trials."""
_VARIATIONS, _CHANGED = 40, 1.5
"""Categorical candidates around each of the best trials, and the mean number of parameters in which they differ from
it; at least one."""
_LEAST_SPREAD, _MOST_SPREAD = 1e-3, 0.3
"""Bounds of a local candidate's standard deviation, whose logarithm is drawn uniformly."""
_LEAST_DISTANCE = 0.01
"""A trial that is nearer to a better one is left out of the model: it adds little, and the model takes n^3 steps."""
_DISTANT_VOLUME = 0.0025
"""Distant candidates are as far from each trial as the side of a cube of such a volume."""


def candidates(
    ended: Sequence[Vector], costs: Sequence[float | None], draw: Draw
) -> list[Genotype]:
    """Draw candidates from the whole cube and around the best trials.

    Args:
        ended: the trials that have ended, in the unit cube; at least one.
        costs: cost of each; None if it failed.
        draw: source of random numbers.
    """
    drawn = _uniform(len(ended[0]), draw)
    for best in best_first(costs)[:LOCAL_CENTRES]:
        for _ in range(_LOCAL):
            spread = _LEAST_SPREAD * (_MOST_SPREAD / _LEAST_SPREAD) ** draw()
            drawn.append([_perturbed(position, spread, draw) for position in ended[best]])
    return drawn


def categorical_candidates(best: Sequence[Genotype], draw: Draw) -> list[Genotype]:
    """Draw candidates from the whole cube and some that differ from the best trials in few parameters.

    Args:
        best: genotypes of the `LOCAL_CENTRES` best trials, or fewer; at least one.
        draw: source of random numbers.
    """
    size = len(best[0])
    drawn = _uniform(size, draw)
    for genotype in best:
        for _ in range(_VARIATIONS):
            varied = [draw() if draw() < _CHANGED / size else position for position in genotype]
            if varied == genotype:
                varied[int(draw() * size)] = draw()
            drawn.append(varied)
    return drawn


def distant(points: Sequence[Vector], trials: Sequence[Vector]) -> list[int]:
    """Return the indices of the points that are near no trial."""
    least = _DISTANT_VOLUME ** (1 / len(trials[0]))
    return [
        index
        for index, point in enumerate(points)
        if all(math.dist(point, trial) >= least for trial in trials)
    ]


def most_promising(
    ended: Sequence[Vector],
    costs: Sequence[float | None],
    unfinished: Sequence[Vector],
    points: Sequence[Vector],
    *,
    has_categories: bool = False,
) -> int | None:
    """Return the index of the point with the highest expected improvement on the best trial.

    None if there are no points, or all costs are equal.

    Args:
        ended: the trials that have ended, in the unit cube; two at least.
        costs: cost of each; None if it failed.
        unfinished: the trials that have not; imputed with the median score (constant liar).
        points: to choose from.
        has_categories: True if some coordinates of the points encode categories.
    """
    all_scores = log_scores(costs)
    best, middle = min(all_scores), median(all_scores)
    if best == max(all_scores) or not points:
        return None
    modelled: list[Vector] = []
    scores: list[float] = []
    for index in sorted(range(len(ended)), key=all_scores.__getitem__):
        if all(math.dist(ended[index], other) >= _LEAST_DISTANCE for other in modelled):
            modelled.append(ended[index])
            scores.append(all_scores[index])
    modelled += unfinished
    scores += [middle] * len(unfinished)
    if len(modelled) < 2:
        return None
    length_scales = _CATEGORICAL_LENGTH_SCALES if has_categories else _LENGTH_SCALES
    fits = (Kriging(modelled, scores, length_scale=scale) for scale in length_scales)
    model = max(fits, key=lambda fit: fit.log_likelihood)
    return max(
        range(len(points)),
        key=lambda index: _expected_improvement(best, *model.mean_and_deviation(points[index])),
    )


def _uniform(size: int, draw: Draw) -> list[Genotype]:
    return [[draw() for _ in range(size)] for _ in range(_GLOBAL)]


def _expected_improvement(best: float, mean: float, deviation: float) -> float:
    if not deviation > 0:
        return max(best - mean, 0.0)
    gain = (best - mean) / deviation
    return deviation * (gain * _NORMAL.cdf(gain) + _NORMAL.pdf(gain))


def _perturbed(position: float, spread: float, draw: Draw) -> float:
    moved = position + spread * standard_normal(draw)
    # Outside it is mirrored at the bound; moved to the bound itself, candidates would pile up there.
    inside = abs(moved) if moved < 1 else 2 - moved
    return min(max(inside, 0.0), BELOW_ONE)
