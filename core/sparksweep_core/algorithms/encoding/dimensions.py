"""One dimension of the search space: a parameter's values, as an index, as text, and as a number in [0, 1).

Trials and the API have the text. The number is a position of the genotype that random search draws and that
differential evolution computes with. A dimension with n values cuts [0, 1) into n buckets by floor(), never by
rounding, which would make the first and the last value half as likely as the others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from sparksweep_core.algorithms.encoding.decimal_range import DecimalRange
from sparksweep_core.algorithms.encoding.distributions import BoundedDistribution
from sparksweep_core.algorithms.keyed_random import BELOW_ONE
from sparksweep_core.api import Distribution, Parameter, ParameterType


class Dimension(ABC):
    """The values of one parameter."""

    cardinality: int | None
    """Number of values; None for a continuum."""
    is_uniform: bool
    """True if all values are equally likely."""

    @abstractmethod
    def value_at(self, index: int) -> str:
        """Return the value at an index from 0 to cardinality - 1; computed, never stored.

        Raises:
            ValueError: the dimension is continuous.
        """

    @abstractmethod
    def decode(self, position: float) -> str:
        """Return the value of a position in [0, 1)."""

    @abstractmethod
    def encode(self, value: str) -> float:
        """Return a position in [0, 1) that decodes to `value`; of a bucket its centre.

        Raises:
            ValueError: the value is not one of a list's.
        """

    @abstractmethod
    def interval(self, value: str) -> tuple[float, float]:
        """Return the ends of the bucket that decodes to `value`; twice the same position if there are no buckets.

        Raises:
            ValueError: the value is not one of a list's.
        """


class Listed(Dimension):
    """A discrete or categorical parameter: the values as they were written, in that order.

    A value that is written twice counts once, so that no trial runs twice.
    """

    is_uniform = True

    def __init__(self, values: list[str]) -> None:
        self._values = tuple(dict.fromkeys(values))
        self._indices = {value: index for index, value in enumerate(self._values)}
        self.cardinality = len(self._values)

    def value_at(self, index: int) -> str:
        """Return the value at an index of the list."""
        return self._values[index]

    def decode(self, position: float) -> str:
        """Return the value of the bucket that the position is in."""
        return self._values[_bucket(position, len(self._values))]

    def encode(self, value: str) -> float:
        """Return the centre of the value's bucket."""
        return _centre(self._index(value), len(self._values))

    def interval(self, value: str) -> tuple[float, float]:
        """Return the ends of the value's bucket."""
        index = self._index(value)
        return index / len(self._values), (index + 1) / len(self._values)

    def _index(self, value: str) -> int:
        index = self._indices.get(value)
        if index is None:
            raise ValueError(f"{value!r} is not one of {list(self._values)}")
        return index


class Stepped(Dimension):
    """An int parameter, or a double one with a step.

    Under a distribution, a value is as likely as the interval from it to the next one.
    """

    def __init__(self, decimals: DecimalRange, distribution: Distribution) -> None:
        self._range = decimals
        self._distribution = BoundedDistribution(
            decimals.float_at(0), decimals.float_at(decimals.size), distribution
        )
        self.cardinality = self._size = decimals.size
        self.is_uniform = distribution is Distribution.UNIFORM

    def value_at(self, index: int) -> str:
        """Return the value `index` steps above the smallest."""
        return self._range.text_at(index)

    def decode(self, position: float) -> str:
        """Return the value of the bucket that the position is in."""
        return self._range.text_at(self._index(position))

    def encode(self, value: str) -> float:
        """Return the centre of the bucket of the nearest value."""
        if self.is_uniform:
            return _centre(self._range.index_of(value), self._size)
        return min(sum(self.interval(value)) / 2, BELOW_ONE)

    def interval(self, value: str) -> tuple[float, float]:
        """Return the ends of the bucket of the nearest value."""
        index = self._range.index_of(value)
        if self.is_uniform:
            return index / self._size, (index + 1) / self._size
        low, high = (self._range.float_at(edge) for edge in (index, index + 1))
        return self._distribution.cdf(low), self._distribution.cdf(high)

    def _index(self, position: float) -> int:
        if self.is_uniform:
            return _bucket(position, self._size)
        index = int(
            (self._distribution.quantile(position) - self._distribution.lower)
            // self._range.float_step
        )
        return min(max(index, 0), self._size - 1)


class Continuous(Dimension):
    """A double parameter without a step: any float between its bounds, printed so that it reads back the same."""

    cardinality = None

    def __init__(self, minimum: str, maximum: str, distribution: Distribution) -> None:
        self._distribution = BoundedDistribution(float(minimum), float(maximum), distribution)
        self.is_uniform = distribution is Distribution.UNIFORM

    def value_at(self, index: int) -> str:
        """Raise ValueError: a continuum has no indices."""
        raise ValueError(f"a continuum has no value number {index}; a step would give it some")

    def decode(self, position: float) -> str:
        """Return the quantile of the position."""
        return repr(self._distribution.quantile(position))

    def encode(self, value: str) -> float:
        """Return the position whose quantile is the value, up to rounding."""
        bounded = min(max(float(value), self._distribution.lower), self._distribution.upper)
        return min(self._distribution.cdf(bounded), BELOW_ONE)

    def interval(self, value: str) -> tuple[float, float]:
        """Return the value's position, twice."""
        position = self.encode(value)
        return position, position


def dimension_of(parameter: Parameter) -> Dimension:
    """Return the dimension that a parameter spans.

    Raises:
        ValueError: its feasible space lacks what its type needs.
    """
    space = parameter.feasible_space
    if not parameter.parameter_type.is_ranged:
        if not space.list:
            raise ValueError(f"parameter {parameter.name} has no list")
        return Listed(space.list)
    if space.min is None or space.max is None:
        raise ValueError(f"parameter {parameter.name} has no min or no max")
    step = space.step or ("1" if parameter.parameter_type is ParameterType.INT else None)
    if step is None:
        return Continuous(space.min, space.max, space.distribution)
    return Stepped(DecimalRange.between(space.min, space.max, step), space.distribution)


def _bucket(position: float, count: int) -> int:
    # In integers: position * count may round up to count, and count may be too large for a float.
    numerator, denominator = position.as_integer_ratio()
    return numerator * count // denominator


def _centre(index: int, count: int) -> float:
    return min((2 * index + 1) / (2 * count), BELOW_ONE)
