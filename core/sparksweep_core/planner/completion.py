"""Completion of an experiment: its end, and the reason.

Ending an experiment with unfinished trials takes time: they have to be stopped. Meanwhile the decision is kept in the
batches: ``spec.stop`` is the driver's order, and an annotation holds the reason for the planner. An end thus stays
decided, even if someone edits the limit that led to it or wipes the Experiment's status.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sparksweep_core.api import (
    ConditionType,
    ExperimentReason,
    ObjectiveType,
    Stop,
    TrialBatch,
    TrialReason,
    reaches_goal,
)
from sparksweep_core.contract.annotations import ENDING_ANNOTATION
from sparksweep_core.history import Summary
from sparksweep_core.history.failures import DIFFERENT
from sparksweep_core.planner.snapshot import Snapshot, count_text

MESSAGE = 1024
"""Maximum length of a condition's message in characters; `status_bounds` bounds the status in bytes."""

FEWEST_IDENTICAL_FAILURES = 10
"""Identical failures, beyond those of trials that ran at the same time, after which the rest would fail, too."""

_COMPLETE = (
    ExperimentReason.GOAL_REACHED,
    ExperimentReason.SEARCH_SPACE_EXHAUSTED,
    ExperimentReason.MAX_TRIALS_REACHED,
)


@dataclass(frozen=True, slots=True)
class Ending:
    """End of an experiment, with its reason."""

    reason: ExperimentReason
    message: str

    @property
    def condition(self) -> ConditionType:
        """Type of the condition that states the end: Complete or Failed."""
        return ConditionType.COMPLETE if self.reason in _COMPLETE else ConditionType.FAILED

    @property
    def stop(self) -> Stop:
        """The driver's order to end the trials."""
        reached = self.reason is ExperimentReason.GOAL_REACHED
        reason = TrialReason.GOAL_REACHED if reached else TrialReason.EXPERIMENT_FAILED
        return Stop(reason=reason, message=self.message)


def early_ending(snapshot: Snapshot, started: datetime | None) -> Ending | None:
    """Return the end that was decided before, else the first that applies of goal, failures, deadline, refusal."""
    return (
        _decided(snapshot.summary)
        or _goal(snapshot)
        or _failures(snapshot)
        or _identical_failures(snapshot)
        or _deadline(snapshot, started)
        or _refusal(snapshot.summary)
    )


def regular_ending(snapshot: Snapshot) -> Ending:
    """Return the end of an experiment whose trials have all been created and have ended."""
    counts = snapshot.counts
    if counts.succeeded == 0:
        message = f"None of {_trials(counts.created)} succeeded.{_last_failure(snapshot.summary)}"
        return _ending(ExperimentReason.NO_TRIAL_SUCCEEDED, message)
    points = "grid points" if snapshot.is_grid else "points of the search space"
    failed = f" {_trials(counts.failed)} failed." if counts.failed else ""
    if snapshot.points is not None and counts.created >= snapshot.points:
        message = f"All {counts.created} {points} ran.{failed}"
        return _ending(ExperimentReason.SEARCH_SPACE_EXHAUSTED, message)
    if counts.created < snapshot.limit:
        message = f"The search ended after {_trials(counts.created)}.{failed}"
        return _ending(ExperimentReason.SEARCH_SPACE_EXHAUSTED, message)
    ran = (
        f"{counts.created} of {count_text(snapshot.points)} {points} ran"
        if snapshot.points is not None
        else f"{_trials(counts.created)} ran"
    )
    message = f"{ran} ({snapshot.limit_text}).{failed}"
    return _ending(ExperimentReason.MAX_TRIALS_REACHED, message)


def with_stop(batch: TrialBatch, ending: Ending) -> TrialBatch:
    """Return the batch with the order to stop."""
    annotations = {**(batch.metadata.annotations or {}), ENDING_ANNOTATION: ending.reason.value}
    return batch.model_copy(
        update={
            "metadata": batch.metadata.model_copy(update={"annotations": annotations}),
            "spec": batch.spec.model_copy(update={"stop": ending.stop}),
        }
    )


