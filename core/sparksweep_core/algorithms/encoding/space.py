"""The search space: the product of the parameters' dimensions, counted and addressed without being built."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sparksweep_core.algorithms.encoding.dimensions import Dimension, dimension_of
from sparksweep_core.api import Parameter

Point = Mapping[str, str]
"""A value as text for each parameter's name."""


class Space:
    """All points that the parameters span. A point maps each parameter's name to a value as text."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.names: tuple[str, ...] = tuple(parameter.name for parameter in parameters)
        self.dimensions: tuple[Dimension, ...] = tuple(map(dimension_of, parameters))

    @property
    def size(self) -> int | None:
        """Number of points; None if a dimension is continuous."""
        counts = [dimension.cardinality for dimension in self.dimensions]
        finite = [count for count in counts if count is not None]
        return math.prod(finite) if len(finite) == len(counts) else None

    @property
    def is_uniform(self) -> bool:
        """True if all points are equally likely."""
        return all(dimension.is_uniform for dimension in self.dimensions)

    def point(self, index: int) -> dict[str, str]:
        """Return the point at an index from 0 to size - 1, in itertools.product's order: the last name varies fastest.

        Raises:
            ValueError: a dimension is continuous.
            IndexError: there is no such point.
        """
        values: list[str] = []
        rest = index
        for dimension in reversed(self.dimensions):
            if dimension.cardinality is None:
                raise ValueError("the points of a continuous space can't be counted")
            rest, position = divmod(rest, dimension.cardinality)
            values.append(dimension.value_at(position))
        if rest:
            raise IndexError(f"the space has {self.size} points, none of them is at {index}")
        return dict(zip(self.names, reversed(values), strict=True))

    def decode(self, genotype: Sequence[float]) -> dict[str, str]:
        """Return the point of a genotype: one position in [0, 1) for each dimension."""
        values = [
            dimension.decode(position)
            for dimension, position in zip(self.dimensions, genotype, strict=True)
        ]
        return dict(zip(self.names, values, strict=True))

    def encode(self, point: Point) -> tuple[float, ...]:
        """Return a genotype that decodes to `point`.

        Raises:
            KeyError: the point lacks a parameter.
            ValueError: a value is not one of a list's.
        """
        return tuple(
            dimension.encode(point[name])
            for name, dimension in zip(self.names, self.dimensions, strict=True)
        )
