"""Checks of the search space and of the objective, each by itself."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Hashable, Iterable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction

from sparksweep_core.api import limits
from sparksweep_core.api.search_spec import (
    NUMBER_PATTERN,
    Distribution,
    FeasibleSpace,
    Objective,
    Parameter,
    ParameterType,
)
from sparksweep_core.errors import FieldError
from sparksweep_core.stored_size import text_bytes

_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(NUMBER_PATTERN)
_INT64 = range(-(2**63), 2**63)


def duplicates(values: Iterable[Hashable]) -> Iterator[tuple[int, int]]:
    """Yield the index of each repeated value, and the index of its first occurrence."""
    first: dict[Hashable, int] = {}
    for index, value in enumerate(values):
        if value in first:
            yield index, first[value]
        else:
            first[value] = index


def check_objective(objective: Objective) -> list[FieldError]:
    """Check that metrics are named once, and that strategies refer to named metrics."""
    path = "spec.objective"
    additional = objective.additional_metric_names
    errors = [
        FieldError(
            f"{path}.additionalMetricNames[{index}]",
            f'"{name}" is the objectiveMetricName, which is recorded anyway: remove it here',
        )
        for index, name in enumerate(additional)
        if name == objective.objective_metric_name
    ]
    errors += [
        FieldError(
            f"{path}.additionalMetricNames[{index}]", f'"{additional[index]}" is given twice'
        )
        for index, _ in duplicates(additional)
    ]
    strategies = [strategy.name for strategy in objective.metric_strategies]
    metrics = [objective.objective_metric_name, *additional]
    errors += [
        FieldError(
            f"{path}.metricStrategies[{index}].name",
            f'"{name}" is not a metric of this experiment: there are {", ".join(metrics)}',
        )
        for index, name in enumerate(strategies)
        if name not in metrics
    ]
    errors += [
        FieldError(
            f"{path}.metricStrategies[{index}].name", f'"{strategies[index]}" is given twice'
        )
        for index, _ in duplicates(strategies)
    ]
    return errors


def check_parameters(parameters: Sequence[Parameter | None]) -> list[FieldError]:
    """Return every mistake in the parameters. Reversed bounds are none: the search exchanges them.

    Hops' own example of differential evolution has its bounds reversed.

    Args:
        parameters: in the document's order; None for one that did not parse.
    """
    errors: list[FieldError] = []
    for index, parameter in enumerate(parameters):
        if parameter is not None:
            path = f"spec.parameters[{index}].feasibleSpace"
            errors += _parameter(in_order(parameter), path)
    for index, parameter in enumerate(parameters):
        message = None if parameter is None else wrong_name(parameter.name)
        if message is not None:
            errors.append(FieldError(f"spec.parameters[{index}].name", message))
    # A parameter that did not parse is named by its index, which is unique.
    names = [item.name if item else index for index, item in enumerate(parameters)]
    errors += [
        FieldError(
            f"spec.parameters[{index}].name",
            f'"{names[index]}" is the name of spec.parameters[{first}] already: choose another one',
        )
        for index, first in duplicates(names)
    ]
    errors += _trial_size(parameters)
    return errors


def _trial_size(parameters: Sequence[Parameter | None]) -> Iterator[FieldError]:
    """Report parameters with which one trial can be too large for the objects that list trials."""
    sizes = {
        index: text_bytes(item.name)
        + max(map(text_bytes, item.feasible_space.list or ()), default=limits.NUMBER)
        + len('"":"",')
        for index, item in enumerate(parameters)
        if item is not None
    }
    total = sum(sizes.values())
    if total > limits.TRIAL_BYTES:
        largest = max(sizes, key=lambda index: sizes[index])
        yield FieldError(
            "spec.parameters",
            f"the values of one trial can take {total:,} bytes as Kubernetes stores them, more than "
            f"{limits.TRIAL_BYTES:,}; the longest are those of spec.parameters[{largest}], {sizes[largest]:,} bytes: "
            "take short names as values, and look the texts up in the training code",
        )


def wrong_name(name: str) -> str | None:
    """Return the reason why a text that fits the pattern is not a parameter's name; None if it is one."""
    normal = unicodedata.normalize("NFKC", name)
    if not re.sub(r"[.-]", "_", normal).isidentifier():
        return f'"{name}" has characters that are no letters: take letters of any alphabet, digits, _ . and -'
    if normal != name:
        return f'"{name}" is "{normal}" to Python, which normalises names: write {normal}'
    return None


def is_reversed(parameter: Parameter) -> bool:
    """Return True if min and max are numbers, and min is the larger one."""
    space = parameter.feasible_space
    if not parameter.parameter_type.is_ranged or space.min is None or space.max is None:
        return False
    return _exact(space.min) > _exact(space.max)


def in_order(parameter: Parameter) -> Parameter:
    """Return the parameter, with min and max exchanged if min is the larger one."""
    if not is_reversed(parameter):
        return parameter
    space = parameter.feasible_space
    exchanged = space.model_copy(update={"min": space.max, "max": space.min})
    return parameter.model_copy(update={"feasible_space": exchanged})


def grid_points(parameters: Sequence[Parameter]) -> int | None:
    """Count the points of the grid, without enumerating them; None if a parameter has infinitely many values.

    The parameters have been checked.
    """
    points = 1
    for parameter in parameters:
        space = parameter.feasible_space
        if space.list is not None:
            points *= len(space.list)
            continue
        step = space.step or ("1" if parameter.parameter_type is ParameterType.INT else None)
        if step is None or space.min is None or space.max is None:
            return None
        points *= abs(_exact(space.max) - _exact(space.min)) // _exact(step) + 1
    return points


