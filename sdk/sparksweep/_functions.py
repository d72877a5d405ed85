"""What can be known of a training function before any trial runs: whether it can take the parameters, and returns anything."""

from __future__ import annotations

import dis
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import CodeType

from sparksweep.errors import FieldError, InvalidExperiment
from sparksweep_trainer.trial.arguments import ArgumentsError, bind, refusal

Function = Callable[..., object]


def name_of(function: Function) -> str:
    """A function's name, for people."""
    return str(getattr(function, "__name__", type(function).__name__))


def check_function(function: Function, parameters: Sequence[str]) -> None:
    """Find out whether trials can call the function, as they would find out themselves.

    Raises:
        InvalidExperiment: it is no function, or its arguments and the parameters differ.
    """
    reason = refusal(function)
    if reason is None:
        try:
            bind(name_of(function), function, dict.fromkeys(parameters, 0))
        except ArgumentsError as error:
            reason = str(error)
    else:
        reason = f"{name_of(function)} {reason}"
    if reason is not None:
        raise InvalidExperiment([FieldError("function", reason)])


def returns_nothing(function: Function) -> bool:
    """Whether it is certain that the function returns None, whatever happens in it.

    Hops' grid search needs no metric: what a function without a ``return`` is measured by, nobody can say.
    """
    inner = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inner.func
    code = getattr(inner, "__code__", None)
    return isinstance(code, CodeType) and not _returns_a_value(code)


def _returns_a_value(code: CodeType) -> bool:
    before: dis.Instruction | None = None
    for instruction in dis.get_instructions(code):
        if instruction.opname == "RETURN_CONST" and instruction.argval is not None:
            return True
        if instruction.opname == "RETURN_VALUE" and not (
            before is not None and before.opname == "LOAD_CONST" and before.argval is None
        ):
            return True
        before = instruction
    return False


def with_values(function: Function, values: Mapping[str, Mapping[str, object]]) -> Function:
    """The function, called with the values that texts stand for.

    Args:
        function: what to call.
        values: by parameter, each value by its text; a parameter that is not there keeps what it gets.
    """
    if not values:
        return function
    # Where it runs, nothing of this module need be: what is defined in here is pickled by value.
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> object:
        bound = signature.bind(*args, **kwargs)
        given = bound.arguments
        for name, by_text in values.items():
            # What has no argument of its own is in **kwargs.
            holder = (
                given
                if name in given
                else next(
                    (item for item in given.values() if isinstance(item, dict) and name in item), {}
                )
            )
            if name in holder:
                holder[name] = by_text[holder[name]]
        return function(*bound.args, **bound.kwargs)

    return call
