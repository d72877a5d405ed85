"""Domains of hyperparameters: ``{"learning_rate": search.log_uniform(1e-4, 1e-1), "units": search.int_uniform(16, 128)}``.

Each function returns a `Domain`, which becomes a parameter of the Experiment. A plain list of values means `choice`. Bounds
that are exchanged are put in order, with a warning; decimals and fractions are taken as bounds, too.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from types import ModuleType
from typing import Any, NoReturn

from sparksweep._calls import checked_call
from sparksweep._names_elsewhere import search_function_advice
from sparksweep._plain_values import (
    as_python,
    elements,
    invalid,
    is_int,
    is_listed,
    is_number,
    shown,
    text_value,
)
from sparksweep._text import one_line
from sparksweep.errors import InvalidExperiment
from sparksweep_core.api import Distribution, FeasibleSpace, Parameter, ParameterType, limits

__all__ = ["Domain", "choice", "grid", "int_uniform", "log_normal", "log_uniform", "normal", "uniform"]  # fmt: skip

Number = int | float
_DEPTH = 20
"""Depth to which a choice's values are searched for domains."""
_REPR = 60
"""Most characters of a list of values in a domain's repr."""
_MEMBERS = 1000
"""Attributes of an object that are searched; one with more is data."""


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

    def __repr__(self) -> str:
        space = self.space
        if space.list is not None:
            shown_values = one_line(", ".join(map(str, space.list)))
            if len(shown_values) > _REPR:
                shown_values = f"{shown_values[:_REPR]}... ({len(space.list)} values)"
            return f"<{self.parameter_type}: {shown_values}>"
        step = "" if space.step is None else f", step {space.step}"
        is_plain = space.distribution is Distribution.UNIFORM
        distribution = "" if is_plain else f", {space.distribution}"
        return f"<{self.parameter_type}: {space.min} to {space.max}{step}{distribution}>"

    @property
    def is_finite(self) -> bool:
        """True if a grid can enumerate the values."""
        is_plain = self.space.distribution is Distribution.UNIFORM
        return is_plain and (
            self.parameter_type is not ParameterType.DOUBLE or self.space.step is not None
        )


@checked_call
def uniform(low: Number, high: Number, *, step: Number | None = None) -> Domain:
    """Return the domain of a float, uniformly distributed.

    Args:
        low: The lower bound, included.
        high: The upper bound, included.
        step: The distance of two values; the values are then low, low + step, and so on.

    Raises:
        InvalidExperiment: An argument is not a finite number, or the bounds are equal.
    """
    return _ranged(ParameterType.DOUBLE, low, high, step)


@checked_call
def log_uniform(low: Number, high: Number) -> Domain:
    """Return the domain of a float whose logarithm is uniformly distributed: every power of ten is equally likely.

    Args:
        low: The lower bound, included, above 0.
        high: The upper bound, included.

    Raises:
        InvalidExperiment: An argument is not a finite number, or the bounds are equal.
    """
    return _ranged(ParameterType.DOUBLE, low, high, distribution=Distribution.LOG_UNIFORM)


@checked_call
def normal(low: Number, high: Number) -> Domain:
    """Return the domain of a float, normally distributed: mean (low + high) / 2, standard deviation (high - low) / 6.

    Args:
        low: The lower bound, included.
        high: The upper bound, included.

    Raises:
        InvalidExperiment: An argument is not a finite number, or the bounds are equal.
    """
    return _ranged(ParameterType.DOUBLE, low, high, distribution=Distribution.NORMAL)


@checked_call
def log_normal(low: Number, high: Number) -> Domain:
    """Return the domain of a float whose logarithm is normally distributed, as in `normal`.

    Args:
        low: The lower bound, included, above 0.
        high: The upper bound, included.

    Raises:
        InvalidExperiment: An argument is not a finite number, or the bounds are equal.
    """
    return _ranged(ParameterType.DOUBLE, low, high, distribution=Distribution.LOG_NORMAL)


