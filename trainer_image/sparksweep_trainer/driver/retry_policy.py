"""Decides whether a trial runs again after an attempt that failed or was lost with its slot.

- A failed attempt counts against ``spec.trialTemplate.maxRetries``. So does one that took its executor with it
  (``OOMKilled``).
- An attempt lost with its slot does not count, but at most `MAX_LOST_ATTEMPTS` of a trial may be lost.
- An attempt that was interrupted with the whole run, or suspended, does not count, however often that happens.

Whatever the policy says, the ledger starts nothing once the experiment ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from sparksweep_core.api.reasons import TrialReason, TrialState
from sparksweep_core.api.status import TrialStatus

MAX_LOST_ATTEMPTS = 10
"""Attempts of a trial that may be lost with their slot. Spark does not count lost executors, so a trial that always
takes its executor with it would otherwise run for ever."""


@dataclass(frozen=True)
class RetryPolicy:
    """Turns the end of an attempt into Pending, to run again, or leaves the trial finished."""

    max_retries: int
    """Failed attempts of a trial that are followed by another one."""

    def is_last(self, running: TrialStatus) -> bool:
        """Return True if a trial whose running attempt fails has failed."""
        return running.retries >= self.max_retries

    def after_failure(self, failed: TrialStatus) -> TrialStatus:
        """Return the status after a failed attempt: Pending with one more retry, or Failed as it is."""
        if self.is_last(failed):
            return failed
        return failed.model_copy(
            update={"state": TrialState.PENDING, "retries": failed.retries + 1}
        )

    def after_loss(self, running: TrialStatus, message: str) -> TrialStatus:
        """Return the status after an attempt was lost with its slot: Pending, or Failed after too many of them."""
        # Not the attempts that are no retries: those that were interrupted are among them.
        lost = (running.lost or 0) + 1
        is_last = lost > MAX_LOST_ATTEMPTS
        if is_last:
            message = f"{message} That was the {lost}th attempt lost with its slot; none is left."
        return running.model_copy(
            update={
                "state": TrialState.FAILED if is_last else TrialState.PENDING,
                "lost": lost,
                "reason": TrialReason.EXECUTOR_LOST.value,
                "message": message,
            }
        )

    def after_interrupt(self, stopped: TrialStatus, why: str) -> TrialStatus:
        """Return the status after an attempt that ended because the run was interrupted, with the words why: Pending."""
        return stopped.model_copy(
            update={
                "state": TrialState.PENDING,
                "reason": TrialReason.INTERRUPTED.value,
                "message": why,
            }
        )
