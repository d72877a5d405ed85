"""The trial service: the ledger behind a lock, with waiting. What the trial server answers, it asks here.

Three kinds of callers meet: slots that wait for work or for an order to stop, the owner of the experiment that adds
trials and waits for changes, and the driver that tells of lost slots. Every change is handed to ``record`` before
anyone gets to see it, so that a result a slot was told is taken has been written down.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from sparksweep.api.status import TrialStatus
from sparksweep.api.trial_batch import Stop, TrialSpec
from sparksweep_trainer.ledger import Ledger
from sparksweep_trainer.protocol import (
    Heartbeat,
    HeartbeatOrder,
    NextOrder,
    Program,
    Report,
    SlotHello,
)

Record = Callable[[Sequence[TrialStatus]], None]


def _now() -> datetime:
    return datetime.now(UTC)


class TrialService:
    """The trials of one experiment, for many threads."""

    def __init__(
        self,
        program: Program,
        *,
        record: Record = lambda _: None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self.program = program
        self._record = record
        self._clock = clock
        self._ledger = Ledger(max_retries=program.trial_template.max_retries)
        lock = threading.RLock()
        self._lock = lock
        self._work = threading.Condition(lock)
        self._changes = threading.Condition(lock)
        # One condition a slot: a change must not wake every slot of a thousand.
        self._orders: dict[int, threading.Condition] = {}
        self._nodes: dict[int, str] = {}
        self._version = 0
        self._checker: int | None = None
        self._checked = False
        self._refused: str | None = None
        self._closing = False

    # ------------------------------------------------------------------ the experiment's owner

    def submit(self, specs: Iterable[TrialSpec], known: Iterable[TrialStatus] = ()) -> None:
        """Add trials; those already there are left as they are."""
        with self._lock:
            self._ledger.add(specs, known)
            self._commit()
            self._work.notify(self._ledger.waiting)

    def stop(self, stop: Stop) -> None:
        """End the experiment: waiting trials are Stopped now, running ones are told to end."""
        with self._lock:
            self._ledger.stop(stop)
            self._commit()
            self._wake_slots()

    def interrupt(self) -> None:
        """Start nothing more and end what runs; all of it can go on in a later run."""
        with self._lock:
            self._ledger.interrupt()
            self._announce()

    def close(self) -> None:
        """Let every slot leave."""
        with self._lock:
            self._closing = True
            self._wake_slots()

    def wait(self, seen: int, timeout_s: float) -> int:
        """Wait until something changed since version `seen`; the version now."""
        with self._lock:
            self._changes.wait_for(lambda: self._version != seen, timeout_s)
            return self._version

    @property
    def statuses(self) -> list[TrialStatus]:
        """Every trial, by number."""
        with self._lock:
            return self._ledger.statuses

    @property
    def running(self) -> int:
        """How many trials run."""
        with self._lock:
            return self._ledger.running

    @property
    def refused(self) -> str | None:
        """Why the trial code can't take the parameters; None while nobody found so."""
        with self._lock:
            return self._refused

    @property
    def checked(self) -> bool:
        """Whether a slot found that the trial code can take the parameters."""
        with self._lock:
            return self._checked

    # ------------------------------------------------------------------ the slots

    def hello(self, hello: SlotHello) -> Program:
        """Greet a slot, which starts with nothing: what its forerunner of the same id ran is lost."""
        with self._lock:
            self._nodes[hello.slot] = hello.node
            self._lose(hello.slot, "Its slot started anew.")
            return self.program

    def next(self, slot: int, timeout_s: float) -> NextOrder:
        """What a slot does next; "wait" when there was nothing to do for that long."""
        with self._lock:
            # A slot that asks while it is noted as running something never got, or lost, that trial.
            self._lose(slot, "Its slot asked for other work.")
            self._work.wait_for(self._has_order, timeout_s)
            if self._closing or self._refused is not None:
                return NextOrder(order="leave")
            if not self._checked:
                if self._checker is None and self._ledger.waiting:
                    self._checker = slot
                    return NextOrder(order="check")
                return NextOrder(order="wait")
            node = self._nodes.get(slot, "")
            assignment = self._ledger.assign(slot, node=node, now=self._clock())
            if assignment is None:
                return NextOrder(order="wait")
            self._commit()
            return NextOrder(order="run", assignment=assignment)

    def passed(self, slot: int) -> bool:
        """The slot found that the trial code can take the parameters: work may start. False if it was not asked."""
        with self._lock:
            if slot != self._checker:
                return False
            self._checked = True
            self._announce()
            return True

    def refuse(self, slot: int, message: str) -> bool:
        """The slot found that the trial code can't take the parameters: no trial starts. False if it was not asked."""
        with self._lock:
            if slot != self._checker or self._checked:
                return False
            self._refused = message
            self._announce()
            return True

    def report(self, report: Report) -> bool:
        """Take in an attempt's outcome; False when it was given up on or is known already."""
        with self._lock:
            taken = self._ledger.finish(report.slot, report.number, report.attempt, report.outcome)
            self._commit()
            self._order_of(report.slot).notify_all()
            if self._ledger.waiting:
                self._work.notify()
            return taken

    def heartbeat(self, beat: Heartbeat, timeout_s: float) -> HeartbeatOrder:
        """Whether a busy slot goes on; held back until it does not, or for that long."""
        with self._lock:
            stop = self._order_of(beat.slot).wait_for(
                lambda: not self._ledger.may_go_on(beat.slot, beat.number, beat.attempt), timeout_s
            )
            return HeartbeatOrder(order="stop" if stop else "continue")

    def lose(self, slot: int, message: str) -> None:
        """Note that a slot is gone; its trial waits for another one."""
        with self._lock:
            self._lose(slot, message)
            if slot == self._checker and not self._checked:
                self._checker = None
            self._work.notify_all()

    # ------------------------------------------------------------------ under the lock

    def _has_order(self) -> bool:
        if self._closing or self._refused is not None:
            return True
        if not self._ledger.waiting:
            return False
        return self._checked or self._checker is None

    def _lose(self, slot: int, message: str) -> None:
        if self._ledger.lose(slot, message) is not None:
            self._commit()
            self._order_of(slot).notify_all()
            self._work.notify()

    def _commit(self) -> None:
        changed = self._ledger.take_changes()
        if changed:
            self._record(changed)
            self._version += 1
            self._changes.notify_all()

    def _announce(self) -> None:
        self._version += 1
        self._changes.notify_all()
        self._wake_slots()

    def _order_of(self, slot: int) -> threading.Condition:
        if slot not in self._orders:
            self._orders[slot] = threading.Condition(self._lock)
        return self._orders[slot]

    def _wake_slots(self) -> None:
        self._work.notify_all()
        for order in self._orders.values():
            order.notify_all()
