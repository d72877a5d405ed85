"""Calls with arguments that do not fit: the error names each one, and the argument that was meant."""

from __future__ import annotations

import difflib
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ParamSpec, TypeVar

from sparksweep._names_elsewhere import EXPLAINED, RENAMED
from sparksweep.errors import FieldError, InvalidCall, UnknownArgument

_P = ParamSpec("_P")
_R = TypeVar("_R")


def checked_call(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate a function or method: a call that does not fit its signature raises `InvalidCall`."""
    signature = inspect.signature(function)
    *owner, last = function.__qualname__.split(".")
    name = owner[-1] if last == "__init__" else last

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            signature.bind(*args, **kwargs)
        except TypeError:
            raise _misfit(name, signature, args, kwargs) from None
        return function(*args, **kwargs)

    return call


def unknown_argument(
    name: str, function: str, accepted: Iterable[str], aliases: Iterable[str] = ()
) -> FieldError:
    """Return the finding about a keyword that a function does not have, with the nearest one that it has.

    Args:
        name: The keyword.
        function: The function's name.
        accepted: The names of its arguments.
        aliases: Other names that it takes for them.
    """
    accepted = list(accepted)
    begin = f"{function}() takes no argument {name!r}"
    explained = EXPLAINED.get(_plain(name))
    if explained is not None:
        return FieldError(name, f"{begin}: {explained}")
    nearest = _nearest(name, [*accepted, *aliases])
    if nearest:
        return FieldError(name, f"{begin}: did you mean {' or '.join(nearest)}?")
    if not accepted:
        return FieldError(name, f"{begin}, and no other")
    return FieldError(name, f"{begin}: there are {', '.join(accepted)}")


def _nearest(name: str, accepted: Sequence[str]) -> list[str]:
    by_plain = {_plain(item): item for item in accepted}
    if _plain(name) in by_plain:
        return [by_plain[_plain(name)]]
    renamed = [item for item in RENAMED.get(_plain(name), ()) if item in accepted]
    if renamed:
        return renamed
    close = difflib.get_close_matches(_plain(name), by_plain, n=1, cutoff=0.7)
    if close:
        return [by_plain[close[0]]]
    words = set(_words(name))
    sharing = [item for item in accepted if words & set(_words(item))]
    return sharing if len(sharing) <= 2 else []


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _words(name: str) -> list[str]:
    """Return the words of a name, in snake or camel case, without an ``s`` at their ends."""
    parts = re.findall(r"[A-Za-z][a-z0-9]*", name)
    return [part.lower().removesuffix("s") for part in parts if len(part) > 2]


def _misfit(
    name: str, signature: inspect.Signature, args: Sequence[object], kwargs: Mapping[str, object]
) -> InvalidCall:
    parameters = [item for item in signature.parameters.values() if item.name != "self"]
    has_self = len(parameters) < len(signature.parameters)
    by_position = [
        item.name
        for item in parameters
        if item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD)
    ]
    by_keyword = [
        item.name
        for item in parameters
        if item.kind in (item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY)
    ]
    takes_any = any(item.kind is item.VAR_KEYWORD for item in parameters)
    given = args[1:] if has_self else args
    unknown = [] if takes_any else [key for key in kwargs if key not in by_keyword]
    if unknown:
        if any(item.name in unknown for item in parameters if item.kind is item.VAR_POSITIONAL):
            return UnknownArgument(
                [FieldError(unknown[0], f"give {name}() its values by position")]
            )
        return UnknownArgument([unknown_argument(key, name, by_keyword) for key in unknown])
    errors = [
        FieldError(key, f"is given to {name} twice, by position and by name")
        for key in by_position[: len(given)]
        if key in kwargs
    ]
    variadic = any(item.kind is item.VAR_POSITIONAL for item in parameters)
    if len(given) > len(by_position) and not variadic:
        has_more = any(key not in by_position for key in by_keyword)
        advice = "; give the others by name" if has_more else ""
        message = f"{name} takes {len(by_position)} by position, not {len(given)}{advice}"
        errors.append(FieldError("arguments", message))
    errors += [
        FieldError(item.name, f"is missing: {name} needs it")
        for item in parameters
        if item.default is item.empty
        and item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)
        and item.name not in kwargs
        and item.name not in by_position[: len(given)]
    ]
    return InvalidCall(errors)
