"""How Hops' functions were called: with a Spark session in front or without, in two orders, by two sets of names. Pure."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sparksweep._builder import Options
from sparksweep.errors import FieldError, InvalidExperiment
from sparksweep.search import Domain, as_python, choice, int_uniform, is_number, uniform

_R = TypeVar("_R")

SUBMIT_KEYWORDS = ("backend", "namespace", "directory", "progress")
"""Keywords of every function that say where and how to run."""
_REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class Call:
    """One call, its arguments by their last names in Hops."""

    arguments: Mapping[str, Any]
    options: Options
    where: Mapping[str, Any]
    """Of `SUBMIT_KEYWORDS`."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """The arguments of one of Hops' functions."""

    order: Mapping[str, Any]
    """The last version's, in their order, each with its default."""
    session_order: Sequence[str]
    """Their order behind a Spark session, under the same names."""
    aliases: Mapping[str, str]
    """Names of 2018, and what they became."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Keywords that Hops did not have, each with its default."""

    def bind(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
        """Sort a call's arguments.

        Raises:
            TypeError: as Python raises it for a call that fits no signature.
        """
        given = dict(kwargs)
        has_session = "spark" in given or (bool(args) and not _is_code(args[0]))
        given.pop("spark", None)
        if args and not _is_code(args[0]):
            args = args[1:]
        names = list(self.session_order if has_session else self.order)
        if len(args) > len(names):
            raise TypeError(f"{name}() takes {len(names)} arguments by position, not {len(args)}")
        bound: dict[str, Any] = dict(zip(names, args, strict=False))
        options: dict[str, Any] = {}
        where: dict[str, Any] = {}
        for given_name, value in given.items():
            key = self.aliases.get(given_name, given_name)
            if key in bound:
                raise TypeError(f"{name}() got multiple values for argument {key!r}")
            if key in self.order or key in self.extra or key in self.session_order:
                bound[key] = value
            elif key in SUBMIT_KEYWORDS:
                where[key] = value
            elif key in Options.__annotations__:
                options[key] = value
            else:
                raise TypeError(f"{name}() takes no argument {given_name!r}; {self._accepted()}")
        complete = {**self.order, **self.extra, **bound}
        missing = [key for key, value in complete.items() if value is _REQUIRED]
        if missing:
            raise TypeError(f"{name}() needs {', '.join(map(repr, missing))}")
        return Call(complete, options, where)  # type: ignore[arg-type]

    def signature(self) -> inspect.Signature:
        """What ``help`` shows: the last version's arguments, and the keywords."""
        kind = inspect.Parameter
        return inspect.Signature(
            [
                *(
                    kind(name, kind.POSITIONAL_OR_KEYWORD, default=default)
                    for name, default in self.order.items()
                ),
                *(
                    kind(name, kind.KEYWORD_ONLY, default=default)
                    for name, default in self.extra.items()
                ),
                kind("options", kind.VAR_KEYWORD),
            ]
        )

    def _accepted(self) -> str:
        names = [*self.order, *self.extra, *SUBMIT_KEYWORDS, *Options.__annotations__]
        return f"it takes {', '.join(names)}"


def called_as(form: Form) -> Callable[[Callable[[Call], _R]], Callable[..., _R]]:
    """Decorate a function of a `Call` so that it is called as Hops' was."""

    def decorate(function: Callable[[Call], _R]) -> Callable[..., _R]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> _R:
            return function(form.bind(function.__name__, args, kwargs))

        call.__signature__ = form.signature()  # type: ignore[attr-defined]
        return call

    return decorate


def grid_of(args_dict: object) -> dict[str, object]:
    """The domains of a grid's dictionary: a list of values each.

    Raises:
        InvalidExperiment: it is no dictionary.
    """
    return dict(_mapping(args_dict))


def bounds(search_dict: object) -> dict[str, object]:
    """The domains of a dictionary of bounds: ``[lower, upper]`` for numbers, in any order; categories otherwise.

    Two ints bound an int. Hops went by the lower one alone: ``[0, 1.0]`` was 0 or 1.

    Raises:
        InvalidExperiment: a list of numbers has not two of them.
    """
    domains: dict[str, object] = {}
    for name, given in _mapping(search_dict).items():
        if isinstance(given, Domain | str) or not hasattr(given, "__iter__"):
            domains[name] = given
            continue
        values = [as_python(value) for value in given]
        if not values or not all(is_number(value) for value in values):
            domains[name] = choice(values)
        elif len(values) != 2:
            message = (
                f"has {len(values)} numbers: give [lower, upper], or search.choice({values!r})"
            )
            raise InvalidExperiment([FieldError(f"parameters[{name!r}]", message)])
        else:
            kind = int_uniform if all(isinstance(value, int) for value in values) else uniform
            domains[name] = kind(*values)  # type: ignore[arg-type]
    return domains


def launches(args_dict: object) -> list[dict[str, Any]]:
    """The arguments of each run that ``launch`` makes: the first values together, then the second ones, and so on.

    Raises:
        InvalidExperiment: the lists differ in length.
    """
    if args_dict is None:
        return [{}]
    lists = {name: list(values) for name, values in _mapping(args_dict).items()}
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        message = f"has lists of {', '.join(f'{n} ({k})' for k, n in lengths.items())} values: give lists of one length, of at least 1"
        raise InvalidExperiment([FieldError("args_dict", message)])
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def _mapping(given: object) -> Mapping[str, Any]:
    if isinstance(given, Mapping) and given and all(isinstance(name, str) for name in given):
        return given
    message = (
        f'{given!r} is not a dictionary of hyperparameters: write {{"learning_rate": [0.1, 0.01]}}'
    )
    raise InvalidExperiment([FieldError("args_dict", message)])


def _is_code(value: object) -> bool:
    """Whether an argument is what to run, and not a session in front of it."""
    return callable(value) or (isinstance(value, str) and ":" in value)
