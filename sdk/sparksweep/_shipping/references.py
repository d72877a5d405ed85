"""The objects outside a function that it refers to, by the names of its variables. Pickles nothing."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable

from sparksweep._shipping.sources import codes


def referred(function: Callable[..., object]) -> dict[str, object]:
    """Return the objects outside a function that it refers to, by name, modules and functions left out."""
    found: dict[str, object] = {}
    waiting: list[object] = [function]
    seen: set[int] = set()
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, functools.partial):
            found.update({f"argument {index + 1}": value for index, value in enumerate(item.args)})
            found.update(item.keywords)
            waiting.append(item.func)
        elif isinstance(item, types.MethodType):
            found.update(vars(item.__self__) if hasattr(item.__self__, "__dict__") else {})
            waiting.append(item.__func__)
        elif isinstance(item, types.FunctionType):
            code, cells = item.__code__, item.__closure__ or ()
            uses = dict(zip(code.co_freevars, map(_contents, cells), strict=True))
            names = (name for inner in codes(code) for name in inner.co_names)
            uses.update(
                {name: item.__globals__[name] for name in names if name in item.__globals__}
            )
            uses.update(item.__kwdefaults__ or {})
            for name, value in uses.items():
                inner = getattr(value, "__wrapped__", value)
                if isinstance(inner, types.FunctionType):
                    waiting.append(inner)
                elif not isinstance(value, types.ModuleType | type):
                    found[name] = value
        elif not isinstance(item, type) and hasattr(item, "__dict__"):
            found.update(vars(item))
    return found


def _contents(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        # The variable has no value yet, or no longer.
        return None
