"""The retry policy, by example: what counts against maxRetries, and what does not."""

from sparksweep_core.api import TrialReason, TrialState, TrialStatus
from sparksweep_trainer.driver.retry_policy import MAX_LOST_ATTEMPTS, RetryPolicy

POLICY = RetryPolicy(max_retries=2)


def status(*, attempt: int, retries: int, state: TrialState = TrialState.FAILED) -> TrialStatus:
    return TrialStatus(number=1, state=state, attempt=attempt, retries=retries)


def test_failures_are_retried_and_counted() -> None:
    after = POLICY.after_failure(status(attempt=1, retries=1))
    assert (after.state, after.retries) == (TrialState.PENDING, 2)


def test_a_failure_after_the_last_retry_stays() -> None:
    failed = status(attempt=3, retries=2)
    assert POLICY.after_failure(failed) == failed


def test_losses_are_not_counted_as_retries() -> None:
    running = status(attempt=5, retries=2, state=TrialState.RUNNING)
    after = POLICY.after_loss(running, "gone")
    assert (after.state, after.retries, after.message) == (TrialState.PENDING, 2, "gone")
    assert after.reason == TrialReason.EXECUTOR_LOST


def test_failed_attempts_do_not_count_as_lost_ones() -> None:
    for retries in (0, 2):
        last = MAX_LOST_ATTEMPTS + retries
        running = status(attempt=last, retries=retries, state=TrialState.RUNNING)
        assert POLICY.after_loss(running, "gone").state is TrialState.PENDING
        running = status(attempt=last + 1, retries=retries, state=TrialState.RUNNING)
        after = POLICY.after_loss(running, "Its executor is gone.")
        assert after.state is TrialState.FAILED
        assert after.message is not None
        assert after.message.startswith("Its executor is gone. That was the 11th attempt")


def test_an_interrupt_is_not_counted() -> None:
    after = POLICY.after_interrupt(status(attempt=1, retries=0, state=TrialState.STOPPED))
    assert (after.state, after.retries, after.reason) == (
        TrialState.PENDING,
        0,
        TrialReason.INTERRUPTED,
    )
