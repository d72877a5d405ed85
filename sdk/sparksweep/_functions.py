"""Checks of a training function before any trial runs: whether it can take the parameters, and returns anything."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import CodeType
from typing import Any

from sparksweep._silence import no_warnings
from sparksweep.errors import FieldError, InvalidExperiment
from sparksweep_trainer.trial.arguments import ArgumentsError, bind, refusal

Function = Callable[..., object]

_MAX_DEPTH = 100
"""Objects that call each other, such as a callable object whose __call__ is one, before the search ends."""


def name_of(function: Function) -> str:
    """Return a function's name, for messages: of a partial the function's, of another object its type's."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", None)
    return name if isinstance(name, str) and name else type(function).__name__


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

    The answer is read from the source of the function itself, by its syntax. A decorator's function decides for the
    function that it wraps, unless all that it returns is the result of that one. Where the source is not available (a
    function made by ``exec`` or in an interactive shell before Python 3.13), the annotation ``-> None`` decides; a
    decorator's function has the annotations of the wrapped one, which say nothing about it. A lambda returns its
    expression, and a generator returns an object.
    """
    called = _called(function)
    code = getattr(called, "__code__", None)
    if called is None or not isinstance(code, CodeType):
        return False
    definition = _definition(called, code)
    wrapped = getattr(called, "__wrapped__", None)
    if definition is None:
        annotations = getattr(called, "__annotations__", {})
        return wrapped is None and annotations.get("return", "") in (None, "None")
    nodes = list(_own_nodes(definition.body))
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in nodes):
        return False
    results = [node.value for node in nodes if isinstance(node, ast.Return) and _is_value(node)]
    if not results:
        return True
    names = _names_of(called, wrapped)
    return (
        bool(names)
        and all(_passes_on(item, names, nodes) for item in results)
        and (callable(wrapped) and returns_nothing(wrapped))
    )


def has_source(function: Function) -> bool:
    """Return whether `returns_nothing` could read the function's source."""
    called = _called(function)
    code = getattr(called, "__code__", None)
    if called is None or not isinstance(code, CodeType) or code.co_name == "<lambda>":
        return True
    return _definition(called, code) is not None


def _called(function: Any) -> Function | None:
    """Return the function that runs when an object is called; None if none in Python does."""
    for _ in range(_MAX_DEPTH):
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, functools._lru_cache_wrapper):
            function = function.__wrapped__
        elif inspect.ismethod(function):
            function = function.__func__
        elif inspect.isfunction(function):
            return function
        elif inspect.isclass(function) or inspect.isroutine(function):
            return None
        else:
            function = type(function).__call__
    return None


def _is_value(node: ast.Return) -> bool:
    is_none = isinstance(node.value, ast.Constant) and node.value.value is None
    return node.value is not None and not is_none


def _names_of(function: Function, value: object) -> set[str]:
    """Return the names by which a function's body knows an object outside it."""
    names = set()
    for name, cell in zip(
        function.__code__.co_freevars,
        function.__closure__ or (),
        strict=True,
    ):
        with suppress(ValueError):
            # The cell of a variable without a value is empty.
            if value is not None and cell.cell_contents is value:
                names.add(name)
    return names


def _passes_on(result: ast.AST | None, names: set[str], nodes: Sequence[ast.AST]) -> bool:
    """Return whether an expression is a call of a function of these names, or a variable that holds nothing else."""
    if isinstance(result, ast.Call) and isinstance(result.func, ast.Name):
        return result.func.id in names
    if not isinstance(result, ast.Name):
        return False
    assigned = [
        node.value
        for node in nodes
        if isinstance(node, ast.Assign)
        and any(isinstance(t, ast.Name) and t.id == result.id for t in node.targets)
    ]
    stores = sum(
        isinstance(node, ast.Name) and node.id == result.id and isinstance(node.ctx, ast.Store)
        for node in nodes
    )
    return (
        len(assigned) == stores > 0
        and all(isinstance(value, ast.Call) for value in assigned)
        and all(_passes_on(value, names, nodes) for value in assigned)
    )


def _definition(function: Function, code: CodeType) -> ast.FunctionDef | None:
    """Return the ``def`` that made the function; None for a lambda, and where the source is not available."""
    try:
        # An invalid escape in a string is a warning of the user's code, not of this check.
        with no_warnings():
            lines, _ = inspect.findsource(function)
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


def with_values(function: Function, values: Mapping[str, Mapping[str, object]]) -> Function:
    """Return a function that replaces the texts of arguments by the values they stand for.

    Args:
        function: The function to call.
        values: By parameter, each value by its text; other parameters are passed on as they are.
    """
    if not values:
        return function
    # A trial passes by position what can't be passed by name: the arguments before a slash. `call` is pickled by
    # value and refers to nothing of this module, which trials may lack.
    try:
        arguments = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):
        # A builtin without a signature: a trial passes everything by name.
        arguments = []
    positional = [item.name for item in arguments if item.kind is item.POSITIONAL_ONLY]

    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> object:
        from sparksweep import context

        # An image may have a version that lacks it.
        getattr(context, "_values", {}).update(values)

        def value_of(name: str, argument: object) -> object:
            # A default of the function is none of the texts.
            by_text = values.get(name, {})
            return by_text.get(argument, argument) if isinstance(argument, str) else argument

        named = [*positional, *([""] * (len(args) - len(positional)))]
        return function(
            *(value_of(name, argument) for name, argument in zip(named, args, strict=False)),
            **{name: value_of(name, argument) for name, argument in kwargs.items()},
        )

    call.__name__ = name_of(function)
    return call
