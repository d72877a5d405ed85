"""The check, before the first trial starts, that the trial code can take the parameters.

One slot does it, because only executors have the user's code. If the code is refused, no trial starts and every
slot leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from sparksweep_core.api import limits
from sparksweep_core.stored_size import shortened
from sparksweep_trainer.driver.slot_loss import Loss

MAX_LOST_CHECKS = 5
"""Slots that may be lost while they check the code."""


class CodeCheck:
    """State of the check. Thread-safe: it shares the lock of its trial service."""

    def __init__(self, lock: AbstractContextManager[object], on_result: Callable[[], None]) -> None:
        """
        Args:
            lock: reentrant lock of the trial service.
            on_result: called under the lock when the code is accepted or refused.
        """
        self._lock = lock
        self._on_result = on_result
        self._slot: int | None = None
        self._lost = 0
        self._is_passed = False
        self._refusal: str | None = None

    @property
    def is_passed(self) -> bool:
        """True if a slot has found that the code can take the parameters."""
        with self._lock:
            return self._is_passed

    @property
    def refusal(self) -> str | None:
        """Reason why the code can't take the parameters; None unless it was refused."""
        with self._lock:
            return self._refusal

    @property
    def needs_slot(self) -> bool:
        """True if the check has no result and no slot that does it."""
        with self._lock:
            return not self._is_passed and self._refusal is None and self._slot is None

    def start(self, slot: int) -> bool:
        """Give the check to a slot; return False if it needs none."""
        with self._lock:
            if not self.needs_slot:
                return False
            self._slot = slot
            return True

    def accept(self, slot: int) -> bool:
        """Record that the code can take the parameters; return False if another slot has the check."""
        with self._lock:
            if slot != self._slot:
                return False
            self._is_passed = True
            self._on_result()
            return True

    def refuse(self, slot: int, message: str) -> bool:
        """Record that the code can't take the parameters; return False if another slot has the check."""
        with self._lock:
            if slot != self._slot or self._is_passed:
                return False
            self._end(message)
            return True

    def lose(self, slot: int, loss: Loss) -> None:
        """Give the check to another slot after its slot was lost, unless the code is at fault or it was lost too often."""
        with self._lock:
            if slot != self._slot or self._is_passed:
                return
            self._slot = None
            self._lost += 1
            if loss.is_fault_of_code or self._lost >= MAX_LOST_CHECKS:
                self._end(
                    "The trial code could not be checked before the first trial: its slot was lost. "
                    f"{loss.message}"
                )

    def give_up(self, message: str) -> None:
        """Refuse the code because slots can't run at all, unless one has checked it before."""
        with self._lock:
            if not self._is_passed and self._refusal is None:
                self._end(message)

    def _end(self, refusal: str) -> None:
        self._refusal = shortened(refusal, limits.MESSAGE)
        self._on_result()
