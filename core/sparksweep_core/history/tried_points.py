"""Index of the points that the trials of a history have tried, brought up to date from one plan to the next.

A point is stored as a digest of 128 bits. Two points of a million share one with a probability of about 1e-27: then one
of them would count as tried, in every process alike.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from sparksweep_core.history.records import BatchRecord

_BYTES = 16


@dataclass(frozen=True, slots=True)
class _Indexed:
    """A batch as it was indexed."""

    record: BatchRecord
    count: int
    digest: bytes
    """Digest of its points."""


class TriedPoints:
    """Points of all trials of a history, by the values of some parameters."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._points: set[bytes] = set()
        self._indexed: dict[str, _Indexed] = {}
        self._records: Sequence[BatchRecord] = ()
        self.starts: dict[Hashable, int] = {}
        """For an enumeration of the space, by its key: a rank below which every point was tried."""
        self.indexed_count = 0
        """Number of batches that were indexed so far, again ones among them."""

    def __contains__(self, point: Mapping[str, str]) -> bool:
        return self._digest(point) in self._points

    def __len__(self) -> int:
        return len(self._points)

    def update(self, records: Sequence[BatchRecord]) -> None:
        """Index what has changed since the last update; everything, if points are gone."""
        if records is self._records:
            return
        self._records = records
        changed = [record for record in records if not self._has(record)]
        names = len(self._indexed) + sum(record.name not in self._indexed for record in changed)
        if names != len(records) or not all(map(self._extend, changed)):
            self._points, self._indexed, self.starts = set(), {}, {}
            for record in records:
                self._extend(record)

    def _has(self, record: BatchRecord) -> bool:
        indexed = self._indexed.get(record.name)
        return indexed is not None and indexed.record is record

    def _extend(self, record: BatchRecord) -> bool:
        """Index a batch that is new or has new trials; return False if its indexed points have changed."""
        self.indexed_count += 1
        points = [self._digest(record.point(row)) for row in range(len(record.trials))]
        before = self._indexed.get(record.name)
        if before is not None and before.digest != _joined(points[: before.count]):
            return False
        self._points.update(points[before.count if before else 0 :])
        self._indexed[record.name] = _Indexed(record, len(points), _joined(points))
        return True

    def _digest(self, point: Mapping[str, str]) -> bytes:
        text = repr([point.get(name) for name in self._names])
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_BYTES).digest()


def _joined(points: Iterable[bytes]) -> bytes:
    return blake2b(b"".join(points), digest_size=_BYTES).digest()
