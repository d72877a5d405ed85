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


def test_only_lost_attempts_count_as_lost_ones() -> None:
    # Whatever else has ended the other attempts: failures or interruptions.
    for attempt, retries in ((11, 0), (13, 2), (500, 0), (500, 2)):
        running = status(attempt=attempt, retries=retries, state=TrialState.RUNNING)
        before = running.model_copy(update={"lost": MAX_LOST_ATTEMPTS - 1})
        after = POLICY.after_loss(before, "gone")
        assert (after.state, after.lost) == (TrialState.PENDING, MAX_LOST_ATTEMPTS)
        last = POLICY.after_loss(
            running.model_copy(update={"lost": MAX_LOST_ATTEMPTS}), "Its executor is gone."
        )
        assert last.state is TrialState.FAILED
        assert last.message is not None
        assert last.message.startswith("Its executor is gone. That was the 11th attempt")


def test_a_status_of_an_earlier_version_has_lost_no_attempt() -> None:
    stored = {"number": 1, "state": "Running", "attempt": 12, "retries": 0}
    after = POLICY.after_loss(TrialStatus.from_api(stored), "gone")
    assert (after.state, after.lost) == (TrialState.PENDING, 1)


def test_an_interrupt_is_not_counted() -> None:
    after = POLICY.after_interrupt(
        status(attempt=1, retries=0, state=TrialState.STOPPED), "stopped by Ctrl-C"
    )
    assert (after.state, after.retries, after.lost, after.reason) == (
        TrialState.PENDING,
        0,
        None,
        TrialReason.INTERRUPTED,
    )