def _decided(summary: Summary) -> Ending | None:
    ending = summary.ending
    return None if ending is None else Ending(ExperimentReason(ending.text), ending.message)


def _goal(snapshot: Snapshot) -> Ending | None:
    objective = snapshot.spec.objective
    if objective is None or snapshot.best is None:
        return None
    value = snapshot.best.objective_value(objective)
    if value is None or not reaches_goal(value, objective):
        return None
    side = "least" if objective.type is ObjectiveType.MAXIMIZE else "most"
    return _ending(
        ExperimentReason.GOAL_REACHED,
        f"Trial {snapshot.best.number} reached the goal: {objective.objective_metric_name} is {value:g}, "
        f"at {side} {objective.goal:g}.",
    )


def _failures(snapshot: Snapshot) -> Ending | None:
    allowed, failed = snapshot.spec.max_failed_trial_count, snapshot.counts.failed
    # As in Katib: the experiment fails when the count is reached, and 0 lets no trial fail either.
    if allowed is None or failed < max(1, allowed):
        return None
    return _ending(
        ExperimentReason.MAX_FAILED_TRIALS_REACHED,
        f"{_trials(failed)} failed (maxFailedTrialCount: {allowed}).{_last_failure(snapshot.summary)}",
    )


def _identical_failures(snapshot: Snapshot) -> Ending | None:
    """Check for trials that have all failed alike from the start: an error of the code, which every trial would repeat.

    Trials that start together may share a passing cause, such as a server that is restarted. So as many as run in parallel
    are counted on top.
    """
    counts = snapshot.counts
    needed = FEWEST_IDENTICAL_FAILURES + snapshot.spec.parallel_trial_count
    if snapshot.spec.max_failed_trial_count is not None or counts.succeeded:
        return None
    if counts.failed < needed or counts.failed + counts.stopped >= snapshot.limit:
        return None
    if snapshot.summary.failure_kind == DIFFERENT:
        return None
    return _ending(
        ExperimentReason.IDENTICAL_FAILURES,
        f"The first {_trials(counts.failed)} failed alike, so the others were not run; "
        f"to run them all the same, set maxFailedTrialCount (max_failed_trials in Python).{_last_failure(snapshot.summary)}",
    )


def _deadline(snapshot: Snapshot, started: datetime | None) -> Ending | None:
    left = time_left(snapshot, started)
    if left is None or left > timedelta(0):
        return None
    seconds = snapshot.spec.active_deadline_seconds
    ended = snapshot.counts.created - snapshot.unfinished
    return _ending(
        ExperimentReason.DEADLINE_EXCEEDED,
        f"Not finished {seconds} s after its start (activeDeadlineSeconds: {seconds}); {_trials(ended)} had ended.",
    )


def time_left(snapshot: Snapshot, started: datetime | None) -> timedelta | None:
    """Return the time to the deadline; None without one, or before the start.

    Counted from status.startTime, including time in suspension. (A Kubernetes Job resets its startTime when it is
    resumed; ours is always the time when the first trials were created.)
    """
    if started is None or snapshot.spec.active_deadline_seconds is None:
        return None
    return timedelta(seconds=snapshot.spec.active_deadline_seconds) - snapshot.age(started)


def _refusal(summary: Summary) -> Ending | None:
    if summary.refused is None:
        return None
    return _ending(ExperimentReason.FUNCTION_REFUSED, summary.refused.text)


def _last_failure(summary: Summary) -> str:
    if not summary.failures:
        return ""
    trial = summary.failures[0]
    why = [text for text in (trial.reason, trial.message) if text]
    return ": ".join([f" Trial {trial.number} failed last", *why])


def _ending(reason: ExperimentReason, message: str) -> Ending:
    return Ending(reason, message[:MESSAGE])


def _trials(count: int) -> str:
    return f"{count} trial" if count == 1 else f"{count} trials"
