"""Delays before an experiment's status is written, its driver is created again, and it is requeued. Pure.

`now` is a moment of the monotonic clock, in seconds, as those in the memo.
"""

from __future__ import annotations

from datetime import timedelta

from sparksweep_core.api import ExperimentStatus
from sparksweep_core.planner import Plan
from sparksweep_operator.driver_selection import DriverSelection
from sparksweep_operator.memo import Memo

STATUS_INTERVAL = timedelta(seconds=1)
"""Minimum time between two writes of an Experiment's status..."""
PROGRESS_INTERVAL = timedelta(seconds=2)
"""...and between two that differ in the progress of trials only, with few running Experiments."""
LONGEST_PROGRESS_INTERVAL = timedelta(seconds=30)
"""The same with the most running Experiments."""
PROGRESS_WRITES_A_SECOND = 100
"""Writes of the progress of all Experiments a second from which on the interval grows: each takes 2 ms of the operator's
core, and the API server writes the whole Experiment."""
RECHECK_AFTER = timedelta(seconds=10)
"""Time after which to check again what is expected to change by itself."""
PROBE_AFTER = timedelta(seconds=15)
"""Time for which a driver may have too few executors before the API server is asked for the reason."""
NONE_AFTER = timedelta(seconds=60)
"""Time for which a driver may have no executor at all before its log is named. Spark takes 9 seconds to start."""

_PROGRESS = ("trials", "progress", "best_trial", "recent_trials")
"""Fields of the status that change with the progress of trials."""


def progress_interval(running: int) -> timedelta:
    """Return the minimum time between two writes of an Experiment's progress, with so many running Experiments."""
    needed = timedelta(seconds=running / PROGRESS_WRITES_A_SECOND)
    return min(max(PROGRESS_INTERVAL, needed), LONGEST_PROGRESS_INTERVAL)


def status_delay(
    before: ExperimentStatus,
    after: ExperimentStatus,
    memo: Memo,
    *,
    now: float,
    interval: timedelta = PROGRESS_INTERVAL,
) -> timedelta:
    """Return the time to wait before the status is written; 0 unless only the trials' progress has changed.

    Args:
        before: the status as it is stored.
        after: the planned status.
        memo: the experiment's memo.
        now: the moment.
        interval: minimum time between two writes that differ in the progress of trials only.
    """
    progress_before = {name: getattr(before, name) for name in _PROGRESS}
    only_progress = after.model_copy(update=progress_before) == before
    if memo.status_written_at is None or after == before or not only_progress:
        return timedelta(0)
    return _time_left(memo.status_written_at, interval, now)


def creation_delay(memo: Memo, now: float) -> timedelta:
    """Return the time to wait before creating the driver is tried again after it failed."""
    if memo.creation_failed_at is None:
        return timedelta(0)
    return _time_left(memo.creation_failed_at, RECHECK_AFTER, now)


def requeue_delay(
    planned: Plan,
    selection: DriverSelection,
    memo: Memo,
    now: float,
    *,
    error_changed: bool,
) -> timedelta | None:
    """Return the time after which to reconcile again if nothing happens first; None to wait for a change.

    Args:
        planned: the plan that was carried out.
        selection: the driver's pods before that.
        memo: the experiment's memo after that.
        now: the moment.
        error_changed: True if `memo.creation_error` is newer than the status: the next reconcile writes its condition.
    """
    delays = [planned.requeue_after]
    if planned.finished and selection.live is not None and selection.live.has_viewer:
        delays.append(RECHECK_AFTER)
    if planned.driver_wanted:
        if selection.live is None:
            delays.append(selection.start_delay or creation_delay(memo, now) or RECHECK_AFTER)
        if error_changed:
            delays.append(STATUS_INTERVAL)
        if memo.short_of_executors_since is not None:
            delays.append(PROBE_AFTER)
    return min((delay for delay in delays if delay is not None), default=None)


def _time_left(since: float, interval: timedelta, now: float) -> timedelta:
    return max(timedelta(0), interval - timedelta(seconds=now - since))
