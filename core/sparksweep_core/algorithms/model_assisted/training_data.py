"""Training data of the models: points and costs of ended trials, and points of those without a result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sparksweep_core.algorithms.encoding.space import Point
from sparksweep_core.algorithms.models.linear_algebra import Vector
from sparksweep_core.algorithms.models.mahalanobis import Whitening


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Trials that models are fitted to. Distances are Euclidean between whitened vectors."""

    points: Sequence[Point]
    """Points of the latest ended trials."""
    ended: Sequence[Vector]
    """Their vectors in the unit cube."""
    costs: Sequence[float | None]
    """Their costs; None if it failed."""
    unfinished: Sequence[Vector]
    """Vectors of trials that have not ended."""
    centre: Vector
    """Vector around which local models are made."""
    whiten: Whitening
    ended_whitened: Sequence[Vector]
    unfinished_whitened: Sequence[Vector]
    centre_whitened: Vector


@dataclass(frozen=True, slots=True)
class Example:
    """An ended trial with a result."""

    vector: Vector
    cost: float
    whitened: Vector


def examples_of(data: TrainingData) -> list[Example]:
    """Return the ended trials that have a cost."""
    trials = zip(data.ended, data.costs, data.ended_whitened, strict=True)
    return [
        Example(vector, cost, whitened) for vector, cost, whitened in trials if cost is not None
    ]


def nearest_examples(examples: Sequence[Example], centre: Vector, count: int) -> list[Example]:
    """Return the examples whose whitened vectors are nearest to a whitened centre."""
    return [
        examples[index]
        for index in nearest([example.whitened for example in examples], centre, count)
    ]


def nearest(vectors: Sequence[Vector], centre: Vector, count: int) -> list[int]:
    """Return the indices of the vectors nearest to a centre, in their order; of equally near ones the later."""
    by_distance = sorted(
        (math.dist(vector, centre), -index) for index, vector in enumerate(vectors)
    )
    return sorted(-index for _, index in by_distance[:count])
