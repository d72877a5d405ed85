"""Domains of hyperparameters: ``{"learning_rate": search.log_uniform(1e-4, 1e-1), "units": search.int_uniform(16, 128)}``.

Each function returns a `Domain`, which becomes a parameter of the Experiment. A plain list of values means `choice`.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sparksweep.errors import FieldError, InvalidExperiment
from sparksweep_core.api import Distribution, FeasibleSpace, Parameter, ParameterType, limits

__all__ = ["Domain", "choice", "grid", "int_uniform", "log_normal", "log_uniform", "normal", "uniform"]  # fmt: skip

Number = int | float


@dataclass(frozen=True)
class Domain:
    """The values that one parameter may take."""

    parameter_type: ParameterType
    """The parameter's type in the Experiment."""
    space: FeasibleSpace
    """The parameter's feasible space in the Experiment."""
    values: Mapping[str, object] = field(default_factory=dict)
    """By its text, each value that can't be made from text alone: True, None, a tuple. Empty if all can."""

    def parameter(self, name: str) -> Parameter:
        """Return the Experiment's parameter of that name with this domain."""
        return Parameter(name=name, parameter_type=self.parameter_type, feasible_space=self.space)

    @property
    def is_finite(self) -> bool:
        """True if a grid can enumerate the values."""
        is_plain = self.space.distribution is Distribution.UNIFORM
        return is_plain and (
            self.parameter_type is not ParameterType.DOUBLE or self.space.step is not None
        )


def uniform(low: Number, high: Number, *, step: Number | None = None) -> Domain:
    """Return the domain of a float, uniformly distributed.

    Args:
        low: The lower bound, included.
        high: The upper bound, included.
        step: The distance of two values; the values are then low, low + step, and so on.

    Raises:
        InvalidExperiment: An argument is not a finite number.
    """
    return _ranged(ParameterType.DOUBLE, low, high, step)


def log_uniform(low: Number, high: Number) -> Domain:
    """Return the domain of a float whose logarithm is uniformly distributed: every power of ten is equally likely.

    Args:
        low: The lower bound, included, above 0.
        high: The upper bound, included.

    Raises:
        InvalidExperiment: An argument is not a finite number.
    """
    return _ranged(ParameterType.DOUBLE, low, high, distribution=Distribution.LOG_UNIFORM)


def normal(low: Number, high: Number) -> Domain:
    """Return the domain of a float, normally distributed: mean (low + high) / 2, standard deviation (high - low) / 6.

    Args:
        low: The lower bound, included.
        high: The upper bound, included.

    Raises:
        InvalidExperiment: An argument is not a finite number.
    """
    return _ranged(ParameterType.DOUBLE, low, high, distribution=Distribution.NORMAL)


def log_normal(low: Number, high: Number) -> Domain:
    """Return the domain of a float whose logarithm is normally distributed, as in `normal`.

    Args:
        low: The lower bound, included, above 0.
        high: The upper bound, included.

    Raises:
        InvalidExperiment: An argument is not a finite number.
    """
    return _ranged(ParameterType.DOUBLE, low, high, distribution=Distribution.LOG_NORMAL)


def int_uniform(low: int, high: int, *, step: int | None = None, log: bool = False) -> Domain:
    """Return the domain of an int, uniformly distributed.

    Args:
        low: The lower bound, included.
        high: The upper bound, included.
        step: The distance of two values.
        log: Distribute the logarithm uniformly: every power of ten is equally likely.

    Raises:
        InvalidExperiment: An argument is not an integer.
    """
    distribution = Distribution.LOG_UNIFORM if log else Distribution.UNIFORM
    return _ranged(ParameterType.INT, low, high, step, distribution)


def choice(*values: object) -> Domain:
    """Return the domain of the given values.

    Differential evolution orders numbers by size. Strings, other objects, and values of different kinds have no order.
    Objects other than numbers and strings can be passed only to a function that is given as a Python object.

    Args:
        *values: The values, one by one or as one list.

    Raises:
        InvalidExperiment: There is no value, or two values have the same text.
    """
    return _listed(_unpacked(values))


