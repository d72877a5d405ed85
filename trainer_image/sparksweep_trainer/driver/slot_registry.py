"""Which slots there are, and which of them are one too many: bookkeeping without I/O, threads or a clock.

A slot is expected from the moment its Spark job is submitted, met when it has said hello, busy while it runs a trial,
and gone for good once it was told to leave or was lost. A slot that starts anew has a new number, so that whatever a
lost one still says can be told apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class _Slot:
    node: str | None = None
    """Where it runs; None while it is expected."""
    idle_since: float | None = None
    """None while it is busy, or expected."""


class SlotRegistry:
    """The slots of one experiment. Not thread-safe: its owner holds a lock.

    Times are seconds of one clock that the caller reads.
    """

    def __init__(self, *, limit: int, linger_s: float | None) -> None:
        """At most `limit` slots; an idle one stays for `linger_s`, or for good if that is None."""
        self.limit = limit
        self._linger_s = linger_s
        self._slots: dict[int, _Slot] = {}
        self._registered = 0
        self._registered_nodes: set[str] = set()
        self._gone: set[int] = set()
        self._next = 0
        self._surplus_since: float | None = None

    # ------------------------------------------------------------------ what becomes of them

    def reserve(self, count: int) -> list[int]:
        """Numbers for slots that are being started."""
        numbers = list(range(self._next, self._next + count))
        self._next += count
        self._slots.update((number, _Slot()) for number in numbers)
        return numbers

    def register(self, slot: int, node: str) -> None:
        """It said hello. One that is gone stays so."""
        self._registered_nodes.add(node)
        if slot in self._gone:
            return
        known = self._slots.setdefault(slot, _Slot())
        if known.node is None:
            self._registered += 1
        known.node = node
        self._next = max(self._next, slot + 1)

    def mark_idle(self, slot: int, now: float) -> None:
        """It asks for work; it has been idle since it did so first."""
        known = self._slots.get(slot)
        if known is not None and known.idle_since is None:
            known.idle_since = now

    def mark_busy(self, slot: int) -> None:
        """It runs a trial, or checks the code."""
        known = self._slots.get(slot)
        if known is not None:
            known.idle_since = None

    def remove(self, slot: int) -> None:
        """It was told to leave, or is lost."""
        known = self._slots.pop(slot, None)
        if known is not None and known.node is not None:
            self._registered -= 1
        self._gone.add(slot)

    # ------------------------------------------------------------------ what there is to do

    def missing(self, work: int) -> int:
        """How many slots to start for so many waiting and running trials."""
        return max(0, min(self.limit, work) - len(self._slots))

    def unneeded(self, work: int, now: float, *, over: bool) -> list[int]:
        """Expected slots that are not worth waiting for any more, the last ones first.

        Args:
            work: waiting and running trials.
            now: the time.
            over: whether there will be no more work.
        """
        surplus = len(self._slots) - min(self.limit, work)
        if surplus <= 0:
            self._surplus_since = None
            return []
        if self._surplus_since is None:
            self._surplus_since = now
        # More work may come: what is being started for it is kept for as long as an idle slot is.
        linger_s = math.inf if self._linger_s is None else 0.0 if over else self._linger_s
        if now - self._surplus_since < linger_s:
            surplus = max(0, len(self._slots) - self.limit)
        expected = [number for number, slot in self._slots.items() if slot.node is None]
        return expected[::-1][:surplus]

    def may_leave(self, slot: int, now: float, *, work_waits: bool, over: bool) -> bool:
        """Whether an idle slot is one too many.

        Args:
            slot: the slot.
            now: the time.
            work_waits: whether a trial waits for a slot.
            over: whether there will be no more work.
        """
        if slot in self._gone or self._registered > self.limit:
            return True
        if work_waits or self._linger_s is None:
            return False
        return over or self.linger_left(slot, now) <= 0

    def linger_left(self, slot: int, now: float) -> float:
        """Seconds for which an idle slot stays if nothing is to do."""
        known = self._slots.get(slot)
        if known is None or known.idle_since is None or self._linger_s is None:
            return math.inf
        return known.idle_since + self._linger_s - now

    # ------------------------------------------------------------------ what anyone may read

    def node(self, slot: int) -> str:
        """Where a slot runs; nothing when it is not known."""
        known = self._slots.get(slot)
        return (known.node if known else None) or ""

    def is_gone(self, slot: int) -> bool:
        """Whether it was told to leave, or is lost."""
        return slot in self._gone

    def has_registered(self, node: str) -> bool:
        """Whether a slot has ever said hello from there."""
        return node in self._registered_nodes

    @property
    def registered(self) -> Iterator[tuple[int, str]]:
        """The slots that have said hello, with where they run."""
        return (
            (number, slot.node) for number, slot in self._slots.items() if slot.node is not None
        )

    def __len__(self) -> int:
        return len(self._slots)
