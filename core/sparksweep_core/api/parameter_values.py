"""Values of parameters, made from their texts. Pure.

A document holds the value of every parameter as text. A function gets a number or text made from it, and every table,
file and command shows the same value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

from sparksweep_core.api.search_spec import Parameter, ParameterType

ParameterValue = int | float | str

_INTEGER_CHARACTERS = frozenset("+-0123456789")


def typed_value(kind: ParameterType, text: str) -> ParameterValue:
    """Return the value that a function gets for a text, as the trial's own ``arguments.decode`` makes it.

    A double is a float, an int an int, a categorical text. A discrete value is an int if it is written as one, else a
    float. Integers are exact, whatever their size.

    Raises:
        ValueError: The text is no value of the type.
    """
    match kind:
        case ParameterType.CATEGORICAL:
            return text
        case ParameterType.DOUBLE:
            return float(text)
        case ParameterType.INT:
            return int(text)
        case ParameterType.DISCRETE:
            return int(text) if _INTEGER_CHARACTERS.issuperset(text) else float(text)
        case unreachable:
            assert_never(unreachable)


def typed_values(
    parameters: Sequence[Parameter], texts: Mapping[str, str]
) -> dict[str, ParameterValue]:
    """Return a trial's values by the names of the parameters, in their order; a parameter without a text is left out."""
    return {
        parameter.name: typed_value(parameter.parameter_type, texts[parameter.name])
        for parameter in parameters
        if parameter.name in texts
    }
