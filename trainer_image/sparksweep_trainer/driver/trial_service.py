"""The trial service: the ledger and the slot registry behind a lock, with waiting. The trial server answers from it.

Three kinds of callers meet here: slots that wait for work, or for an order to stop or to leave; the owner of the
experiment, who adds trials and waits for changes; and the slot manager, who asks how many slots there should be and
reports lost ones. Every change is passed to ``record`` before anyone can read it: when a slot learns that its outcome
was taken, it has been written down.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from sparksweep_core.api import limits
from sparksweep_core.api.quantities import memory_bytes
from sparksweep_core.api.status import TrialStatus
from sparksweep_core.api.trial_batch import Stop, TrialSpec
from sparksweep_core.api.trials import Trial
from sparksweep_core.contract.program import Program
from sparksweep_trainer.driver.code_check import CodeCheck
from sparksweep_trainer.driver.ledger import Ledger
from sparksweep_trainer.driver.slot_loss import Loss
from sparksweep_trainer.driver.slot_registry import SlotRegistry
from sparksweep_trainer.driver.tally import TallyValues
from sparksweep_trainer.driver.waiters import Waiters, Wake
from sparksweep_trainer.protocol import (
    CHECK_TIMEOUT_S,
    Heartbeat,
    HeartbeatOrder,
    NextOrder,
    Report,
    SlotHello,
)

log = logging.getLogger(__name__)

SILENCE_S = 60.0
"""Seconds for which a slot that should ask may send nothing: as long as Spark's network time-out for executors."""

Record = Callable[[Sequence[Trial]], None]


def _now() -> datetime:
    return datetime.now(UTC)


