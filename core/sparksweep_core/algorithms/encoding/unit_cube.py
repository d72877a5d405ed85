"""The search space as a unit cube, in which differential evolution computes; a trial's text is encoded back into it.

A trial keeps its values as text only. A value that stands for a whole bucket of positions, an int or a category, is
encoded as some position of that bucket: drawn, but the same one each time for the same trial. Were it always the
middle, the difference between two members would be a multiple of a bucket's width, and small steps would vanish.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

from sparksweep_core.algorithms.encoding.dimensions import Dimension, Listed, dimension_of
from sparksweep_core.algorithms.encoding.space import Point
from sparksweep_core.algorithms.keyed_random import BELOW_ONE, uniforms
from sparksweep_core.api import Parameter, ParameterType

Genotype = list[float]
"""One position in [0, 1) for each parameter."""

_MARGIN = 1 / 64
"""Share of a bucket at either end that no position is drawn from, so that rounding does not lead out of it."""

_CORNER = math.sqrt(1 / 8)
"""Coordinate of a category, a corner of a simplex: corners are half of the cube's side from each other."""


class UnitCube:
    """The unit cube over some parameters.

    The numbers of a discrete parameter are ordered by size, whatever their order in the list: their neighbours are
    near. The values of a categorical one, marked in `is_category`, have no order.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.names = tuple(parameter.name for parameter in parameters)
        self.is_category = tuple(
            parameter.parameter_type is ParameterType.CATEGORICAL for parameter in parameters
        )
        self._dimensions = tuple(map(_ordered, parameters))
        self.continuous = tuple(
            name
            for name, dimension in zip(self.names, self._dimensions, strict=True)
            if dimension.cardinality is None
        )
        """Parameters with a continuum of values."""
        self._has_buckets = len(self.continuous) < len(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def decode(self, genotype: Sequence[float]) -> dict[str, str]:
        """Return the point of a genotype."""
        return {
            name: dimension.decode(position)
            for name, dimension, position in zip(
                self.names, self._dimensions, genotype, strict=True
            )
        }

    def encode(self, point: Point, key: Sequence[int]) -> Genotype:
        """Return a genotype that decodes to `point`; `key` seeds the position drawn in each bucket.

        Raises:
            KeyError: the point lacks a parameter.
            ValueError: a value is not one of a list's.
        """
        draws = uniforms(key, len(self.names)) if self._has_buckets else [0.5] * len(self.names)
        return [
            _within(*dimension.interval(point[name]), draw)
            for name, dimension, draw in zip(self.names, self._dimensions, draws, strict=True)
        ]

    def features(self, point: Point) -> tuple[float, ...]:
        """Return a point's vector for measuring distances: centres of buckets, and corners of a simplex for categories.

        Raises:
            KeyError: the point lacks a parameter.
            ValueError: a value is not one of a list's.
        """
        vector: list[float] = []
        for name, dimension, is_category in zip(
            self.names, self._dimensions, self.is_category, strict=True
        ):
            position = dimension.encode(point[name])
            if not is_category:
                vector.append(position)
                continue
            corner = [0.0] * (dimension.cardinality or 0)
            corner[int(position * len(corner))] = _CORNER
            vector += corner
        return tuple(vector)

    def is_same(self, column: int, one: float, other: float) -> bool:
        """Return True if two positions of one parameter have the same value."""
        decode = self._dimensions[column].decode
        return decode(one) == decode(other)


def _ordered(parameter: Parameter) -> Dimension:
    values = parameter.feasible_space.list
    if parameter.parameter_type is ParameterType.DISCRETE and values:
        return Listed(sorted(values, key=Decimal))
    return dimension_of(parameter)


def _within(low: float, high: float, draw: float) -> float:
    share = _MARGIN + draw * (1 - 2 * _MARGIN)
    return min(low + (high - low) * share, BELOW_ONE)
