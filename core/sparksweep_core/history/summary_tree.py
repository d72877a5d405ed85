"""Summaries of batches with their total, of which one can be replaced in a time that hardly depends on their number."""

from __future__ import annotations

from sparksweep_core.history.summary import Summary

_NONE = Summary()


class SummaryTree:
    """A binary tree over the summaries: each inner node is the merge of its two children, the root that of all."""

    def __init__(self) -> None:
        self._capacity = 1
        self._nodes = [_NONE, _NONE]
        self._places: dict[str, int] = {}
        self._free: list[int] = []
        self.merge_count = 0
        """Number of merges so far: one for each level of the tree for each change."""

    @property
    def total(self) -> Summary:
        """The summary of all batches."""
        return self._nodes[1]

    def put(self, name: str, summary: Summary) -> None:
        """Insert or replace a batch's summary."""
        place = self._places.get(name)
        if place is None:
            place = self._places[name] = self._free.pop() if self._free else len(self._places)
            if place >= self._capacity:
                self._grow()
        self._set(place, summary)

    def remove(self, name: str) -> None:
        """Remove a batch's summary."""
        place = self._places.pop(name)
        self._free.append(place)
        self._set(place, _NONE)

    def _set(self, place: int, summary: Summary) -> None:
        node = self._capacity + place
        self._nodes[node] = summary
        while node > 1:
            node //= 2
            self._nodes[node] = self._nodes[2 * node].merged(self._nodes[2 * node + 1])
            self.merge_count += 1

    def _grow(self) -> None:
        """Double the number of places: the old tree becomes the left half of the new one."""
        nodes = [_NONE] * (4 * self._capacity)
        start = 1
        while start <= self._capacity:
            nodes[2 * start : 3 * start] = self._nodes[start : 2 * start]
            start *= 2
        nodes[1] = self._nodes[1]
        self._nodes = nodes
        self._capacity *= 2
