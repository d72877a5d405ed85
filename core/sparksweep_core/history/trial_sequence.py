"""All trials of a history as one sequence, by number; those of folded batches are made when they are read."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import lt
from typing import overload

from sparksweep_core.api import Trial
from sparksweep_core.history.records import BatchRecord
from sparksweep_core.history.tried_points import TriedPoints

_MEMO = 1024
"""Trials read by their positions that are kept for the next time."""
_BITS = 32
"""Bits of a position in a batch, in the order of batches whose numbers overlap."""


class TrialSequence(Sequence[Trial]):
    """Trials by number. A slice of neighbours is a sequence of the same kind, which reads nothing yet."""

    def __init__(
        self, records: Sequence[BatchRecord], indexes: dict[tuple[str, ...], TriedPoints]
    ) -> None:
        """Join the trials of batches.

        Args:
            records: the batches, by index.
            indexes: the history's indexes of tried points, by the names of their parameters.
        """
        self._all_records = records
        self._indexes = indexes
        self._records = [record for record in records if record.trials]
        self._ends = list(accumulate(len(record.trials) for record in self._records))
        self._merged = None if _are_disjoint(self._records) else _merged_order(self._records)
        self._memo: dict[int, Trial] = {}

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, position: int) -> Trial: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[Trial]: ...
    def __getitem__(self, position: int | slice) -> Trial | Sequence[Trial]:
        """Return the trial at a position, or those of a slice."""
        if isinstance(position, slice):
            return _Slice(self, range(len(self))[position])
        index = range(len(self))[position]
        trial = self._memo.get(index)
        if trial is None:
            if len(self._memo) >= _MEMO:
                self._memo.clear()
            trial = self._memo[index] = self._read(index)
        return trial

    def __iter__(self) -> Iterator[Trial]:
        if self._merged is not None:
            yield from map(self._read, range(len(self)))
            return
        for record in self._records:
            yield from record.trials

    def numbered(self, number: int) -> Iterator[Trial]:
        """Yield the trials of a number: one, unless somebody has edited batches."""
        for record in self._records:
            if record.first_number <= number <= record.summary.last_number:
                numbers = range(len(record.trials))
                first = bisect_left(numbers, number, key=lambda row: record.trials[row].number)
                for row in numbers[first:]:
                    if record.trials[row].number != number:
                        break
                    yield record.trials[row]

    def unfinished(self) -> Iterator[Trial]:
        """Yield the trials that have not ended, of the last batch first, the newest first in each."""
        for record in reversed(self._records):
            if not record.is_folded:
                yield from (trial for trial in reversed(record.trials) if not trial.state.is_finished)  # fmt: skip

    def latest_points(self, count: int) -> list[dict[str, str]]:
        """Return the points of the last trials, at most `count`, by number, without making the trials."""
        first = max(0, len(self) - count)
        return [record.point(row) for record, row in map(self._place, range(first, len(self)))]

    def tried(self, names: Sequence[str]) -> TriedPoints:
        """Return the index of the trials' points by the values of some parameters."""
        key = tuple(names)
        index = self._indexes.get(key)
        if index is None:
            index = self._indexes[key] = TriedPoints(key)
        index.update(self._all_records)
        return index

    def _read(self, index: int) -> Trial:
        record, row = self._place(index)
        return record.trials[row]

    def _place(self, index: int) -> tuple[BatchRecord, int]:
        """Return the batch of the trial at a position, and its position there."""
        if self._merged is not None:
            number, row = divmod(self._merged[index], 1 << _BITS)
            return self._records[number], row
        number = bisect_right(self._ends, index)
        return self._records[number], index - (self._ends[number - 1] if number else 0)


class _Slice(Sequence[Trial]):
    """Part of a sequence of trials."""

    def __init__(self, trials: TrialSequence, positions: range) -> None:
        self._trials = trials
        self._positions = positions

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, position: int) -> Trial: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[Trial]: ...
    def __getitem__(self, position: int | slice) -> Trial | Sequence[Trial]:
        """Return the trial at a position, or those of a slice."""
        positions = self._positions[position]
        if isinstance(positions, range):
            return _Slice(self._trials, positions)
        return self._trials[positions]


def _are_disjoint(records: Sequence[BatchRecord]) -> bool:
    """Return True if each batch's numbers follow those of the one before, as long as nobody has edited them."""
    firsts = [record.first_number for record in records]
    lasts = [record.summary.last_number for record in records]
    return all(map(lt, lasts, firsts[1:]))


def _merged_order(records: Sequence[BatchRecord]) -> list[int]:
    """Return the places of all trials by number; of equal numbers in the order of their batches."""
    numbered = [
        (trial.number, place << _BITS | row)
        for place, record in enumerate(records)
        for row, trial in enumerate(record.trials)
    ]
    return [place for _, place in sorted(numbered)]
