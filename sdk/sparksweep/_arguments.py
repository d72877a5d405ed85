"""Reads arguments of `sparksweep.Experiment`: their types, and NumPy's scalars as Python's. Collects every finding."""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sparksweep._plain_values import (
    as_python,
    elements,
    is_int,
    is_listed,
    is_number,
    json_value,
    shown,
    text_value,
)
from sparksweep.errors import FieldError, InvalidExperiment

_MOST_ITEMS = 10_000
"""Items of a list that are read; the document's own bounds are far lower."""


class ArgumentReader:
    """Returns arguments as the document can hold them; None, or nothing, for those that are absent or wrong."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []
        """The findings so far; paths are names of arguments."""

    def refuse(self, path: str, message: str) -> None:
        """Add a finding."""
        self.errors.append(FieldError(path, message))

    def check(self) -> None:
        """End with the findings, if there are any.

        Raises:
            InvalidExperiment: There are.
        """
        if self.errors:
            raise InvalidExperiment(self.errors)

    def text(self, name: str, value: object) -> str | None:
        """Return text."""
        value = as_python(value)
        if value is None:
            return None
        if not isinstance(value, str):
            self.refuse(name, _not_text(value))
            return None
        with self._findings():
            return text_value(value, name)
        return None

    def integer(self, name: str, value: object) -> int | None:
        """Return a whole number."""
        value = as_python(value)
        if value is None:
            return None
        if is_int(value):
            return int(value)  # type: ignore[call-overload, no-any-return]
        is_whole = isinstance(value, float | Decimal | Fraction) and is_number(float(value))
        if is_whole and value == int(value):  # type: ignore[call-overload]
            return int(value)  # type: ignore[call-overload, no-any-return]
        self.refuse(name, f"{shown(value)} is not a whole number")
        return None

    def number(self, name: str, value: object) -> float | None:
        """Return a finite number."""
        value = as_python(value)
        if value is None:
            return None
        if is_number(value) or type(value).__name__ == "Decimal":
            return self._finite(name, value)
        self.refuse(name, f"{shown(value)} is not a finite number")
        return None

    def quantity(self, name: str, value: object, example: str) -> str | None:
        """Return an amount as Kubernetes writes it: a number, or text."""
        value = as_python(value)
        if is_number(value):
            return str(int(value)) if float(value).is_integer() else repr(float(value))  # type: ignore[arg-type, call-overload]
        if value is None or isinstance(value, str):
            return self.text(name, value)
        self.refuse(name, f"{shown(value)} is not an amount, such as {example}")
        return None

    def path(self, name: str, value: object) -> str | None:
        """Return the path of a file or directory, not empty."""
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if value is None:
            return None
        if not isinstance(value, str) or not value or "\0" in value:
            self.refuse(name, f"{shown(value)} is not a path")
            return None
        return self.text(name, value)

    def flag(self, name: str, value: object) -> bool | None:
        """Return True or False."""
        value = as_python(value)
        if value is None or isinstance(value, bool):
            return value
        self.refuse(name, f"{shown(value)} is neither True nor False")
        return None

    def texts(self, name: str, value: object) -> list[str]:
        """Return a list of text."""
        if value is None:
            return []
        if not is_listed(value):
            hint = f": write [{shown(value)}]" if isinstance(value, str) else ""
            self.refuse(name, f"{shown(value)} is not a list of text{hint}")
            return []
        items: list[object] = []
        with self._findings(name):
            items = elements(value, most=_MOST_ITEMS)
        read = [self.text(f"{name}[{index}]", item) for index, item in enumerate(items)]
        for index, item in enumerate(items):
            if item is None:
                self.refuse(f"{name}[{index}]", "None is not text")
        return [text for text in read if text is not None]

    def text_map(self, name: str, value: object, example: str) -> dict[str, str]:
        """Return a mapping of text to text."""
        texts = {}
        for key, item in self._items(name, value, example):
            text = self.text(f"{name}[{key!r}]", item)
            if item is None:
                self.refuse(f"{name}[{key!r}]", "None is not text")
            if text is not None:
                texts[key] = text
        return texts

    def json_map(self, name: str, value: object, example: str) -> dict[str, Any]:
        """Return a mapping as JSON has it."""
        values = {}
        for key, item in self._items(name, value, example):
            with self._findings():
                values[key] = json_value(item, f"{name}[{key!r}]")
        return values

    def json_maps(self, name: str, value: object, example: str) -> list[dict[str, Any]]:
        """Return a list of mappings."""
        if value is None:
            return []
        if not is_listed(value):
            self.refuse(name, f"{shown(value)} is not a list of mappings: write [{example}]")
            return []
        items: list[object] = []
        with self._findings(name):
            items = elements(value, most=_MOST_ITEMS)
        return [
            self.json_map(f"{name}[{index}]", {} if item is None else item, example)
            for index, item in enumerate(items)
        ]

    def settings(self, name: str, value: object) -> list[dict[str, str]]:
        """Return the algorithm's settings; without those that are None."""
        read = []
        for key, item in self._items(name, value, '{"population": 10}'):
            item = as_python(item)
            if isinstance(item, str):
                text = self.text(f"{name}[{key!r}]", item)
            elif is_int(item):
                text = str(int(item))  # type: ignore[call-overload]
            elif is_number(item):
                text = repr(float(item))  # type: ignore[arg-type]
            else:
                text = None
                if item is not None:
                    self.refuse(f"{name}[{key!r}]", f"{shown(item)} is neither a number nor text")
            if text is not None:
                read.append({"name": key, "value": text})
        return read

    def words(self, name: str, value: object) -> list[str]:
        """Return a command's words; numbers and paths as text."""
        items: list[object] = []
        with self._findings(name):
            items = elements(value, most=_MOST_ITEMS)
        words = []
        for index, item in enumerate(items):
            path = f"{name}[{index}]"
            if isinstance(item, os.PathLike):
                item = os.fspath(item)
            elif is_int(item) or is_number(item):
                item = str(item)
            word = self.text(path, item)
            if item is None:
                self.refuse(path, "None is not text")
            if word is not None:
                words.append(word)
        return words

    def _items(self, name: str, value: object, example: str) -> list[tuple[str, Any]]:
        if value is None:
            return []
        if not isinstance(value, Mapping):
            self.refuse(name, f"{shown(value)} is not a dictionary: write {example}")
            return []
        items = []
        for key, item in value.items():
            key = as_python(key)
            if not isinstance(key, str) or not key:
                self.refuse(name, f"the key {shown(key)} is not a name")
                continue
            with self._findings():
                items.append((text_value(key, name), item))
        return items

    def _finite(self, name: str, value: Any) -> float | None:
        try:
            number = float(value)
        except (OverflowError, ValueError):
            number = float("nan")
        if is_number(number):
            return number
        self.refuse(name, f"{shown(value)} is not a finite number")
        return None

    def _findings(self, prefix: str = "") -> _Findings:
        return _Findings(self.errors, prefix)


class _Findings:
    """A context in which the findings of an `InvalidExperiment` are collected, and the work goes on."""

    def __init__(self, errors: list[FieldError], prefix: str) -> None:
        self._errors = errors
        self._prefix = prefix

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        if not isinstance(error, InvalidExperiment):
            return False
        self._errors += [
            FieldError(f"{self._prefix}{item.path}", item.message) for item in error.errors
        ]
        return True


def _not_text(value: object) -> str:
    if is_number(value):
        return f'{shown(value)} is a number: write "{value}"'
    return f"{shown(value)} is not text"
