"""The slot manager: keeps as many slots as there is work for, and handles those that end before their time.

The trial service says how many slots there should be and which may leave; Spark, behind `SlotJobs`, schedules them. The
manager reconciles the two: level-triggered, so that no change is missed, and with a backoff before it replaces a slot
that keeps ending at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from sparksweep_core.backoff import Backoff
from sparksweep_trainer.driver.slot_loss import Explain, Loss, SlotFailed, without_explanation
from sparksweep_trainer.driver.trial_service import SILENCE_S, TrialService

log = logging.getLogger(__name__)

FIRST_RESTART_S = 0.5
"""Seconds before the first slot that has ended at once is replaced."""
LONGEST_RESTART_S = 30.0
"""Longest delay in seconds before a slot that keeps ending at once is replaced."""
RESYNC_S = 1.0
"""Longest interval in seconds between two reconciles, which also find slots that are no longer worth waiting for."""
MAX_FAILED_STARTS = 3
"""Slots in a row that may fail at their start on a healthy executor."""


class SlotJobs(Protocol):
    """Runs slots, each as a job."""

    def start(self, slot: int, ended: Callable[[SlotFailed | None], None]) -> None:
        """Run a slot; call `ended` once, in a thread of its own, when its job has ended."""

    def cancel(self, slot: int) -> None:
        """End a slot's job, whether it runs or waits for an executor."""


class SlotManager:
    """Starts slots, and replaces lost ones, until closed."""

    def __init__(
        self,
        service: TrialService,
        jobs: SlotJobs,
        *,
        explain: Explain = without_explanation,
        discard: Callable[[str, int], None] = lambda _, __: None,
        first_restart_s: float = FIRST_RESTART_S,
    ) -> None:
        self._service = service
        self._jobs = jobs
        self._explain = explain
        self._discard = discard
        self._backoff = Backoff(first_restart_s, LONGEST_RESTART_S)
        self._not_before = 0.0
        self._failed_starts = 0
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._started: dict[int, float] = {}
        self._none_left = threading.Condition(self._lock)
        self._thread = threading.Thread(target=self._run, name="slots", daemon=True)

    def start(self) -> None:
        """Start reconciling, in a thread of its own."""
        self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """Start no more slots and wait for the others to end; return False if some have not after `timeout_s`.

        The service must have ordered them to leave.
        """
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=timeout_s)
        with self._lock:
            return self._none_left.wait_for(lambda: not self._started, timeout_s)

    def lose(self, node: str, loss: Loss) -> None:
        """Record that an executor is gone, before Spark does."""
        for slot in self._service.slots_on(node):
            log.warning("slot %d on %s is lost: %s", slot, node, loss.message)
            self._service.lose(slot, loss)
            # Spark would start it again elsewhere; its replacement has a number of its own.
            self._jobs.cancel(slot)

    # ------------------------------------------------------------------ reconciling

    def _run(self) -> None:
        version = -1
        while not self._closing.is_set():
            self.reconcile()
            version = self._service.wait(version, self._interval_s())

    def reconcile(self) -> None:
        """Cancel slots that are not needed any more, and start missing ones unless the backoff says to wait."""
        for slot in self._service.silent_slots():
            self._give_up(slot)
        for slot in self._service.slots_to_cancel():
            log.info("slot %d is not needed any more", slot)
            self._jobs.cancel(slot)
        if time.monotonic() < self._not_before:
            return
        for slot in self._service.slots_to_start():
            with self._lock:
                self._started[slot] = time.monotonic()
            self._jobs.start(slot, lambda failed, slot=slot: self._ended(slot, failed))  # type: ignore[misc]

    def _give_up(self, slot: int) -> None:
        """Replace a slot that sends nothing: its process was stopped, or its executor hangs."""
        node, pid = self._service.node(slot), self._service.pid(slot)
        loss = Loss(f"Its slot has sent nothing for {SILENCE_S:g} s.")
        log.warning("slot %d on %s is lost: %s", slot, node, loss.message)
        self._service.lose(slot, loss)
        self._jobs.cancel(slot)
        self._discard(node, pid)

    def _interval_s(self) -> float:
        backoff_s = self._not_before - time.monotonic()
        return min(RESYNC_S, backoff_s) if backoff_s > 0 else RESYNC_S

    # ------------------------------------------------------------------ in a slot's own thread

    def _ended(self, slot: int, failed: SlotFailed | None) -> None:
        try:
            if not self._closing.is_set():
                self._note_end(slot, failed)
        finally:
            with self._lock:
                self._started.pop(slot, None)
                self._none_left.notify_all()

    def _note_end(self, slot: int, failed: SlotFailed | None) -> None:
        node = self._service.node(slot)
        if failed is None:
            self._service.lose(slot, Loss("Its slot ended."))
        elif self._service.is_gone(slot):
            # Recorded as lost before, and its job cancelled.
            return
        elif node:
            loss = self._explain(node, failed)
            log.warning("slot %d on %s is lost: %s (%s)", slot, node, loss.message, failed)
            self._back_off(slot)
            self._service.lose(slot, loss)
        else:
            log.warning("slot %d could not start: %s", slot, failed)
            self._back_off(slot)
            self._note_failed_start(failed)
            self._service.lose(slot, Loss("Its slot could not start."))

    def _back_off(self, slot: int) -> None:
        """Delay the next start of a slot, the longer the more slots have ended at once."""
        now = time.monotonic()
        with self._lock:
            if now - self._started.get(slot, now) >= LONGEST_RESTART_S:
                self._backoff.reset()
            self._not_before = max(self._not_before, now + self._backoff.next_s())

    def _note_failed_start(self, failed: SlotFailed) -> None:
        """Give up after `MAX_FAILED_STARTS`: lost executors come back, an image without the trainer does not."""
        if failed.executor_lost:
            return
        with self._lock:
            self._failed_starts += 1
            count = self._failed_starts
        if count >= MAX_FAILED_STARTS:
            self._service.code_check.give_up(f"No slot can start in the trial's image: {failed}")
