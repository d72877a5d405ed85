"""Columns of texts in as few bytes as they need; each text is made again when it is read, exactly as it was."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from sys import intern
from typing import Protocol

_CHOICES = 256
"""Most different texts of a column that stores each once, so that a byte refers to it."""
_INTEGER_DIGITS = 20
"""Longest text of an integer of 64 bits, with its sign."""
_REPEATS = 4
"""Times that a text must occur, on average, for such a column to be the smaller one."""


class Column(Protocol):
    """A column of texts."""

    def __getitem__(self, row: int, /) -> str:
        """Return the text of a row."""
        ...


class _Choices:
    """Few different texts: a byte a row. The texts are interned, so that all columns of a process share them."""

    __slots__ = ("_codes", "_texts")

    def __init__(self, texts: Sequence[str], distinct: Sequence[str]) -> None:
        codes = {text: code for code, text in enumerate(distinct)}
        self._texts = tuple(map(intern, distinct))
        self._codes = bytes(codes[text] for text in texts)

    def __getitem__(self, row: int) -> str:
        return self._texts[self._codes[row]]


class _Floats:
    """Texts that Python prints for floats: eight bytes a row."""

    __slots__ = ("_numbers",)

    def __init__(self, numbers: array[float]) -> None:
        self._numbers = numbers

    def __getitem__(self, row: int) -> str:
        return repr(self._numbers[row])

    @classmethod
    def of(cls, texts: Sequence[str]) -> _Floats | None:
        """Return the column of these texts; None if they are others."""
        try:
            numbers = array("d", map(float, texts))
        except ValueError:
            return None
        # All at once, without a call of Python's for each: this is half of the time that a batch takes.
        return cls(numbers) if list(map(repr, numbers)) == list(texts) else None


class _Integers:
    """Texts that Python prints for integers of at most 64 bits: eight bytes a row."""

    __slots__ = ("_numbers",)

    def __init__(self, numbers: array[int]) -> None:
        self._numbers = numbers

    def __getitem__(self, row: int) -> str:
        return str(self._numbers[row])

    @classmethod
    def of(cls, texts: Sequence[str]) -> _Integers | None:
        """Return the column of these texts; None if they are others."""
        if max(map(len, texts)) > _INTEGER_DIGITS:
            return None
        try:
            numbers = array("q", map(int, texts))
        except (ValueError, OverflowError):
            return None
        return cls(numbers) if list(map(str, numbers)) == list(texts) else None


class _Texts:
    """Any texts, in UTF-8, with the offset of each."""

    __slots__ = ("_content", "_ends")

    def __init__(self, texts: Sequence[str]) -> None:
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        self._content = b"".join(encoded)
        self._ends = array("I")
        end = 0
        for part in encoded:
            end += len(part)
            self._ends.append(end)

    def __getitem__(self, row: int) -> str:
        start = self._ends[row - 1] if row else 0
        return self._content[start : self._ends[row]].decode("utf-8", "surrogatepass")


def column_of(texts: Sequence[str]) -> Column:
    """Return the smallest column of these texts."""
    distinct = list(dict.fromkeys(texts))
    if len(distinct) <= min(_CHOICES, max(1, len(texts) // _REPEATS)):
        return _Choices(texts, distinct)
    return _Floats.of(texts) or _Integers.of(texts) or _Texts(texts)
