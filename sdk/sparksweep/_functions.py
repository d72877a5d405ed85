"""Checks of a training function before any trial runs: whether it can take the parameters, and returns anything."""

from __future__ import annotations

import ast
import functools
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType

from sparksweep.errors import FieldError, InvalidExperiment
from sparksweep_trainer.trial.arguments import ArgumentsError, bind, refusal

Function = Callable[..., object]


def name_of(function: Function) -> str:
    """Return a function's name, for messages."""
    return str(getattr(function, "__name__", type(function).__name__))


def check_function(function: Function, parameters: Sequence[str]) -> None:
    """Check that trials can call the function, by the same rules as a trial's process.

    Raises:
        InvalidExperiment: It is not a function, or its arguments and the parameters differ.
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
    """Return whether the function is certain to return None, whatever happens in it.

    Hops' grid search needs no metric, and a function without a ``return`` has none to compare.

    The answer is read from the source, by its syntax. Where the source is not available (a function made by ``exec``
    or in an interactive shell before Python 3.13), the annotation ``-> None`` decides. A lambda returns its
    expression, and a generator returns an object.
    """
    inner = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inner.func
    code = getattr(inner, "__code__", None)
    if not isinstance(code, CodeType):
        return False
    definition = _definition(inner, code)
    if definition is None:
        annotations = getattr(inner, "__annotations__", {})
        return annotations.get("return", "") in (None, "None")
    return not any(_gives_a_value(node) for node in _own_nodes(definition.body))


def _definition(function: Function, code: CodeType) -> ast.FunctionDef | None:
    """Return the ``def`` that made the function; None for a lambda, and where the source is not available."""
    try:
        lines, _ = inspect.findsource(function)
        with warnings.catch_warnings():
            # An invalid escape in a string is a warning of the user's code, not of this check.
            warnings.simplefilter("ignore")
            module = ast.parse("".join(lines))
    except (OSError, TypeError, SyntaxError, ValueError, RecursionError):
        return None
    for node in ast.walk(module):
        # A file of that name may have other contents than the function was made from: compare all that the
        # code object repeats of its definition.
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first_line = min([node.lineno, *(item.lineno for item in node.decorator_list)])
            if first_line == code.co_firstlineno and _names(node.args) == _argument_names(code):
                return node
    return None


def _names(arguments: ast.arguments) -> list[str]:
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    rest = [item for item in (arguments.vararg, arguments.kwarg) if item is not None]
    return [item.arg for item in [*named, *rest]]


def _argument_names(code: CodeType) -> list[str]:
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return list(code.co_varnames[:count])


def _own_nodes(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body without those of functions and classes defined in it."""
    for node in body:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield from _own_nodes(list(ast.iter_child_nodes(node)))


def _gives_a_value(node: ast.AST) -> bool:
    if isinstance(node, ast.Return):
        is_none = isinstance(node.value, ast.Constant) and node.value.value is None
        return node.value is not None and not is_none
    return isinstance(node, ast.Yield | ast.YieldFrom)


def with_values(function: Function, values: Mapping[str, Mapping[str, object]]) -> Function:
    """Return a function that replaces the texts of arguments by the values they stand for.

    Args:
        function: The function to call.
        values: By parameter, each value by its text; other parameters are passed on as they are.
    """
    if not values:
        return function
    # `call` is pickled by value and refers to nothing of this module, which trials may lack.
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> object:
        bound = signature.bind(*args, **kwargs)
        given = bound.arguments
        for name, by_text in values.items():
            # A parameter without an argument of its own is in **kwargs.
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
