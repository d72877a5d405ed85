"""Return value of a trial's function as bounded JSON. Pure; runs in the trial's process, so standard library only.

Shapes, one of::

    {"none": true}
    {"number": 0.5}                                  NaN and infinities too, as Python's json writes them
    {"metrics": {"accuracy": 0.5, "note": {"other": "str 'x'"}}}
    {"other": "list [0.5]"}                          none of these
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

MAX_METRICS = 32
MAX_NAME = 128
MAX_TEXT = 80


def describe(value: object, wanted: Sequence[str]) -> dict[str, Any]:
    """Describe a value in one of the shapes above.

    Args:
        value: the function's return value.
        wanted: metrics that are described first, so that the bound never drops them from a large mapping.
    """
    if value is None:
        return {"none": True}
    if isinstance(value, Mapping):
        return {"metrics": _metrics(value, wanted)}
    return _number_or_other(value)


def _metrics(value: Mapping[Any, object], wanted: Sequence[str]) -> dict[str, Any]:
    chosen = [key for key in wanted if key in value]
    chosen += [key for key in value if key not in chosen][: MAX_METRICS - len(chosen)]
    metrics: dict[str, Any] = {}
    for key in chosen:
        described = _number_or_other(value[key])
        metrics[str(key)[:MAX_NAME]] = described.get("number", described)
    return metrics


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
