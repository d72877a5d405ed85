"""Finds the object that keeps a function from being pickled, and the path that leads to it: ``config.lock``."""

from __future__ import annotations

import itertools
import pickle
import time
import types
from collections.abc import Callable
from typing import Any

from sparksweep._shipping.pickler import (
    FunctionPickler,
    Nowhere,
    can_be_pickled,
    registry_restored,
)
from sparksweep._shipping.references import referred
from sparksweep._shipping.user_modules import Route, UserModules

PATIENCE_S = 0.5
"""Seconds after which the search ends with the path so far: the pickler in Python is slower than the one in C."""


_ATOMS = frozenset(
    [type(None), bool, int, float, str, bytes, bytearray, tuple, list, dict, set, frozenset, pickle.PickleBuffer]
)  # fmt: skip


class _OutOfTime(Exception):
    pass


class _Tracer(pickle._Pickler):
    """A pickler that knows the objects which it is in the middle of."""

    def __init__(self) -> None:
        super().__init__(Nowhere(), protocol=5)
        self.modules = UserModules()
        self._reducing = FunctionPickler(Nowhere(), self.modules)
        self.dispatch_table = self._reducing.dispatch_table
        self.chain: list[Any] = []
        self._deadline = time.monotonic() + PATIENCE_S

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) in _ATOMS:
            # The pickler in C does not ask about these.
            return NotImplemented
        return self._reducing.reducer_override(obj)

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if time.monotonic() > self._deadline:
            raise _OutOfTime
        self.chain.append(obj)
        super().save(obj, save_persistent_id)  # type: ignore[misc]
        # Not reached if it fails: the chain then ends with the culprit.
        self.chain.pop()


def culprit(function: Callable[..., object]) -> tuple[str, object] | None:
    """Return the path of the first object that can't be pickled, and the object; None if none is found in time."""
    tracer = _Tracer()
    with registry_restored():
        try:
            tracer.dump(function)
        except _OutOfTime:
            variables = referred(function).items()
            return next((v for v in variables if not can_be_pickled(v[1], UserModules())), None)
        except RecursionError:
            return None
        # Classes raise errors of their own when they are pickled, such as a SparkSession.
        except Exception:
            path = _path(tracer.chain, tracer.modules)
            return (path, tracer.chain[-1]) if path else None
    return None


def _path(chain: list[Any], modules: UserModules) -> str:
    """Return the path to the last object of a chain, in which each object holds the next one.

    It begins at the variable that the innermost of the user's functions uses. Tuples and dictionaries that hold an
    object's state are no part of it.
    """
    path = ""
    function: types.FunctionType | None = None
    is_state = True
    previous: object = None
    for holder, held in itertools.pairwise(chain):
        if isinstance(holder, types.FunctionType):
            if path and modules.route(str(holder.__globals__.get("__name__"))) is Route.IMPORT:
                return path
            function, path, is_state = holder, "", True
        elif isinstance(holder, types.CellType):
            path, is_state = _free_variable(function, holder), True
        elif isinstance(holder, dict):
            key = next((key for key, value in holder.items() if value is held), None)
            if key is not None and key not in _SLOTS:
                path += _step(path, key, is_attribute=is_state)
                is_state = False
        elif isinstance(holder, list | tuple):
            if function is not None and holder is function.__defaults__:
                arguments = function.__code__.co_varnames[: function.__code__.co_argcount]
                named = zip(reversed(arguments), reversed(holder), strict=False)
                path, is_state = next(name for name, value in named if value is held), False
            elif isinstance(previous, types.CellType):
                # A cell's state is a tuple of its contents.
                is_state = False
            elif not is_state:
                path += next((f"[{i}]" for i, item in enumerate(holder) if item is held), "")
        elif isinstance(holder, type):
            path, is_state = holder.__qualname__, True
        else:
            is_state = True
        previous = holder
    return path


_SLOTS = ("__globals__", "__closure__", "__defaults__", "__kwdefaults__", "__annotations__")
"""Keys of a function's state in cloudpickle that hold the variables, and are none themselves."""


def _free_variable(function: types.FunctionType | None, cell: types.CellType) -> str:
    if function is None or function.__closure__ is None:
        return ""
    named = zip(function.__code__.co_freevars, function.__closure__, strict=True)
    return next((name for name, item in named if item is cell), "")


def _step(path: str, key: object, *, is_attribute: bool) -> str:
    if not path:
        return str(key)
    return f".{key}" if is_attribute and isinstance(key, str) else f"[{key!r}]"