def grid(*values: object, step: Number | None = None) -> Domain:
    """Return the domain of a grid's values, in their order; ``grid(0.1, 0.5, step=0.1)`` is 0.1, 0.2, ..., 0.5.

    Args:
        *values: The values; with a step the lower and the upper bound.
        step: The distance of two values.

    Raises:
        InvalidExperiment: There is no value, or there are not two bounds to a step.
    """
    if step is None:
        return choice(*values)
    if len(values) != 2:
        raise _invalid("grid", f"has a step and {len(values)} values: give low, high and step")
    low, high = values
    if all(_is_int(value) for value in (low, high, step)):
        return _ranged(ParameterType.INT, low, high, step)
    return _ranged(ParameterType.DOUBLE, low, high, step)


# ---------------------------------------------------------------------- values and their text


def text_of(value: Number) -> str:
    """Return a number's exact text, as the API writes it."""
    return str(int(value)) if _is_int(value) else repr(float(value))


def as_python(value: object) -> object:
    """Return the Python value of a NumPy scalar; any other value unchanged."""
    is_numpys = type(value).__module__.partition(".")[0] == "numpy"
    if is_numpys and getattr(value, "shape", None) == ():
        plain: object = value.item()  # type: ignore[attr-defined]
        return plain
    return value


def is_number(value: object) -> bool:
    """Return whether a value is a finite number; booleans are not."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    return math.isfinite(float(value))


def _is_int(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _ranged(
    kind: ParameterType,
    low: object,
    high: object,
    step: object = None,
    distribution: Distribution = Distribution.UNIFORM,
) -> Domain:
    given = {"low": as_python(low), "high": as_python(high)}
    if step is not None:
        given["step"] = as_python(step)
    texts = {}
    for name, value in given.items():
        if not is_number(value):
            raise _invalid(name, f"{value!r} is not a finite number")
        if kind is ParameterType.INT and not _is_int(value):
            raise _invalid(name, f"{value!r} is not an integer")
        texts[name] = text_of(value)  # type: ignore[arg-type]
    space = FeasibleSpace(
        min=texts["low"], max=texts["high"], step=texts.get("step"), distribution=distribution
    )
    return Domain(kind, space)


def _unpacked(values: Sequence[object]) -> list[object]:
    only = values[0] if len(values) == 1 else None
    if isinstance(only, Iterable) and not isinstance(only, str | bytes | Mapping):
        return list(only)
    return list(values)


def _listed(given: Sequence[object]) -> Domain:
    values = [as_python(value) for value in given]
    if not values:
        raise _invalid("values", "is empty: give at least one")
    if all(is_number(value) for value in values):
        texts = [text_of(value) for value in values]  # type: ignore[arg-type]
        return Domain(ParameterType.DISCRETE, FeasibleSpace(list=texts))
    if all(isinstance(value, str) and 0 < len(value) <= limits.VALUE for value in values):
        return Domain(ParameterType.CATEGORICAL, FeasibleSpace(list=[str(v) for v in values]))
    by_text: dict[str, object] = {}
    for value in values:
        text = _label(value)
        if text in by_text:
            raise _invalid("values", f"{text} is given twice, or two values have the same text")
        by_text[text] = value
    return Domain(ParameterType.CATEGORICAL, FeasibleSpace(list=list(by_text)), by_text)


def _label(value: object) -> str:
    """Return the text of a value in the Experiment: a string itself, else its repr."""
    text = value if isinstance(value, str) and value else repr(value)
    return text if len(text) <= limits.VALUE else f"{text[: limits.VALUE - 40]}... #{_digest(text)}"


def _digest(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _invalid(name: str, message: str) -> InvalidExperiment:
    return InvalidExperiment([FieldError(name, message)])
