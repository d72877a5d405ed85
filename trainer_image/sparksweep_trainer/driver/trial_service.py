"""The trial service: the ledger behind a lock, with waiting. What the trial server answers, it asks here.

Three kinds of callers meet: slots that wait for work or for an order to stop or to leave, the owner of the experiment
that adds trials and waits for changes, and the slot manager that asks how many slots there should be, and tells of
lost ones. Every change is handed to ``record`` before
anyone gets to see it, so that a result a slot was told is taken has been written down.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from sparksweep_core.api import limits
from sparksweep_core.api.quantities import memory_bytes
from sparksweep_core.api.reasons import TrialReason, TrialState
from sparksweep_core.api.status import TrialStatus
from sparksweep_core.api.trial_batch import Stop, TrialSpec
from sparksweep_core.api.trials import Trial
from sparksweep_core.contract.program import Program
from sparksweep_trainer.driver.ledger import Ledger
from sparksweep_trainer.driver.slot_registry import SlotRegistry
from sparksweep_trainer.protocol import (
    Heartbeat,
    HeartbeatOrder,
    NextOrder,
    Outcome,
    Report,
    SlotHello,
)

MAX_LOST_CHECKS = 5
"""Slots that may be lost while they look whether the trial code can take the parameters."""

Record = Callable[[Sequence[TrialStatus]], None]


def _now() -> datetime:
    return datetime.now(UTC)


class TrialService:
    """The trials of one experiment, for many threads.

    Args:
        program: what slots are told to run.
        record: gets every change, under the service's lock.
        slots: how many slots there are at most, until `allow` says otherwise.
        linger_s: seconds after which a slot with nothing to do leaves; None: it stays until `close`.
        clock: the time that is written down.
        monotonic: the clock that lingering is measured with.
    """

    def __init__(
        self,
        program: Program,
        *,
        record: Record = lambda _: None,
        slots: int = limits.PARALLEL_TRIALS,
        linger_s: float | None = None,
        clock: Callable[[], datetime] = _now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.program = program
        self._record = record
        self._clock = clock
        self._monotonic = monotonic
        self._registry = SlotRegistry(limit=slots, linger_s=linger_s)
        self._ledger = Ledger(max_retries=program.trial_template.max_retries)
        lock = threading.RLock()
        self._lock = lock
        self._work = threading.Condition(lock)
        self._changes = threading.Condition(lock)
        # One condition a slot: a change must not wake every slot of a thousand.
        self._orders: dict[int, threading.Condition] = {}
        self._version = 0
        self._checker: int | None = None
        self._checked = False
        self._lost_checks = 0
        self._refused: str | None = None
        self._closing = False

    # ------------------------------------------------------------------ the experiment's owner

    def submit(self, specs: Iterable[TrialSpec], known: Iterable[TrialStatus] = ()) -> None:
        """Add trials; those already there are left as they are."""
        with self._lock:
            before = self._ledger.waiting
            self._ledger.add(specs, known)
            self._commit()
            if self._ledger.waiting != before:
                self._note_change()
                self._work.notify(self._ledger.waiting)

    def allow(self, slots: int) -> None:
        """Have at most so many slots from now on; those too many leave, busy ones after their trial."""
        with self._lock:
            if slots != self._registry.limit:
                self._registry.limit = slots
                self._announce()

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

    def abandon(self) -> None:
        """Note that whatever still runs after `stop` or `interrupt` has been ended without a word from it."""
        with self._lock:
            self._ledger.abandon()
            self._commit()

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
    def trials(self) -> list[Trial]:
        """Every trial with what it is, by number."""
        with self._lock:
            return self._ledger.trials

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
            self._registry.register(hello.slot, hello.node)
            self._lose(hello.slot, "Its slot started anew.")
            self._note_change()
            return self.program

    def next(self, slot: int, timeout_s: float) -> NextOrder:
        """What a slot does next; "wait" when there was nothing to do for that long."""
        with self._lock:
            # A slot that asks while it is noted as running something never got, or lost, that trial.
            self._lose(slot, "Its slot asked for other work.")
            self._registry.mark_idle(slot, self._monotonic())
            left_s = self._registry.linger_left(slot, self._monotonic())
            self._work.wait_for(
                lambda: self._has_order() or self._may_leave(slot),
                max(0.0, min(timeout_s, left_s)),
            )
            if self._closing or self._refused is not None or self._may_leave(slot):
                return self._let_leave(slot)
            if not self._checked:
                if self._checker is None and self._ledger.waiting:
                    self._checker = slot
                    self._registry.mark_busy(slot)
                    return NextOrder(order="check")
                return NextOrder(order="wait")
            node = self._registry.node(slot)
            assignment = self._ledger.assign(slot, node=node, now=self._clock())
            if assignment is None:
                return NextOrder(order="wait")
            self._registry.mark_busy(slot)
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
                lambda: not self._ledger.is_wanted(beat.slot, beat.number, beat.attempt), timeout_s
            )
            return HeartbeatOrder(order="stop" if stop else "continue")

    def runs(self, slot: int, number: int, attempt: int) -> bool:
        """Whether that is what the slot runs: only then is anything of the attempt taken."""
        with self._lock:
            return self._ledger.runs(slot, number, attempt)

    # ------------------------------------------------------------------ the slot manager

    @property
    def slots_wanted(self) -> int:
        """How many slots there is work for, as many as are allowed."""
        with self._lock:
            return min(self._registry.limit, self._work_left)

    @property
    def slots(self) -> int:
        """How many slots have said hello, and neither left nor were lost."""
        with self._lock:
            return sum(1 for _ in self._registry.registered)

    def slots_to_start(self) -> list[int]:
        """Numbers of slots that are to be started now; from here on they count as expected."""
        with self._lock:
            return self._registry.reserve(self._registry.missing(self._work_left))

    def slots_to_cancel(self) -> list[int]:
        """Slots that have not said hello and need not any more; from here on they are gone."""
        with self._lock:
            unneeded = self._registry.unneeded(
                self._work_left, self._monotonic(), over=self._ledger.is_over
            )
            for slot in unneeded:
                self._registry.remove(slot)
            return unneeded

    def lose(
        self, slot: int, message: str, *, reason: TrialReason = TrialReason.EXECUTOR_LOST
    ) -> None:
        """Note that a slot is gone. Its trial waits for another one, and failed if it is to blame.

        Args:
            slot: the slot.
            message: what became of it.
            reason: ``EXECUTOR_LOST``, or why its trial is to blame: ``OOM_KILLED``.
        """
        with self._lock:
            if reason is not TrialReason.EXECUTOR_LOST:
                self._blame(slot, reason, message)
            self._lose(slot, message)
            self._registry.remove(slot)
            if slot == self._checker and not self._checked:
                self._lose_checker(reason, message)
            self._note_change()
            self._work.notify_all()

    def give_up(self, message: str) -> None:
        """Note that slots can't run at all: no trial starts, unless one has before."""
        with self._lock:
            if not self._checked and self._refused is None:
                self._refused = message[: limits.MESSAGE]
                self._announce()

    def is_gone(self, slot: int) -> bool:
        """Whether a slot has left, or was given up on."""
        with self._lock:
            return self._registry.is_gone(slot)

    def node(self, slot: int) -> str:
        """Where a slot runs; nothing before it has said hello."""
        with self._lock:
            return self._registry.node(slot)

    def has_registered(self, node: str) -> bool:
        """Whether a slot has ever said hello from there."""
        with self._lock:
            return self._registry.has_registered(node)

    def slots_on(self, node: str) -> list[int]:
        """The slots that run there."""
        with self._lock:
            return [slot for slot, place in self._registry.registered if place == node]

    # ------------------------------------------------------------------ under the lock

    def _has_order(self) -> bool:
        if self._closing or self._refused is not None:
            return True
        if not self._ledger.waiting:
            return False
        return self._checked or self._checker is None

    @property
    def _work_left(self) -> int:
        if self._closing or self._refused is not None:
            return 0
        return self._ledger.waiting + self._ledger.running

    def _may_leave(self, slot: int) -> bool:
        return self._registry.may_leave(
            slot,
            self._monotonic(),
            work_waits=self._ledger.waiting > 0,
            over=self._ledger.is_over,
        )

    def _let_leave(self, slot: int) -> NextOrder:
        self._registry.remove(slot)
        # What woke this slot may be work for another one.
        self._work.notify()
        self._note_change()
        return NextOrder(order="leave")

    def _lose_checker(self, reason: TrialReason, message: str) -> None:
        self._checker = None
        self._lost_checks += 1
        if reason is TrialReason.EXECUTOR_LOST and self._lost_checks < MAX_LOST_CHECKS:
            return
        about = "The trial code could not be looked at before the first trial: its slot was lost"
        self._refused = f"{about}. {message}"[: limits.MESSAGE]
        self._announce()

    def _blame(self, slot: int, reason: TrialReason, message: str) -> None:
        status = self._ledger.running_on(slot)
        if status is None:
            return
        now = self._clock()
        started = status.start_time or now
        memory = memory_bytes(self.program.trial_template.resources.memory)
        outcome = Outcome(
            state=TrialState.FAILED,
            reason=reason,
            message=message[: limits.MESSAGE],
            start_time=started,
            completion_time=now,
            duration_seconds=max(0.0, (now - started).total_seconds()),
            peak_memory_bytes=memory if reason is TrialReason.OOM_KILLED else None,
        )
        self._ledger.finish(slot, status.number, status.attempt, outcome)
        self._commit()
        self._order_of(slot).notify_all()

    def _lose(self, slot: int, message: str) -> None:
        if self._ledger.lose(slot, message) is not None:
            self._commit()
            self._order_of(slot).notify_all()
            self._work.notify()

    def _commit(self) -> None:
        changed = self._ledger.take_changes()
        if changed:
            self._record(changed)
            self._note_change()

    def _note_change(self) -> None:
        self._version += 1
        self._changes.notify_all()

    def _announce(self) -> None:
        self._note_change()
        self._wake_slots()

    def _order_of(self, slot: int) -> threading.Condition:
        if slot not in self._orders:
            self._orders[slot] = threading.Condition(self._lock)
        return self._orders[slot]

    def _wake_slots(self) -> None:
        self._work.notify_all()
        for order in self._orders.values():
            order.notify_all()
