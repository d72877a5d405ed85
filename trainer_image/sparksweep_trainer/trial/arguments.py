"""Arguments of a function from parameter values: types, and names matched with the signature. Pure.

Runs in the trial's process, so standard library only.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

Value = float | int | str

_INTEGER_CHARACTERS = frozenset("+-0123456789")


class ArgumentsError(Exception):
    """The function can't be called with these parameters; the message names both sides."""


def decode(parameter_type: str, text: str) -> Value:
    """Decode a parameter's value: a double as float, an int as int, a categorical as str.

    A discrete value becomes an int if it is written as one, else a float.

    Raises:
        ValueError: the text is no value of the type.
    """
    if parameter_type == "double":
        return float(text)
    if parameter_type == "int":
        return _integer(text)
    if parameter_type == "discrete":
        return int(text) if _INTEGER_CHARACTERS.issuperset(text) else float(text)
    return text


def _integer(text: str) -> int:
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is no integer") from error
    if value != value.to_integral_value():
        raise ValueError(f"{text!r} is no integer")
    return int(value)


def refusal(function: Any) -> str | None:
    """Return the reason why an object can't be a trial's function; None if it can."""
    if inspect.isclass(function):
        return "is a class: name a function that returns the metric"
    if not callable(function):
        return f"is no function but of type {type(function).__name__}"
    code = function if inspect.isroutine(function) else _called(function)
    if inspect.iscoroutinefunction(code):
        return "is a coroutine function: name one that runs the event loop itself"
    if inspect.isgeneratorfunction(code) or inspect.isasyncgenfunction(code):
        return "is a generator function: name one that returns the metric"
    return None


def _called(function: Any) -> object:
    """Return the code that runs when an object that is no function is called."""
    inner = getattr(function, "func", None)
    return inner if inspect.isroutine(inner) else type(function).__call__


def bind(
    name: str, function: Callable[..., object], values: Mapping[str, Value]
) -> tuple[list[object], dict[str, Value]]:
    """Return positional and keyword arguments that pass each value to the function by its name.

    Defaults apply, ``**kwargs`` takes values that have no argument of their own, ``*args`` gets nothing.

    Args:
        name: the function's name, for messages.
        function: the function that will be called.
        values: each parameter's value.

    Raises:
        ArgumentsError: a parameter has no argument, or a required argument no parameter.
    """
    try:
        arguments = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):
        # A builtin without a signature: the call itself checks the arguments.
        return [], dict(values)
    named = {
        argument.name: argument
        for argument in arguments
        if argument.kind not in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD)
    }
    positional_only = [
        argument for argument in arguments if argument.kind is argument.POSITIONAL_ONLY
    ]
    if not any(argument.kind is argument.VAR_KEYWORD for argument in arguments):
        _refuse_unknown(name, list(named), values)
    _refuse_missing(name, list(named.values()), values)
    args = _positional(positional_only, values)
    positional = {argument.name for argument in positional_only}
    return args, {key: value for key, value in values.items() if key not in positional}


def _positional(
    arguments: Sequence[inspect.Parameter], values: Mapping[str, Value]
) -> list[object]:
    given = [index for index, argument in enumerate(arguments) if argument.name in values]
    # A default stands in for a missing value, or later values would move up.
    needed = arguments[: given[-1] + 1] if given else []
    return [values.get(argument.name, argument.default) for argument in needed]


def _refuse_unknown(name: str, takes: Sequence[str], values: Mapping[str, Value]) -> None:
    unknown = [key for key in values if key not in takes]
    if not unknown:
        return
    listed = ", ".join(takes) or "none"
    message = f"{name}() takes no argument {_quoted(unknown)}; it takes {listed}"
    # An argument that already has its parameter is not a suggestion.
    close = difflib.get_close_matches(
        unknown[0], [take for take in takes if take not in values], n=1, cutoff=0.5
    )
    if close:
        message += f": did you mean {close[0]!r}?"
    raise ArgumentsError(message)


def _refuse_missing(
    name: str, arguments: Sequence[inspect.Parameter], values: Mapping[str, Value]
) -> None:
    missing = [
        argument.name
        for argument in arguments
        if argument.default is argument.empty and argument.name not in values
    ]
    if missing:
        raise ArgumentsError(
            f"{name}() needs the argument {_quoted(missing)}, which is no parameter of the experiment; "
            f"its parameters are {', '.join(values) or 'none'}: add the parameter, or give the argument a default"
        )


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