def format_count(number: int) -> str:
    """Return a whole number as text for people: 1,234,567 or, from 10^15, a power of ten."""
    if number < 10**15:
        return f"{number:,}"
    exponent = math.floor(math.log10(number))
    # log10 rounds: it may say 40 for one less than 10^40.
    exponent = exponent if 10**exponent <= number else exponent - 1
    return f"10^{exponent}" if 10**exponent == number else f"more than 10^{exponent}"


def _exact(text: str) -> Fraction:
    return Fraction(Decimal(text))


def _parameter(parameter: Parameter, path: str) -> list[FieldError]:
    check = _range if parameter.parameter_type.is_ranged else _list
    return list(check(parameter.parameter_type, parameter.feasible_space, path))


def _range(kind: ParameterType, space: FeasibleSpace, path: str) -> Iterator[FieldError]:
    if space.list is not None:
        other = "discrete" if kind is ParameterType.DOUBLE else "discrete (numbers)"
        yield FieldError(
            f"{path}.list", f"{kind} has min and max: for a list set parameterType to {other}"
        )
    bounds = {"min": space.min, "max": space.max}
    for name, text in bounds.items():
        if text is None and space.list is None:
            yield FieldError(f"{path}.{name}", f"is missing: {kind} needs min and max")
    wrong = [
        FieldError(f"{path}.{name}", message)
        for name, text in {**bounds, "step": space.step}.items()
        if text is not None and (message := _not_a_value(kind, text)) is not None
    ]
    yield from wrong
    if space.step is not None and space.distribution is not Distribution.UNIFORM:
        yield FieldError(
            f"{path}.step",
            f"{space.step} can't be combined with distribution {space.distribution}: remove one of them",
        )
    if not wrong and space.min is not None and space.max is not None:
        yield from _bounds(kind, space, path, low=space.min, high=space.max)


def _bounds(
    kind: ParameterType, space: FeasibleSpace, path: str, *, low: str, high: str
) -> Iterator[FieldError]:
    width = _exact(high) - _exact(low)
    if width == 0:
        yield FieldError(
            f"{path}.min",
            f"{low} equals max, which leaves one value: use a discrete parameter with a list of one, "
            "or remove the parameter",
        )
    elif kind is ParameterType.DOUBLE and float(low) == float(high):
        yield FieldError(
            f"{path}.min", f"{low} and max {high} are equal as doubles: choose bounds farther apart"
        )
    elif kind is ParameterType.DOUBLE and math.isinf(float(high) - float(low)):
        yield FieldError(
            f"{path}.max",
            f"{high} is too far from min {low}: their difference must fit into a double",
        )
    if space.distribution.is_logarithmic and float(low) <= 0:
        yield FieldError(
            f"{path}.min", f"{low} has no logarithm: {space.distribution} needs min above 0"
        )
    if space.step is not None:
        step = _exact(space.step)
        if step <= 0:
            yield FieldError(f"{path}.step", f"{space.step} is not above 0")
        elif 0 < width < step:
            yield FieldError(
                f"{path}.step",
                f"{space.step} is more than max - min, which leaves one value: make it smaller",
            )


def _not_a_value(kind: ParameterType, text: str) -> str | None:
    """Return the reason why a decimal number is not a value of the type; None if it is one."""
    if kind is ParameterType.INT:
        if not _INTEGER.fullmatch(text):
            return f"{text} is not written as an integer, such as 32"
        if int(text) not in _INT64:
            return f"{text} does not fit into 64 bits"
        return None
    if math.isinf(float(text)):
        return f"{text} is too large for a double"
    if float(text) == 0 and Decimal(text) != 0:
        return f"{text} is too small for a double, and would become 0"
    return None


def _list(kind: ParameterType, space: FeasibleSpace, path: str) -> Iterator[FieldError]:
    for name in ("min", "max", "step"):
        text = getattr(space, name)
        if text is not None:
            yield FieldError(
                f"{path}.{name}",
                f"{text}: {kind} has a list; for a range set parameterType to double or int",
            )
    if space.distribution is not Distribution.UNIFORM:
        yield FieldError(
            f"{path}.distribution",
            f"{space.distribution} is for double and int: the values of a list are equally likely",
        )
    if space.list is None:
        yield FieldError(f"{path}.list", f"is missing: {kind} needs the list of its values")
    elif kind is ParameterType.DISCRETE:
        yield from _discrete(space.list, f"{path}.list")
    else:
        for index, first in duplicates(space.list):
            yield FieldError(f"{path}.list[{index}]", f'"{space.list[first]}" is given twice')


def _discrete(values: Sequence[str], path: str) -> Iterator[FieldError]:
    numbers: list[Hashable] = []
    for index, text in enumerate(values):
        # Text that is not a number equals the same text only.
        numbers.append(text)
        if not _NUMBER.fullmatch(text):
            yield FieldError(
                f"{path}[{index}]",
                f'"{text}" is not a number: discrete is for numbers, categorical for other text',
            )
        elif (message := _not_a_value(ParameterType.DISCRETE, text)) is not None:
            yield FieldError(f"{path}[{index}]", message)
        else:
            numbers[-1] = Decimal(text)
    for index, first in duplicates(numbers):
        yield FieldError(
            f"{path}[{index}]", f'"{values[index]}" is the same number as "{values[first]}"'
        )
