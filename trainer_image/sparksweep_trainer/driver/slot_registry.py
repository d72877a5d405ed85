"""The slot registry: the slots of an experiment, and which of them are too many. Without I/O, threads or a clock.

A slot is expected once its number is reserved for a Spark job, registered once it has said hello, idle or busy from then
on, and gone for good once it was ordered to leave or was lost. A replacement has a new number, so that late requests of
a lost slot are not taken for its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST_TICK_S = 2.0
"""Longest time in seconds between two ticks that counts for the slots' silences."""


@dataclass
class _Slot:
    node: str | None = None
    """Executor that it runs on; None while it is expected."""
    idle_since: float | None = None
    """Time since which it has been idle; None while it is busy or expected."""
    pid: int = 0
    """Its process, as it has said itself."""
    heard_at: float = 0.0
    """Time of its last request, by the registry's own clock."""


class SlotRegistry:
    """The slots of one experiment. Not thread-safe: its owner holds a lock.

    Times are seconds of one clock that the caller reads.
    """

    def __init__(self, *, limit: int, linger_s: float | None) -> None:
        """Allow at most `limit` slots; an idle one stays for `linger_s` seconds, or for good if that is None."""
        self.limit = limit
        self._linger_s = linger_s
        self._slots: dict[int, _Slot] = {}
        self._registered = 0
        self._registered_nodes: set[str] = set()
        self._introduced: set[int] = set()
        self._gone: set[int] = set()
        self._next = 0
        self._surplus_since: float | None = None
        self._lived = 0.0
        self._last_tick: float | None = None

    # ------------------------------------------------------------------ states of a slot

    def reserve(self, count: int) -> list[int]:
        """Return the numbers of `count` new slots, which are expected from here on."""
        numbers = list(range(self._next, self._next + count))
        self._next += count
        self._slots.update((number, _Slot()) for number in numbers)
        return numbers

    def register(self, slot: int, node: str, *, pid: int = 0) -> None:
        """Record that a slot has said hello. A slot that is gone stays gone, and one keeps the executor it first named."""
        if slot in self._introduced:
            return
        self._introduced.add(slot)
        self._registered_nodes.add(node)
        if slot in self._gone:
            return
        entry = self._slots.setdefault(slot, _Slot())
        if entry.node is None:
            self._registered += 1
        entry.node = node
        entry.pid = pid
        self._next = max(self._next, slot + 1)

    def mark_idle(self, slot: int, now: float) -> None:
        """Record that a slot asks for work; it has been idle since it first did."""
        entry = self._slots.get(slot)
        if entry is not None and entry.idle_since is None:
            entry.idle_since = now

    def mark_busy(self, slot: int) -> None:
        """Record that a slot runs a trial or checks the code."""
        entry = self._slots.get(slot)
        if entry is not None:
            entry.idle_since = None

    def remove(self, slot: int) -> None:
        """Record that a slot was ordered to leave or was lost."""
        entry = self._slots.pop(slot, None)
        if entry is not None and entry.node is not None:
            self._registered -= 1
        self._gone.add(slot)

    # ------------------------------------------------------------------ slots that send nothing

    def tick(self, now: float) -> None:
        """Let time pass for the slots' silences; call it about once a second.

        A driver that was stopped for an hour, or had no processor, has not heard its slots either: only the time between
        two calls counts that is shorter than `LONGEST_TICK_S`.
        """
        if self._last_tick is not None:
            self._lived += min(now - self._last_tick, LONGEST_TICK_S)
        self._last_tick = now

    @property
    def last_tick(self) -> float:
        """Time of the last tick."""
        return -math.inf if self._last_tick is None else self._last_tick

    def hear(self, slot: int) -> None:
        """Record that a slot has sent a request."""
        entry = self._slots.get(slot)
        if entry is not None:
            entry.heard_at = self._lived

    def silence(self, slot: int) -> float:
        """Return the seconds since the last request of a slot."""
        return self._lived - self._slots[slot].heard_at

    def is_idle(self, slot: int) -> bool:
        """Return True if a slot waits for work."""
        entry = self._slots.get(slot)
        return entry is not None and entry.idle_since is not None

    # ------------------------------------------------------------------ how many there should be

    def missing(self, work: int) -> int:
        """Return the number of slots to start for `work` waiting and running trials."""
        return max(0, min(self.limit, work) - len(self._slots))

    def unneeded(self, work: int, now: float, *, over: bool) -> list[int]:
        """Return expected slots that are not worth waiting for any more, the newest first.

        Args:
            work: number of waiting and running trials.
            now: current time.
            over: True if there will be no more work.
        """
        surplus = len(self._slots) - min(self.limit, work)
        if surplus <= 0:
            self._surplus_since = None
            return []
        if self._surplus_since is None:
            self._surplus_since = now
        # More work may come: slots that are being started for it are kept for as long as an idle one.
        linger_s = math.inf if self._linger_s is None else 0.0 if over else self._linger_s
        if now - self._surplus_since < linger_s:
            surplus = max(0, len(self._slots) - self.limit)
        expected = [number for number, slot in self._slots.items() if slot.node is None]
        return expected[::-1][:surplus]

    def may_leave(self, slot: int, now: float, *, work_waits: bool, over: bool) -> bool:
        """Return True if an idle slot is not needed any more.

        Args:
            slot: the slot.
            now: current time.
            work_waits: True if a trial waits for a slot.
            over: True if there will be no more work.
        """
        if slot in self._gone or self._registered > self.limit:
            return True
        if work_waits or self._linger_s is None:
            return False
        return over or self.linger_left(slot, now) <= 0

    def linger_left(self, slot: int, now: float) -> float:
        """Return the seconds for which an idle slot stays without work."""
        entry = self._slots.get(slot)
        if entry is None or entry.idle_since is None or self._linger_s is None:
            return math.inf
        return entry.idle_since + self._linger_s - now

    # ------------------------------------------------------------------ reading

    def node(self, slot: int) -> str:
        """Return the executor of a slot, "" if there is none."""
        entry = self._slots.get(slot)
        return (entry.node if entry else None) or ""

    def pid(self, slot: int) -> int:
        """Return the process of a slot, as it has said itself; 0 if there is none."""
        entry = self._slots.get(slot)
        return entry.pid if entry else 0

    def is_gone(self, slot: int) -> bool:
        """Return True if a slot was ordered to leave or was lost."""
        return slot in self._gone

    def has_registered(self, node: str) -> bool:
        """Return True if a slot has ever registered from an executor."""
        return node in self._registered_nodes

    @property
    def registered(self) -> Iterator[tuple[int, str]]:
        """The registered slots, each with its executor."""
        return (
            (number, slot.node) for number, slot in self._slots.items() if slot.node is not None
        )

    def __len__(self) -> int:
        return len(self._slots)
