"""Return value of a trial's function as bounded JSON. Pure; runs in the trial's process, so standard library only.

Shapes, one of::

    {"none": true}
    {"number": 0.5}                                  NaN and infinities too, as Python's json writes them
    {"metrics": {"accuracy": 0.5, "note": {"other": "str 'x'"}}}
    {"metrics": {...}, "omitted": {"texts": ["m33 (more than 32)"], "count": 68}}    of these, the first few
    {"other": "list [0.5]"}                          none of these
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

MAX_METRICS = 32
MAX_OTHERS = 8
"""Values of a mapping that are described although they are no numbers."""
MAX_NAMED = 5
"""Omitted values that are listed."""
MAX_NAME = 128
"""Characters of a metric's name; of a longer one so many are sent, and one more."""
MAX_TEXT = 80


def describe(value: object, wanted: Sequence[str]) -> dict[str, Any]:
    """Describe a value in one of the shapes above.

    Args:
        value: the function's return value.
        wanted: metrics that are described first, so that the bound never drops them from a large mapping. An accented
            letter of their names may be one character in the mapping, or two.
    """
    if value is None:
        return {"none": True}
    if isinstance(value, Mapping):
        return _mapping(value, wanted)
    return _number_or_other(value)


def _mapping(value: Mapping[Any, object], wanted: Sequence[str]) -> dict[str, Any]:
    metrics: dict[str, Any] = {}
    omitted: list[str] = []
    room = {True: MAX_METRICS, False: MAX_OTHERS}
    for name, key in _in_order(value, wanted):
        described = _number_or_other(value[key])
        is_number = "number" in described
        if name in metrics:
            omitted.append(f"{_short(name)} (given twice)")
        elif room[is_number] == 0:
            reason = f"more than {MAX_METRICS}" if is_number else "not a number"
            omitted.append(f"{_short(name)} ({reason})")
        else:
            metrics[name] = described.get("number", described)
            room[is_number] -= 1
    described = {"metrics": metrics}
    if omitted:
        described["omitted"] = {"texts": omitted[:MAX_NAMED], "count": len(omitted)}
    return described


def _short(name: str) -> str:
    return name if len(name) <= MAX_TEXT else f"{name[:MAX_TEXT]}..."


def _in_order(value: Mapping[Any, object], wanted: Sequence[str]) -> list[tuple[str, Any]]:
    """Return the names of a mapping's values, with their keys, the wanted ones first."""
    first = {_composed(name): name for name in wanted}
    named: list[tuple[str, Any]] = []
    others: list[tuple[str, Any]] = []
    for key in value:
        # A member of an enum may be a string; its own text is the name then.
        name = str.__str__(key) if isinstance(key, str) else str(key)
        if _composed(name) in first:
            named.append((first[_composed(name)], key))
        else:
            others.append((name[: MAX_NAME + 1], key))
    rank = list(wanted)
    return sorted(named, key=lambda pair: rank.index(pair[0])) + others


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _number_or_other(value: object) -> dict[str, Any]:
    number = as_number(value)
    return {"other": _text(value)} if number is None else {"number": number}


def as_number(value: object) -> float | None:
    """Return the value as a float; None if it is no number.

    A number is anything with ``__float__`` but text, booleans and complex numbers: int, float, Decimal, NumPy's
    scalars, and arrays and tensors without dimensions. An int beyond a float's range becomes infinite.
    """
    if isinstance(value, (bool, str, bytes, bytearray)) or not hasattr(type(value), "__float__"):
        return None
    if "bool" in str(getattr(value, "dtype", "")) or "complex" in str(getattr(value, "dtype", "")):
        return None
    shape = getattr(value, "shape", ())
    if isinstance(shape, Sequence) and len(shape) > 0:
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]
    except (TypeError, ValueError):
        return None


def _text(value: object) -> str:
    try:
        text = " ".join(repr(value).split())
    except Exception as error:
        text = f"(its repr raises {type(error).__name__})"
    return f"{type(value).__name__} {text}"[:MAX_TEXT]
