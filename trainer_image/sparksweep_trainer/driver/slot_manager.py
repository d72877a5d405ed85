"""Keeps as many slots as there is work for: starts their Spark jobs, and deals with those that end before their time.

The trial service says how many slots there should be and which may leave; Spark, behind `SlotJobs`, places them. Here
the two are brought together: level-triggered, so that nothing is missed, and with a pause before a slot that keeps
ending at once is replaced.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sparksweep_core.api.reasons import TrialReason
from sparksweep_core.backoff import Backoff
from sparksweep_trainer.driver.trial_service import TrialService

log = logging.getLogger(__name__)

FIRST_RESTART_S = 0.5
"""Seconds before the first slot that has ended at once is replaced."""
LONGEST_RESTART_S = 30.0
"""Longest delay in seconds before a slot that keeps ending at once is replaced."""
RESYNC_S = 1.0
"""Longest turn: slots that are no longer worth waiting for are looked for this often."""
MAX_FAILED_STARTS = 3
"""Slots in a row that may fail at their start on a sound executor."""


class SlotFailed(Exception):
    """A slot's job ended before its time; the message is for a person."""

    def __init__(self, message: str, *, executor_lost: bool) -> None:
        super().__init__(message)
        self.executor_lost = executor_lost
        """Whether Spark lost the executor, rather than the task failing on a sound one."""


@dataclass(frozen=True)
class Loss:
    """What became of a slot's executor."""

    message: str
    """For a person, with what to do."""
    reason: TrialReason = TrialReason.EXECUTOR_LOST
    """Another one when the trial that ran there is to blame."""


class SlotJobs(Protocol):
    """Where slots run."""

    def start(self, slot: int, ended: Callable[[SlotFailed | None], None]) -> None:
        """Have a slot run somewhere; call `ended` once, in a thread of its own, when it has."""

    def cancel(self, slot: int) -> None:
        """End a slot's job, whether it runs or waits for a place."""


Explain = Callable[[str, SlotFailed], Loss]
"""Finds out what became of the executor with this name; may take seconds."""


def without_explanation(_: str, failed: SlotFailed) -> Loss:
    """What is known of a lost slot where nobody watches executors."""
    return Loss("Its executor was lost." if failed.executor_lost else "Its slot was lost.")


class SlotManager:
    """Starts slots, and replaces lost ones, until closed."""

    def __init__(
        self,
        service: TrialService,
        jobs: SlotJobs,
        *,
        explain: Explain = without_explanation,
        first_restart_s: float = FIRST_RESTART_S,
    ) -> None:
        self._service = service
        self._jobs = jobs
        self._explain = explain
        self._backoff = Backoff(first_restart_s, LONGEST_RESTART_S)
        self._not_before = 0.0
        self._failed_starts = 0
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._live: dict[int, float] = {}
        self._none_left = threading.Condition(self._lock)
        self._thread = threading.Thread(target=self._run, name="slots", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """Start nothing more, and wait until the slots have ended; False when some have not by then.

        The service has let them leave.
        """
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=timeout_s)
        with self._lock:
            return self._none_left.wait_for(lambda: not self._live, timeout_s)

    def lose(self, node: str, loss: Loss) -> None:
        """Note that an executor is gone, before Spark does."""
        for slot in self._service.slots_on(node):
            log.warning("slot %d on %s is lost: %s", slot, node, loss.message)
            self._service.lose(slot, loss.message, reason=loss.reason)
            # Spark would start it again elsewhere; the one that comes instead has a number of its own.
            self._jobs.cancel(slot)

    # ------------------------------------------------------------------ the loop

    def _run(self) -> None:
        seen = -1
        while not self._closing.is_set():
            self.reconcile()
            seen = self._service.wait(seen, self._patience_s())

    def reconcile(self) -> None:
        """Have as many slots as there should be now."""
        for slot in self._service.slots_to_cancel():
            log.info("slot %d is not needed any more", slot)
            self._jobs.cancel(slot)
        if time.monotonic() < self._not_before:
            return
        for slot in self._service.slots_to_start():
            with self._lock:
                self._live[slot] = time.monotonic()
            self._jobs.start(slot, lambda failed, slot=slot: self._ended(slot, failed))  # type: ignore[misc]

    def _patience_s(self) -> float:
        pause_s = self._not_before - time.monotonic()
        return min(RESYNC_S, pause_s) if pause_s > 0 else RESYNC_S

    # ------------------------------------------------------------------ in a slot's own thread

    def _ended(self, slot: int, failed: SlotFailed | None) -> None:
        try:
            if not self._closing.is_set():
                self._note_end(slot, failed)
        finally:
            with self._lock:
                self._live.pop(slot, None)
                self._none_left.notify_all()

    def _note_end(self, slot: int, failed: SlotFailed | None) -> None:
        node = self._service.node(slot)
        if failed is None:
            self._service.lose(slot, "Its slot ended.")
        elif self._service.is_gone(slot):
            # It was given up on, and its job cancelled.
            return
        elif node:
            loss = self._explain(node, failed)
            log.warning("slot %d on %s is lost: %s (%s)", slot, node, loss.message, failed)
            self._back_off(slot)
            self._service.lose(slot, loss.message, reason=loss.reason)
        else:
            log.warning("slot %d could not start: %s", slot, failed)
            self._back_off(slot)
            self._note_failed_start(failed)
            self._service.lose(slot, "Its slot could not start.")

    def _back_off(self, slot: int) -> None:
        """Delay the next start of a slot, the longer the more slots have ended at once."""
        now = time.monotonic()
        with self._lock:
            if now - self._live.get(slot, now) >= LONGEST_RESTART_S:
                self._backoff.reset()
            self._not_before = max(self._not_before, now + self._backoff.next_s())

    def _note_failed_start(self, failed: SlotFailed) -> None:
        """Lost executors come back; an image without the trainer does not."""
        if failed.executor_lost:
            return
        with self._lock:
            self._failed_starts += 1
            count = self._failed_starts
        if count >= MAX_FAILED_STARTS:
            self._service.give_up(f"No slot can start in the trial's image: {failed}")
