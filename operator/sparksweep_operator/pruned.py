"""Halves of objects of which the API server stores less than the operator has written. Pure.

CRDs of an earlier version lack fields that this one writes, and the API server drops those. A plan that is compared with
the stored object would find it out of date for ever: the same status would be written at every reconcile, with its
events, and a batch that never becomes as planned would keep its experiment from ending. So the cache returns such a half
as it was written, as long as the stored one is what the API server has made of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Pruned(Generic[_T]):
    """An object's status or spec as it was written, and as the API server stores it."""

    written: _T
    stored: _T

    @classmethod
    def of(cls, written: _T, stored: _T) -> Pruned[_T] | None:
        """Return the pair; None if all is stored."""
        return None if written == stored else cls(written, stored)

    def restored(self, stored: _T) -> _T:
        """Return what was written if that is how it is stored, the stored value otherwise."""
        return self.written if stored == self.stored else stored