@checked_call
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
    if not isinstance(as_python(log), bool):
        raise invalid("log", f"{shown(log)} is neither True nor False")
    distribution = Distribution.LOG_UNIFORM if log else Distribution.UNIFORM
    return _ranged(ParameterType.INT, low, high, step, distribution)


@checked_call
def choice(*values: object) -> Domain:
    """Return the domain of the given values.

    Differential evolution orders numbers by size. Strings, other objects, and values of different kinds have no order.
    Objects other than numbers and strings can be passed only to a function that is given as a Python object. A set's values
    are sorted.

    Args:
        *values: The values, one by one or as one list.

    Raises:
        InvalidExperiment: There is no value, one is given twice, or one has a domain inside.
    """
    return _listed(_unpacked(values))


@checked_call
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
        raise invalid("values", f"has a step and {len(values)} values: give low, high and step")
    low, high = (as_python(value) for value in values)
    if all(is_int(value) for value in (low, high, as_python(step))):
        return _ranged(ParameterType.INT, low, high, step)
    return _ranged(ParameterType.DOUBLE, low, high, step)


# ---------------------------------------------------------------------- values and their text


def text_of(value: object) -> str:
    """Return a number's exact text, as the API writes it; of more than 40 characters, its nearest double's."""
    if is_int(value):
        text = str(int(value))  # type: ignore[call-overload]
        return text if len(text) <= limits.NUMBER else repr(float(value))  # type: ignore[arg-type]
    if isinstance(value, Decimal):
        text = str(value)
        return text if len(text) <= limits.NUMBER else repr(float(value))
    return repr(float(value))  # type: ignore[arg-type]


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
    for name, value in given.items():
        _check_number(kind, name, value)
    exact = {name: _exact(value) for name, value in given.items()}
    width = abs(exact["high"] - exact["low"])
    is_one = (
        width == 0 if kind is ParameterType.INT else not float(exact["high"]) - float(exact["low"])
    )
    if is_one:
        only = shown(given["low"])
        raise invalid("high", f"{shown(given['high'])} equals low: for one value write [{only}]")
    if distribution.is_logarithmic:
        for name in ("low", "high"):
            if exact[name] <= 0:
                message = f"{shown(given[name])} has no logarithm: both bounds must be above 0"
                raise invalid(name, message)
    if "step" in exact:
        if exact["step"] <= 0:
            raise invalid("step", f"{shown(given['step'])} is not above 0")
        if exact["step"] > width:
            message = f"{shown(given['step'])} is more than high - low, which leaves one value"
            raise invalid("step", message)
        if distribution is not Distribution.UNIFORM:
            message = (
                f"{shown(given['step'])} can't be combined with log=True: leave one of them out"
            )
            raise invalid("step", message)
    texts = {name: text_of(value) for name, value in given.items()}
    space = FeasibleSpace(
        min=texts["low"], max=texts["high"], step=texts.get("step"), distribution=distribution
    )
    return Domain(kind, space)


def _check_number(kind: ParameterType, name: str, value: object) -> None:
    is_finite = value.is_finite() if isinstance(value, Decimal) else is_number(value)
    if not is_finite:
        raise invalid(name, f"{shown(value)} is not a finite number")
    if kind is not ParameterType.INT:
        return
    if not is_int(value):
        raise invalid(name, f"{shown(value)} is not an integer")
    if not -(2**63) <= int(value) < 2**63:  # type: ignore[call-overload]
        raise invalid(name, f"{shown(value)} does not fit into 64 bits")


def _exact(value: Any) -> Fraction:
    if isinstance(value, Decimal):
        return Fraction(value)
    return Fraction(int(value)) if is_int(value) else Fraction(float(value))


