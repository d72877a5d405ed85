"""When an experiment ends, and why.

An end that is decided while trials are unfinished takes time: they have to be stopped. Until then the decision is kept
where the order to stop is, in the batches: their ``spec.stop`` says it to the driver, and an annotation beside it says
it to the planner. So an end that was decided once stays decided, even if someone edits the limit that led to it, or
wipes the Experiment's status.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sparksweep_core.api import (
    ConditionType,
    ExperimentReason,
    ObjectiveType,
    Stop,
    Trial,
    TrialBatch,
    TrialReason,
    TrialState,
    reaches_goal,
)
from sparksweep_core.api.metadata import GROUP
from sparksweep_core.planner.snapshot import Snapshot, count_text

ENDING_ANNOTATION = f"{GROUP}/ending"
"""On a batch with ``spec.stop``: the reason of the Complete or Failed condition that is to come."""
MESSAGE = 1024
"""Characters of a condition's message: five of them and ten trials must stay within a status of 10 kB."""

_COMPLETE = (
    ExperimentReason.GOAL_REACHED,
    ExperimentReason.SEARCH_SPACE_EXHAUSTED,
    ExperimentReason.MAX_TRIALS_REACHED,
)


@dataclass(frozen=True, slots=True)
class Ending:
    """An end, and why."""

    reason: ExperimentReason
    message: str

    @property
    def condition(self) -> ConditionType:
        """Complete or Failed."""
        return ConditionType.COMPLETE if self.reason in _COMPLETE else ConditionType.FAILED

    @property
    def stop(self) -> Stop:
        """The order that ends the trials."""
        reached = self.reason is ExperimentReason.GOAL_REACHED
        reason = TrialReason.GOAL_REACHED if reached else TrialReason.EXPERIMENT_FAILED
        return Stop(reason=reason, message=self.message)


def ending_before_the_last_trial(view: Snapshot, started: datetime | None) -> Ending | None:
    """The end that was decided earlier; else the first of goal, failures, deadline and refusal that applies."""
    return (
        _decided(view.batches)
        or _goal(view)
        or _failures(view)
        or _deadline(view, started)
        or _refusal(view.batches)
    )


def ending_after_the_last_trial(view: Snapshot) -> Ending:
    """The end of an experiment all of whose trials were created and have ended."""
    counts = view.counts
    if counts.succeeded == 0:
        message = f"None of {_trials(counts.created)} succeeded.{_last_failure(view.trials)}"
        return _ending(ExperimentReason.NO_TRIAL_SUCCEEDED, message)
    points = "grid points" if view.is_grid else "points of the search space"
    failed = f" {_trials(counts.failed)} failed." if counts.failed else ""
    if view.size is not None and counts.created >= view.size:
        message = f"All {counts.created} {points} ran.{failed}"
        return _ending(ExperimentReason.SEARCH_SPACE_EXHAUSTED, message)
    if counts.created < view.limit:
        message = f"The search ended after {_trials(counts.created)}.{failed}"
        return _ending(ExperimentReason.SEARCH_SPACE_EXHAUSTED, message)
    ran = (
        f"{counts.created} of {count_text(view.size)} {points} ran"
        if view.size is not None
        else f"{_trials(counts.created)} ran"
    )
    message = f"{ran} ({view.limit_text}).{failed}"
    return _ending(ExperimentReason.MAX_TRIALS_REACHED, message)


def stopped(batch: TrialBatch, ending: Ending) -> TrialBatch:
    """The batch with the order to stop."""
    annotations = {**(batch.metadata.annotations or {}), ENDING_ANNOTATION: ending.reason.value}
    return batch.model_copy(
        update={
            "metadata": batch.metadata.model_copy(update={"annotations": annotations}),
            "spec": batch.spec.model_copy(update={"stop": ending.stop}),
        }
    )


def _decided(batches: Sequence[TrialBatch]) -> Ending | None:
    known = {reason.value: reason for reason in ExperimentReason}
    for batch in batches:
        reason = known.get((batch.metadata.annotations or {}).get(ENDING_ANNOTATION, ""))
        if batch.spec.stop is not None and reason is not None:
            return Ending(reason, batch.spec.stop.message)
    return None


def _goal(view: Snapshot) -> Ending | None:
    objective = view.spec.objective
    if objective is None or view.best is None:
        return None
    value = view.best.objective_value(objective)
    if value is None or not reaches_goal(value, objective):
        return None
    side = "least" if objective.type is ObjectiveType.MAXIMIZE else "most"
    return _ending(
        ExperimentReason.GOAL_REACHED,
        f"Trial {view.best.number} reached the goal: {objective.objective_metric_name} is {value:g}, "
        f"at {side} {objective.goal:g}.",
    )


def _failures(view: Snapshot) -> Ending | None:
    allowed, failed = view.spec.max_failed_trial_count, view.counts.failed
    # As in Katib: the experiment fails when the count is reached, and 0 lets no trial fail either.
    if allowed is None or failed < max(1, allowed):
        return None
    return _ending(
        ExperimentReason.MAX_FAILED_TRIALS_REACHED,
        f"{_trials(failed)} failed (maxFailedTrialCount: {allowed}).{_last_failure(view.trials)}",
    )


def _deadline(view: Snapshot, started: datetime | None) -> Ending | None:
    left = time_left(view, started)
    if left is None or left > timedelta(0):
        return None
    seconds = view.spec.active_deadline_seconds
    ended = view.counts.created - view.unfinished
    return _ending(
        ExperimentReason.DEADLINE_EXCEEDED,
        f"Not finished {seconds} s after its start (activeDeadlineSeconds: {seconds}); {_trials(ended)} had ended.",
    )


def time_left(view: Snapshot, started: datetime | None) -> timedelta | None:
    """Time to the deadline; None without one, or before the start.

    Counted from status.startTime, and the time that the experiment was suspended counts too. (A Kubernetes Job sets
    its startTime anew when it is resumed; ours always says when the first trials were made.)
    """
    if started is None or view.spec.active_deadline_seconds is None:
        return None
    return started + timedelta(seconds=view.spec.active_deadline_seconds) - view.now


def _refusal(batches: Sequence[TrialBatch]) -> Ending | None:
    for batch in batches:
        if batch.status is not None and batch.status.refused is not None:
            return _ending(ExperimentReason.FUNCTION_REFUSED, batch.status.refused)
    return None


def last_failed(trials: Sequence[Trial], count: int) -> list[Trial]:
    """The trials that failed last, the newest first."""
    failed = (trial for trial in trials if trial.state is TrialState.FAILED)
    return sorted(failed, key=_ended, reverse=True)[:count]


def _ended(trial: Trial) -> tuple[float, int]:
    moment = trial.status.completion_time
    return moment.timestamp() if moment else 0.0, trial.number


def _last_failure(trials: Sequence[Trial]) -> str:
    for trial in last_failed(trials, 1):
        why = [text for text in (trial.status.reason, trial.status.message) if text]
        return ": ".join([f" Trial {trial.number} failed last", *why])
    return ""


def _ending(reason: ExperimentReason, message: str) -> Ending:
    return Ending(reason, message[:MESSAGE])


def _trials(count: int) -> str:
    return f"{count} trial" if count == 1 else f"{count} trials"
