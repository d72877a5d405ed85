"""Hops' call conventions: with a Spark session as the first argument or without, in two orders, by two sets of names. Pure."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sparksweep._builder import OPTIONS, Request
from sparksweep._calls import unknown_argument
from sparksweep._plain_values import elements, invalid, is_listed, is_number, shown
from sparksweep.errors import FieldError, InvalidCall, InvalidExperiment, UnknownArgument
from sparksweep.search import Domain, choice, int_uniform, uniform
from sparksweep_core.api import limits

_R = TypeVar("_R")

SUBMIT_KEYWORDS: Mapping[str, Any] = {
    "backend": None,
    "namespace": None,
    "directory": None,
    "progress": True,
}
"""Keywords of every function for `Experiment.submit` and `Experiment.wait`, each with its default."""
_OPTIONS = [item for item in inspect.signature(Request).parameters.values() if item.name in OPTIONS]
_REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class Call:
    """One call, with its arguments under the names of Hops' last version."""

    arguments: Mapping[str, Any]
    options: Mapping[str, Any]
    """Arguments named in `OPTIONS`, for `Experiment`."""
    where: Mapping[str, Any]
    """Arguments named in `SUBMIT_KEYWORDS`."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """The arguments of one of Hops' functions."""

    order: Mapping[str, Any]
    """The last version's arguments in their order, each with its default."""
    session_order: Sequence[str]
    """The order of the same arguments after a Spark session."""
    aliases: Mapping[str, str]
    """Names of 2018, and those of the last version."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Keywords that Hops did not have, each with its default."""

    def bind(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
        """Return the call that the arguments make.

        Raises:
            InvalidCall: They fit no form of the call.
        """
        given = dict(kwargs)
        starts_with_session = _starts_with_session(args)
        has_session = "spark" in given or starts_with_session
        given.pop("spark", None)
        if starts_with_session:
            args = args[1:]
        names = list(self.session_order if has_session else self.order)
        if len(args) > len(names):
            message = f"{name} takes {len(names)} by position, not {len(args)}"
            raise InvalidCall([FieldError("arguments", message)])
        bound: dict[str, Any] = dict(zip(names, args, strict=False))
        options: dict[str, Any] = {}
        where: dict[str, Any] = {}
        unknown: list[FieldError] = []
        for given_name, value in given.items():
            key = self.aliases.get(given_name, given_name)
            if key in bound:
                raise InvalidCall([FieldError(key, f"is given to {name} twice: keep one")])
            if key in self.order or key in self.extra or key in self.session_order:
                bound[key] = value
            elif key in SUBMIT_KEYWORDS:
                where[key] = value
            elif key in OPTIONS:
                options[key] = value
            else:
                unknown.append(unknown_argument(given_name, name, self._accepted(), self.aliases))
        if unknown:
            raise UnknownArgument(unknown)
        complete = {**self.order, **self.extra, **bound}
        missing = [key for key, value in complete.items() if value is _REQUIRED]
        if missing:
            errors = [FieldError(key, f"is missing: {name} needs it") for key in missing]
            raise InvalidCall(errors)
        return Call(complete, options, where)

    def signature(self) -> inspect.Signature:
        """Return the signature for ``help``: the last version's arguments, and the keywords."""
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
                *(
                    item
                    for item in _OPTIONS
                    if item.name not in self.order and item.name not in self.extra
                ),
                *(
                    kind(name, kind.KEYWORD_ONLY, default=default)
                    for name, default in SUBMIT_KEYWORDS.items()
                ),
            ]
        )

    def _accepted(self) -> list[str]:
        return list(dict.fromkeys([*self.order, *self.extra, *OPTIONS, *SUBMIT_KEYWORDS]))


def called_as(form: Form) -> Callable[[Callable[[Call], _R]], Callable[..., _R]]:
    """Return a decorator that gives a function of a `Call` the arguments of Hops' function."""

    def decorate(function: Callable[[Call], _R]) -> Callable[..., _R]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> _R:
            return function(form.bind(function.__name__, args, kwargs))

        call.__signature__ = form.signature()  # type: ignore[attr-defined]
        return call

    return decorate


def grid_of(args_dict: object) -> dict[str, object]:
    """Return the domains of a grid's dictionary, which has a list of values for each parameter.

    Raises:
        InvalidExperiment: It is not a dictionary.
    """
    return dict(_mapping(args_dict))


def bounds(search_dict: object) -> dict[str, object]:
    """Return the domains of a dictionary of bounds: ``[lower, upper]`` for numbers, in any order; categories otherwise.

    Two ints are the bounds of an int. Hops looked at the lower bound only: ``[0, 1.0]`` was 0 or 1.

    Raises:
        InvalidExperiment: A list of numbers does not have two elements.
    """
    domains: dict[str, object] = {}
    for name, given in _mapping(search_dict).items():
        if isinstance(given, Domain) or not is_listed(given):
            domains[name] = given
            continue
        try:
            values = elements(given, most=limits.LIST_VALUES)
        except InvalidExperiment as error:
            raise invalid(f"parameters[{name!r}]", error.errors[0].message) from None
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
    """Return the arguments of each run of ``launch``: the first values, then the second ones, and so on.

    Raises:
        InvalidExperiment: The lists differ in length, or are empty.
    """
    if args_dict is None:
        return [{}]
    lists = {name: _listed(name, values) for name, values in _mapping(args_dict).items()}
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        message = f"has lists of {', '.join(f'{n} ({k})' for k, n in lengths.items())} values: give lists of one length, of at least 1"
        raise InvalidExperiment([FieldError("args_dict", message)])
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def _listed(name: str, values: object) -> list[object]:
    if not is_listed(values):
        message = f"{shown(values)} is not a list of values: write [{shown(values)}]"
        raise invalid(f"args_dict[{name!r}]", message)
    try:
        return elements(values, most=limits.LIST_VALUES)
    except InvalidExperiment as error:
        raise invalid(f"args_dict[{name!r}]", error.errors[0].message) from None


def _mapping(given: object) -> Mapping[str, Any]:
    if isinstance(given, Mapping) and given and all(isinstance(name, str) for name in given):
        return given
    message = f'{shown(given)} is not a dictionary of hyperparameters: write {{"learning_rate": [0.1, 0.01]}}'
    raise InvalidExperiment([FieldError("args_dict", message)])


def _starts_with_session(args: Sequence[object]) -> bool:
    """Return True if the first argument is a Spark session: the function follows it, or it is no code and no plain value."""
    plain = (str, bytes, int, float, Mapping, list, tuple, set, type(None))
    if len(args) > 1 and callable(args[1]):
        # Nothing else that may come second is callable: stand-ins of sessions, such as mocks and texts, are told by it.
        return True
    return bool(args) and not callable(args[0]) and not isinstance(args[0], plain)
