"""Columns of texts in as few bytes as they need; each text is made again when it is read, exactly as it was."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from sys import intern
from typing import Protocol

_CHOICES = 256
"""Most different texts of a column that stores each once, so that a byte refers to it."""
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

    def __init__(self, texts: Sequence[str]) -> None:
        self._numbers = array("d", map(float, texts))

    def __getitem__(self, row: int) -> str:
        return repr(self._numbers[row])


class _Integers:
    """Texts that Python prints for integers of at most 64 bits: eight bytes a row."""

    __slots__ = ("_numbers",)

    def __init__(self, texts: Sequence[str]) -> None:
        self._numbers = array("q", map(int, texts))

    def __getitem__(self, row: int) -> str:
        return str(self._numbers[row])


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
    for column, is_exact in ((_Floats, _is_float), (_Integers, _is_integer)):
        if all(map(is_exact, texts)):
            return column(texts)
    return _Texts(texts)


def _is_float(text: str) -> bool:
    return _prints(text, lambda: repr(float(text)))


def _is_integer(text: str) -> bool:
    # Longer ones do not fit into 64 bits.
    return (
        len(text) <= 19 and _prints(text, lambda: str(int(text))) and -(2**63) <= int(text) < 2**63
    )


def _prints(text: str, printed: Callable[[], str]) -> bool:
    try:
        return printed() == text
    except ValueError:
        return False