def _unpacked(values: Sequence[object]) -> list[object]:
    only = values[0] if len(values) == 1 else None
    try:
        return elements(only if is_listed(only) else list(values), most=limits.LIST_VALUES)
    except InvalidExperiment as error:
        message = error.errors[0].message
        if "at most" in message:
            message += (
                "; for evenly spaced numbers give their bounds: search.grid(low, high, step=1)"
            )
        raise invalid("values", message) from None


def _listed(values: Sequence[object]) -> Domain:
    if not values:
        raise invalid("values", "is empty: give at least one")
    for index, value in enumerate(values):
        if _has_domain(value, 0):
            message = (
                "has a domain inside: a choice's values are taken as they are. Make the domain a parameter of its own, "
                "which the function ignores where it does not apply"
            )
            raise invalid(f"values[{index}]", message)
        if isinstance(value, str):
            text_value(value, f"values[{index}]")
    # Other numbers, such as fractions and members of enums, reach the function as the objects that they are.
    if all(type(value) in (int, float) and is_number(value) for value in values):
        numbers = [str(value) if type(value) is int else repr(value) for value in values]
        if all(len(text) <= limits.VALUE for text in numbers):
            return Domain(ParameterType.DISCRETE, FeasibleSpace(list=numbers))
    if all(type(value) is str and 0 < len(value) <= limits.VALUE for value in values):
        return Domain(ParameterType.CATEGORICAL, FeasibleSpace(list=[str(v) for v in values]))
    by_text: dict[str, object] = {}
    for index, value in enumerate(values):
        text = _label(value)
        if text in by_text:
            if isinstance(value, str) or _are_same(by_text[text], value):
                message = f"{text} is given twice, or two values have the same text"
                raise invalid(f"values[{index}]", message)
            text = _distinct(text, by_text)
        by_text[text] = value
    return Domain(ParameterType.CATEGORICAL, FeasibleSpace(list=list(by_text)), by_text)


def _has_domain(value: object, depth: int) -> bool:
    """Return True for a domain, and for a container of one at any depth."""
    if isinstance(value, Domain):
        return True
    inner: Iterable[object] = ()
    if isinstance(value, Mapping):
        inner = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        inner = value
    elif isinstance(value, functools.partial):
        inner = [*value.args, *value.keywords.values()]
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        inner = [getattr(value, item.name, None) for item in dataclasses.fields(value)]
    elif not isinstance(value, type | ModuleType):
        members = getattr(value, "__dict__", None)
        inner = list(members.values()) if type(members) is dict and len(members) < _MEMBERS else ()
    return depth < _DEPTH and any(_has_domain(item, depth + 1) for item in inner)


def _label(value: object) -> str:
    """Return the text of a value in the Experiment: a string itself, a function's or class's name, else its repr."""
    if type(value) is str and value:
        text: str = value
    elif inspect.isclass(value) or inspect.isroutine(value):
        text = str(getattr(value, "__qualname__", "")) or shown(value)
    else:
        try:
            text = repr(value)
        except Exception:
            text = ""
        text = _printable(text) or f"<{type(value).__name__}>"
    return text if len(text) <= limits.VALUE else f"{text[: limits.VALUE - 40]}... #{_digest(text)}"


def _printable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _distinct(text: str, given: Mapping[str, object]) -> str:
    """Return a text for a value whose own is that of another value."""
    stem = text[: limits.VALUE - 8]
    candidates = (f"{stem} #{number}" for number in range(2, limits.LIST_VALUES + 2))
    return next(item for item in candidates if item not in given)


def _are_same(one: object, other: object) -> bool:
    """Return True if a trial of one would repeat that of the other, or if a string is the other's text."""
    if one is other or isinstance(one, str):
        return True
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:
        # Arrays have no single answer.
        return False


def _digest(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()[:16]


# ---------------------------------------------------------------------- names


def __getattr__(name: str) -> NoReturn:
    message = f"module {__name__!r} has no attribute {name!r}"
    if not name.startswith("_"):
        functions = [item for item in __all__ if item != "Domain"]
        message += f": {search_function_advice(name, functions)}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
