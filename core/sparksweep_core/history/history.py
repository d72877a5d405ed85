"""The history of one experiment: the newest version of each of its batches, and a view of all of them for a plan."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from functools import cached_property

from sparksweep_core.api import TrialBatch
from sparksweep_core.history.records import BatchRecord
from sparksweep_core.history.summary import Summary
from sparksweep_core.history.summary_tree import SummaryTree
from sparksweep_core.history.trial_sequence import TrialSequence
from sparksweep_core.history.tried_points import TriedPoints


class HistoryView:
    """A history at one moment: `plan` reads it, in any thread, while the history goes on changing."""

    def __init__(
        self,
        records: tuple[BatchRecord, ...],
        summary: Summary,
        indexes: dict[tuple[str, ...], TriedPoints],
    ) -> None:
        """Made by `History.view`."""
        self.records = records
        """All batches, by index."""
        self.summary = summary
        """The summary of all batches."""
        self._indexes = indexes

    @property
    def last(self) -> BatchRecord | None:
        """The batch with the highest index."""
        return self.records[-1] if self.records else None

    @cached_property
    def unfinished(self) -> tuple[BatchRecord, ...]:
        """Batches with trials that have not ended, by index."""
        return tuple(record for record in self.records if not record.is_folded)

    @cached_property
    def trials(self) -> TrialSequence:
        """All trials, by number."""
        return TrialSequence(self.records, self._indexes)


class History:
    """The batches of one experiment, of which finished ones cost about a hundred bytes a trial.

    Use: one for each experiment, on the event loop or under its owner's lock::

        history = History()
        history.put(batch)                  # whenever a newer version of a batch is read, in any order of batches
        history.remove(name)                # whenever one is deleted
        view = history.view()               # costs microseconds; immutable
        planned = plan(experiment, view, driver=driver, now=now)    # in a thread, if you like

    A batch whose trials have all ended is folded at once: keep no reference to the model. A folded batch may be put
    again: whatever has changed in it, the plan is the same as that of a new history of the same batches.

    `view.summary` has what is known of all batches: counts, `drivers` and `last_driver_number`, `first_start`. A batch
    by its name is ``history[name]``: a `BatchRecord` with `uid`, `summary` and `trials`; `BatchRecord.batch` returns
    metadata and spec of any batch, folded or not, without the status.

    Plans of the same history share its index of tried points: make one at a time. Not thread-safe otherwise.
    """

    def __init__(self, batches: Iterable[TrialBatch] = ()) -> None:
        """Start with some batches."""
        self._records: dict[str, BatchRecord] = {}
        self._ordered: list[BatchRecord] = []
        self._tree = SummaryTree()
        self._indexes: dict[tuple[str, ...], TriedPoints] = {}
        self.fold_count = 0
        """Number of batches that were folded so far, again ones among them."""
        for batch in batches:
            self.put(batch)

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self._records)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the batches, by index."""
        return (record.name for record in self._ordered)

    def __contains__(self, name: object) -> bool:
        """Return True if there is a batch of this name."""
        return name in self._records

    def __getitem__(self, name: str) -> BatchRecord:
        """Return a batch's record.

        Raises:
            KeyError: there is no such batch.
        """
        return self._records[name]

    def get(self, name: str) -> BatchRecord | None:
        """Return a batch's record; None if there is no such batch."""
        return self._records.get(name)

    @property
    def summary(self) -> Summary:
        """The summary of all batches."""
        return self._tree.total

    @property
    def merge_count(self) -> int:
        """Number of merges of summaries so far: one for each level of a binary tree for each change."""
        return self._tree.merge_count

    def put(self, batch: TrialBatch) -> BatchRecord:
        """Insert a batch, or replace its earlier version; return its record."""
        record = BatchRecord.of(batch)
        self.fold_count += record.is_folded
        before = self._records.get(record.name)
        if before is None:
            insort(self._ordered, record, key=_order)
        elif before.order == record.order:
            self._ordered[self._position(before)] = record
        else:
            del self._ordered[self._position(before)]
            insort(self._ordered, record, key=_order)
        self._records[record.name] = record
        self._tree.put(record.name, record.summary)
        return record

    def remove(self, name: str) -> None:
        """Remove a batch; do nothing if there is none of this name."""
        record = self._records.pop(name, None)
        if record is not None:
            del self._ordered[self._position(record)]
            self._tree.remove(name)

    def view(self) -> HistoryView:
        """Return the history as it is now."""
        return HistoryView(tuple(self._ordered), self._tree.total, self._indexes)

    def _position(self, record: BatchRecord) -> int:
        return bisect_left(self._ordered, record.order, key=_order)


def _order(record: BatchRecord) -> tuple[int, str]:
    return record.order
