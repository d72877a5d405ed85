"""Delays of the status: an event is written at once, the progress of trials less often."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sparksweep_core.api import (
    Condition,
    ConditionType,
    ExperimentStatus,
    TrialCounts,
)
from sparksweep_operator.memo import Memo
from sparksweep_operator.pacing import (
    PROGRESS_INTERVAL,
    RECHECK_AFTER,
    creation_delay,
    progress_interval,
    status_delay,
)

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
MOMENT = 1000.0
"""Of the monotonic clock, in seconds."""
RUNNING = Condition(
    type=ConditionType.RUNNING, status="True", reason="TrialsRunning", last_transition_time=NOW
)
BEFORE = ExperimentStatus(progress="1/9", conditions=[RUNNING], trials=TrialCounts(created=9))
FURTHER = BEFORE.model_copy(update={"progress": "2/9", "trials": TrialCounts(created=10)})
ENDED = FURTHER.model_copy(update={"completion_time": NOW})


@pytest.mark.parametrize("seconds", [0.0, 0.5, 1.9])
def test_progress_waits_until_the_last_write_is_long_enough_ago(seconds: float) -> None:
    wrote = Memo(status_written_at=MOMENT - seconds)
    assert status_delay(BEFORE, FURTHER, wrote, now=MOMENT) == PROGRESS_INTERVAL - timedelta(
        seconds=seconds
    )


def test_progress_is_written_at_once_when_nothing_was_for_a_while() -> None:
    assert not status_delay(BEFORE, FURTHER, Memo(), now=MOMENT)
    assert not status_delay(
        BEFORE,
        FURTHER,
        Memo(status_written_at=MOMENT - PROGRESS_INTERVAL.total_seconds()),
        now=MOMENT,
    )


@pytest.mark.parametrize(
    ("running", "seconds"), [(0, 2), (1, 2), (200, 2), (500, 5), (1000, 10), (10_000, 30)]
)
def test_progress_is_written_less_often_the_more_experiments_run(
    running: int, seconds: int
) -> None:
    interval = progress_interval(running)
    assert interval == timedelta(seconds=seconds)
    wrote = Memo(status_written_at=MOMENT)
    assert status_delay(BEFORE, FURTHER, wrote, now=MOMENT, interval=interval) == interval
    assert not status_delay(BEFORE, ENDED, wrote, now=MOMENT, interval=interval)


def test_what_is_more_than_progress_does_not_wait() -> None:
    assert not status_delay(BEFORE, ENDED, Memo(status_written_at=MOMENT), now=MOMENT)
    held = RUNNING.model_copy(update={"status": "False"})
    stopped = FURTHER.model_copy(update={"conditions": [held]})
    assert not status_delay(BEFORE, stopped, Memo(status_written_at=MOMENT), now=MOMENT)


def test_nothing_new_waits_for_nothing() -> None:
    assert not status_delay(BEFORE, BEFORE, Memo(status_written_at=MOMENT), now=MOMENT)


def test_a_driver_that_was_refused_is_tried_again_after_a_while() -> None:
    assert not creation_delay(Memo(), MOMENT)
    refused = Memo(creation_failed_at=MOMENT)
    assert (
        creation_delay(refused, MOMENT + RECHECK_AFTER.total_seconds() / 4) == RECHECK_AFTER * 3 / 4
    )
    assert not creation_delay(refused, MOMENT + RECHECK_AFTER.total_seconds())
