"""Values as users write them, made plain: NumPy's scalars as Python's, any iterable as a list, any object as short text."""

from __future__ import annotations

import enum
import itertools
import math
import numbers
from collections.abc import Iterable, Mapping, Set
from typing import Any

from sparksweep.errors import FieldError, InvalidExperiment

_MAX_SHOWN = 80
"""Characters of a value in a message."""
_TEXT = str | bytes | bytearray | memoryview


def invalid(path: str, message: str) -> InvalidExperiment:
    """Return the error with this one finding."""
    return InvalidExperiment([FieldError(path, message)])


def as_python(value: object) -> object:
    """Return the Python value of a scalar of NumPy, or of an array or tensor without dimensions; others unchanged.

    Times stay as they are: Python's have no nanoseconds.
    """
    if isinstance(value, type) or not _is_scalar(value):
        return value
    if getattr(getattr(value, "dtype", None), "kind", "") in ("M", "m", "V"):
        return value
    item = getattr(value, "item", None) or getattr(value, "numpy", None)
    if not callable(item):
        return value
    plain: object = item()
    # TensorFlow's numpy() gives a scalar of NumPy; a long double's item() gives itself.
    if getattr(plain, "shape", None) == () and type(plain) is not type(value):
        return as_python(plain)
    return plain


def shown(value: object) -> str:
    """Return a value as short text on one line, for messages; an object whose repr fails by its type."""
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    text = " ".join(text.split())
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."


def is_number(value: object) -> bool:
    """Return True for a finite number; booleans are none."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or _is_duration(value):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def is_int(value: object) -> bool:
    """Return True for an integer; booleans are none."""
    if isinstance(value, bool) or _is_duration(value):
        return False
    return isinstance(value, numbers.Integral)


def _is_duration(value: object) -> bool:
    # NumPy registers its timedelta64 as an integer.
    return type(value).__name__ == "timedelta64"


def _is_scalar(value: object) -> bool:
    """Return True for a scalar, array or tensor without dimensions."""
    try:
        # TensorFlow's shapes are no tuples, but equal them.
        return bool(getattr(value, "shape", None) == ())
    except Exception:
        # A property of the user's class.
        return False


def is_listed(value: object) -> bool:
    """Return True for what is read as several values: neither text, nor a mapping, nor a table."""
    if isinstance(value, type | Mapping | _TEXT) or _is_scalar(value):
        return False
    return isinstance(value, Iterable) or hasattr(value, "__getitem__")


def elements(value: Any, *, most: int) -> list[object]:
    """Return the elements of an iterable, as Python's values; a set's in sorted order, since it has none.

    Args:
        value: The iterable, which may be endless.
        most: The largest number of elements.

    Raises:
        InvalidExperiment: It has more elements, or more than one dimension. The path is empty.
    """
    try:
        return _elements(value, most)
    except InvalidExperiment:
        raise
    except Exception as error:
        raise invalid("", f"{shown(value)} can't be read as a list: {error}") from error


def _elements(value: Any, most: int) -> list[object]:
    dimensions = getattr(value, "ndim", 1)
    if isinstance(dimensions, int) and dimensions > 1:
        raise invalid("", f"has {dimensions} dimensions: give a list of values")
    length = len(value) if hasattr(value, "__len__") else None
    if length is not None and length > most:
        raise invalid("", f"has {length:,} values, at most {most:,}")
    taken = list(itertools.islice(iter(value), most + 1))
    if len(taken) > most:
        raise invalid("", f"has more than {most:,} values")
    plain = [as_python(item) for item in taken]
    if isinstance(value, Set) and not hasattr(value, "mapping"):
        plain.sort(key=_set_order)
    return plain


def json_value(value: object, path: str, depth: int = 0) -> Any:
    """Return a value as JSON has it: scalars, lists, and mappings with text as keys.

    Raises:
        InvalidExperiment: A part of it has no place in JSON; the path is that of the part.
    """
    value = as_python(value)
    if isinstance(value, enum.Enum):
        value = value.value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return text_value(value, path)
    if is_int(value):
        return int(value)  # type: ignore[call-overload]
    if is_number(value):
        return float(value)  # type: ignore[arg-type]
    if depth > 50:
        raise invalid(path, "is nested too deeply")
    if hasattr(value, "to_dict") and hasattr(value, "model_fields_set"):
        return value.to_dict()
    if isinstance(value, Mapping):
        result = {}
        for key, item in value.items():
            key = as_python(key)
            if not isinstance(key, str):
                raise invalid(path, f"the key {shown(key)} is not text")
            result[text_value(key, path)] = json_value(item, f"{path}[{key!r}]", depth + 1)
        return result
    if isinstance(value, list | tuple) or (hasattr(value, "ndim") and is_listed(value)):
        items = elements(value, most=10_000)
        return [json_value(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(items)]
    raise invalid(path, f"{shown(value)} can't be written in YAML: give text, a number or a list")


def text_value(value: str, path: str) -> str:
    """Return text as plain ``str``.

    Raises:
        InvalidExperiment: It has halves of characters (surrogates), which no file can hold.
    """
    text = str(value.value) if isinstance(value, enum.Enum) else str(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise invalid(
            path, f"{shown(text)} has a half character at {error.start}, which no file can hold"
        ) from None
    return text


def _set_order(value: object) -> tuple[str, Any]:
    if is_number(value):
        return "", float(value)  # type: ignore[arg-type]
    return type(value).__name__, repr(value)