class TrialService:
    """The trials of one experiment, for many threads.

    Args:
        program: what slots run.
        record: receives every change, under the service's lock. What it raises reaches the caller, and the change is
            recorded with the next one, or by `commit`.
        added: receives every new trial as it was submitted, under the service's lock, before any change of it.
        slots: largest number of slots, until `set_slot_limit` changes it.
        linger_s: seconds after which an idle slot leaves; None: it stays until `close`.
        clock: time of day, for statuses.
        monotonic: clock that lingering is measured with.
    """

    def __init__(
        self,
        program: Program,
        *,
        record: Record = lambda _: None,
        added: Record = lambda _: None,
        slots: int = limits.PARALLEL_TRIALS,
        linger_s: float | None = None,
        clock: Callable[[], datetime] = _now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.program = program
        self._record = record
        self._added = added
        self._clock = clock
        self._monotonic = monotonic
        self._registry = SlotRegistry(limit=slots, linger_s=linger_s)
        self._ledger = Ledger(max_retries=program.trial_template.max_retries)
        lock = threading.RLock()
        self._lock = lock
        self._work = Waiters()
        self._changes = threading.Condition(lock)
        # One list a slot: a change must not wake every slot of a thousand.
        self._orders: dict[int, Waiters] = {}
        self._version = 0
        self._closing = False
        self.code_check = CodeCheck(lock, self._announce)

    # ------------------------------------------------------------------ for the experiment's owner

    def submit(self, specs: Iterable[TrialSpec], statuses: Iterable[TrialStatus] = ()) -> None:
        """Add trials, with the statuses that an earlier driver wrote; leave those already there as they are."""
        with self._lock:
            before = self._ledger.waiting
            if added := self._ledger.add(specs, statuses):
                self._added(added)
            self._commit()
            if self._ledger.waiting != before:
                self._note_change()
                self._work.notify(self._ledger.waiting)

    def set_slot_limit(self, slots: int) -> None:
        """Set the largest number of slots; those above it leave, busy ones after their trial."""
        with self._lock:
            if slots != self._registry.limit:
                self._registry.limit = slots
                self._announce()

    def stop(self, stop: Stop) -> None:
        """End the experiment: waiting trials are Stopped now, running ones are ordered to stop."""
        with self._lock:
            self._ledger.stop(stop)
            self._commit()
            self._wake_slots()

    def interrupt(self, why: str) -> None:
        """Start no more trials and end the running ones; a later run can go on with all of them.

        Args:
            why: the cause in words, which becomes the message of the trials that run.
        """
        with self._lock:
            self._ledger.interrupt(why)
            self._announce()

    def abandon(self) -> None:
        """Record that all running trials have ended, after `stop` or `interrupt`, without a report."""
        with self._lock:
            self._ledger.abandon()
            self._commit()

    def close(self) -> None:
        """Order every slot to leave."""
        with self._lock:
            self._closing = True
            self._wake_slots()

    def commit(self) -> None:
        """Record changes that could not be recorded before."""
        with self._lock:
            self._commit()

    def wait(self, version: int, timeout_s: float) -> int:
        """Wait until the state is another version than `version`; return the current version."""
        with self._lock:
            self._changes.wait_for(lambda: self._version != version, timeout_s)
            return self._version

    @property
    def statuses(self) -> list[TrialStatus]:
        """Status of every unfinished trial, by number."""
        with self._lock:
            return self._ledger.statuses

    @property
    def tally(self) -> TallyValues:
        """Counts of all trials, finished ones included; takes as long for many trials as for few."""
        with self._lock:
            return self._ledger.tally.values

    @property
    def running(self) -> int:
        """Number of running trials."""
        with self._lock:
            return self._ledger.running

    # ------------------------------------------------------------------ for slots

    def hello(self, hello: SlotHello) -> Program:
        """Register a slot, which starts with nothing: a trial that an earlier slot with its number ran is lost."""
        with self._lock:
            self._registry.register(hello.slot, hello.node, pid=hello.pid)
            self._registry.hear(hello.slot)
            self._lose(hello.slot, "Its slot restarted.")
            self._note_change()
            return self.program

    def next(self, slot: int, wake: Wake | None = None) -> NextOrder | None:
        """Return the next order of a slot.

        Args:
            slot: the slot.
            wake: called when there may be an order, if there is none now; ask again then.

        Returns:
            The order, which is "wait" if there is none and no `wake`; None if `wake` will be called.
        """
        with self._lock:
            self._registry.hear(slot)
            # A slot that asks while it is recorded as running something never got that trial, or lost it.
            self._lose(slot, "Its slot asked for other work.")
            self._registry.mark_idle(slot, self._monotonic())
            order = self._next_order(slot)
            if order is None and wake is not None:
                self._work.add(wake)
                return None
            return order or NextOrder(order="wait")

    def linger_left(self, slot: int) -> float:
        """Return the seconds after which an idle slot may leave; infinity if it stays."""
        with self._lock:
            return self._registry.linger_left(slot, self._monotonic())

    def give_up(self, wake: Wake, *, slot: int) -> None:
        """Stop waiting for an order, whose slot is gone or is answered otherwise."""
        with self._lock:
            if not self._order_of(slot).discard(wake) and not self._work.discard(wake):
                # It may have been woken for work that another slot must take now.
                self._work.notify()

    def report(self, report: Report) -> bool:
        """Record an attempt's outcome; return False, and drop it, if the attempt is not the one assigned last.

        If it can't be recorded, the slot gets no answer, and the report that it repeats is taken.
        """
        with self._lock:
            self._registry.hear(report.slot)
            taken = self._ledger.is_untaken(report.number, report.attempt) or self._ledger.finish(
                report.slot, report.number, report.attempt, report.outcome
            )
            self._commit()
            self._order_of(report.slot).notify_all()
            if self._ledger.waiting:
                self._work.notify()
            return taken

    def heartbeat(self, beat: Heartbeat, wake: Wake | None = None) -> HeartbeatOrder | None:
        """Return "stop" if a busy slot should stop.

        Args:
            beat: the slot, and the attempt that it runs.
            wake: called when it may have to stop, if it need not now; ask again then.

        Returns:
            The order, which is "continue" if it need not stop and there is no `wake`; None if `wake` will be called.
        """
        with self._lock:
            self._registry.hear(beat.slot)
            if not self._ledger.is_wanted(beat.slot, beat.number, beat.attempt):
                return HeartbeatOrder(order="stop")
            if wake is None:
                return HeartbeatOrder(order="continue")
            self._order_of(beat.slot).add(wake)
            return None

    def runs(self, slot: int, number: int, attempt: int) -> bool:
        """Return True if the slot runs that attempt: nothing of any other attempt is taken."""
        with self._lock:
            self._registry.hear(slot)
            return self._ledger.runs(slot, number, attempt)

    # ------------------------------------------------------------------ for the slot manager

    @property
    def slots_wanted(self) -> int:
        """Number of slots that the waiting and running trials need, up to the limit."""
        with self._lock:
            return min(self._registry.limit, self._work_left)

    @property
    def slots(self) -> int:
        """Number of slots that have registered, and have neither left nor been lost."""
        with self._lock:
            return sum(1 for _ in self._registry.registered)

    def slots_to_start(self) -> list[int]:
        """Return numbers of slots to start now; from here on they count as expected."""
        with self._lock:
            return self._registry.reserve(self._registry.missing(self._work_left))

    def slots_to_cancel(self) -> list[int]:
        """Return slots that have not registered and are not needed any more; from here on they are gone."""
        with self._lock:
            unneeded = self._registry.unneeded(
                self._work_left, self._monotonic(), over=self._ledger.is_over
            )
            for slot in unneeded:
                self._registry.remove(slot)
            return unneeded

    def silent_slots(self) -> list[int]:
        """Return the slots that have sent nothing for longer than a slot may; call it about once a second.

        A slot whose trial runs asks every 10 seconds whether to go on, and an idle one for work. One that checks the code, or
        removes what its trial has left, sends nothing meanwhile.
        """
        with self._lock:
            now = self._monotonic()
            if now - self._registry.last_tick < 1.0:
                return []
            self._registry.tick(now)
            timeout_s = self.program.trial_template.timeout_seconds or CHECK_TIMEOUT_S
            return [
                slot
                for slot, _ in self._registry.registered
                if self._registry.silence(slot)
                > SILENCE_S + (0.0 if self._asks_regularly(slot) else timeout_s)
            ]

    def _asks_regularly(self, slot: int) -> bool:
        return self._registry.is_idle(slot) or self._ledger.running_on(slot) is not None

    def lose(self, slot: int, loss: Loss) -> None:
        """Record that a slot is lost. Its trial waits for another one, or has failed if it is at fault."""
        with self._lock:
            if loss.is_fault_of_code:
                self._fail(slot, loss)
            self._lose(slot, loss.message)
            self._registry.remove(slot)
            self.code_check.lose(slot, loss)
            self._note_change()
            self._work.notify_all()

    def is_gone(self, slot: int) -> bool:
        """Return True if a slot has left or was lost."""
        with self._lock:
            return self._registry.is_gone(slot)

    def node(self, slot: int) -> str:
        """Return the executor of a slot, "" before it has registered."""
        with self._lock:
            return self._registry.node(slot)

    def pid(self, slot: int) -> int:
        """Return the process of a slot, as it has said itself; 0 before it has registered."""
        with self._lock:
            return self._registry.pid(slot)

    def has_registered(self, node: str) -> bool:
        """Return True if a slot has ever registered from an executor."""
        with self._lock:
            return self._registry.has_registered(node)

    def slots_on(self, node: str) -> list[int]:
        """Return the slots that run on an executor."""
        with self._lock:
            return [slot for slot, executor in self._registry.registered if executor == node]

    # ------------------------------------------------------------------ under the lock

    @property
    def _is_ending(self) -> bool:
        return self._closing or self.code_check.refusal is not None

    def _next_order(self, slot: int) -> NextOrder | None:
        if self._is_ending or self._may_leave(slot):
            return self._let_leave(slot)
        if not self._ledger.waiting:
            return None
        if not self.code_check.is_passed:
            if self.code_check.needs_slot and self.code_check.start(slot):
                self._registry.mark_busy(slot)
                return NextOrder(order="check")
            return None
        node = self._registry.node(slot)
        assignment = self._ledger.assign(slot, node=node, now=self._clock())
        if assignment is None:
            return None
        try:
            self._commit()
        except BaseException:
            # The slot gets no answer, and asks again: an attempt that never began is not lost.
            self._ledger.take_back(slot)
            raise
        self._registry.mark_busy(slot)
        return NextOrder(order="run", assignment=assignment)

    @property
    def _work_left(self) -> int:
        return 0 if self._is_ending else self._ledger.waiting + self._ledger.running

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

    def _fail(self, slot: int, loss: Loss) -> None:
        status = self._ledger.running_on(slot)
        if status is None:
            return
        now = self._clock()
        outcome = loss.outcome(
            started=status.start_time or now,
            now=now,
            memory_limit=memory_bytes(self.program.trial_template.resources.memory),
        )
        self._ledger.finish(slot, status.number, status.attempt, outcome)
        self._commit_soon()
        self._order_of(slot).notify_all()

    def _lose(self, slot: int, message: str) -> None:
        if self._ledger.lose(slot, message) is not None:
            self._commit_soon()
            self._order_of(slot).notify_all()
            self._work.notify()

    def _commit(self) -> None:
        changed = self._ledger.take_changes()
        if not changed:
            return
        try:
            self._record(changed)
        except BaseException:
            self._ledger.put_back(changed)
            raise
        self._note_change()

    def _commit_soon(self) -> None:
        """Record a loss, which no slot waits for the record of: if that fails, it is recorded with the next change."""
        try:
            self._commit()
        except OSError as error:
            log.warning("a loss is not recorded yet: %s", error)

    def _note_change(self) -> None:
        self._version += 1
        self._changes.notify_all()

    def _announce(self) -> None:
        self._note_change()
        self._wake_slots()

    def _order_of(self, slot: int) -> Waiters:
        return self._orders.setdefault(slot, Waiters())

    def _wake_slots(self) -> None:
        self._work.notify_all()
        for order in self._orders.values():
            order.notify_all()
