"""Lists of objects of which some may be unreadable: the others are there, and those are named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from sparksweep.errors import Unreadable

_T = TypeVar("_T")


class Listing(list[_T]):
    """A list with the objects that this version can read.

    A list like any other: slices, sorted copies and sums are plain lists.
    """

    unreadable: tuple[Unreadable, ...]
    """An error for each object that it can't read, which names the object, the value and the remedy."""

    def __init__(self, items: Iterable[_T] = (), unreadable: Iterable[Unreadable] = ()) -> None:
        super().__init__(items)
        self.unreadable = tuple(unreadable)


def missing_text(unreadable: Sequence[Unreadable]) -> str:
    """Return a sentence for people about the objects that a list lacks: their names, and the first one's reason."""
    names = ", ".join(error.subject for error in unreadable)
    return f"The list lacks {names}: {unreadable[0]}"
