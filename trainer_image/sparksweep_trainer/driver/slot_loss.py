"""The end of a slot before its time: what Spark reports, and what it means for the trial that ran there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sparksweep_core.api import limits
from sparksweep_core.api.reasons import TrialReason, TrialState
from sparksweep_core.stored_size import shortened
from sparksweep_trainer.protocol import Outcome


class SlotFailed(Exception):
    """A slot's job ended before its time; the message is for a person."""

    def __init__(self, message: str, *, executor_lost: bool) -> None:
        super().__init__(message)
        self.executor_lost = executor_lost
        """True if Spark lost the executor, False if the task failed on a healthy one."""


@dataclass(frozen=True)
class Loss:
    """The cause of a slot's loss."""

    message: str
    """For a person, with what to do."""
    reason: TrialReason = TrialReason.EXECUTOR_LOST
    """``EXECUTOR_LOST``, or another reason if the code that ran there is at fault, such as ``OOM_KILLED``."""

    @property
    def is_fault_of_code(self) -> bool:
        """True if the code that ran in the slot caused the loss, so that its attempt has failed."""
        return self.reason is not TrialReason.EXECUTOR_LOST

    def outcome(self, *, started: datetime, now: datetime, memory_limit: int | None) -> Outcome:
        """Return the outcome of the attempt that caused the loss.

        Args:
            started: start of the attempt.
            now: its end, as far as is known.
            memory_limit: memory limit of a trial in bytes, which an attempt ended by ``OOM_KILLED`` has used up.
        """
        return Outcome(
            state=TrialState.FAILED,
            reason=self.reason,
            message=shortened(self.message, limits.MESSAGE),
            start_time=started,
            completion_time=now,
            duration_seconds=max(0.0, (now - started).total_seconds()),
            peak_memory_bytes=memory_limit if self.reason is TrialReason.OOM_KILLED else None,
        )


Explain = Callable[[str, SlotFailed], Loss]
"""Returns the cause of a slot's loss, from the name of its executor and what Spark reports; may take seconds."""


def without_explanation(_: str, failed: SlotFailed) -> Loss:
    """Return the loss of a slot where executors are not watched."""
    return Loss("Its executor was lost." if failed.executor_lost else "Its slot was lost.")
