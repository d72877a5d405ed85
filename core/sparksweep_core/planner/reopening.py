"""Reopening of an experiment that has ended, under limits that let it go on. Pure.

An end is final for `plan`. A local run may be resumed with a higher maxTrialCount, maxFailedTrialCount or
activeDeadlineSeconds, or with another goal: then the end is taken back, and trials that it had stopped run again, so that
a search has no holes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sparksweep_core.algorithms import create
from sparksweep_core.api import (
    ConditionType,
    Experiment,
    ExperimentReason,
    ExperimentStatus,
    ObjectiveType,
    TrialBatch,
    TrialBatchStatus,
    TrialReason,
    TrialState,
    TrialStatus,
    count_states,
)
from sparksweep_core.contract.annotations import ENDING_ANNOTATION
from sparksweep_core.errors import FieldError
from sparksweep_core.history import History
from sparksweep_core.planner.batching import next_batches
from sparksweep_core.planner.completion import (
    Ending,
    early_ending,
    regular_ending,
)
from sparksweep_core.planner.snapshot import Snapshot
from sparksweep_core.planner.types import DriverState, DriverStatus

_ENDS = (ConditionType.COMPLETE, ConditionType.FAILED)


@dataclass(frozen=True, slots=True)
class Reopened:
    """State of an ended experiment as if it had not ended."""

    status: ExperimentStatus
    """The status without its end; the start stays, from which a deadline counts."""
    batches: tuple[TrialBatch, ...]
    """All batches, none with an order to stop, with the statuses of their trials."""
    restarted: tuple[TrialStatus, ...]
    """New statuses of the trials that the end had stopped: Pending, their attempts counted."""


def reopen(experiment: Experiment, batches: Sequence[TrialBatch]) -> Reopened:
    """Take an experiment's end back.

    Args:
        experiment: The experiment with its last status.
        batches: All its batches with the trials' statuses.
    """
    opened = [_without_stop(batch) for batch in batches]
    restarted = [status for _, changed in opened for status in changed]
    before = experiment.status or ExperimentStatus()
    kept = [
        condition
        for condition in before.conditions
        if condition.type not in (*_ENDS, ConditionType.ACCEPTED)
    ]
    status = before.model_copy(update={"conditions": kept, "completion_time": None})
    return Reopened(status, tuple(batch for batch, _ in opened), tuple(restarted))


def obstacle(
    experiment: Experiment, reopened: Reopened, *, now: datetime
) -> tuple[FieldError, Ending] | None:
    """Return the field that would end a reopened experiment at once, with that end; None if trials would run.

    Args:
        experiment: The experiment with the spec under which it is to go on.
        reopened: Its reopened state.
        now: The time, with a time zone.
    """
    snapshot = Snapshot.take(
        experiment.model_copy(update={"status": reopened.status}),
        History(reopened.batches).view(),
        algorithm=create(experiment.spec),
        driver=DriverStatus(state=DriverState.STARTING),
        now=now,
    )
    ending = early_ending(snapshot, reopened.status.start_time)
    if ending is None and snapshot.unfinished == 0 and not next_batches(snapshot):
        ending = regular_ending(snapshot)
    return None if ending is None else (_finding(snapshot, ending), ending)


def _finding(snapshot: Snapshot, ending: Ending) -> FieldError:
    """Return the field whose change would let the experiment go on; of a search without more points its parameters."""
    spec = snapshot.spec
    created = snapshot.counts.created
    exhausted = snapshot.size is not None and created >= snapshot.size
    match ending.reason:
        case ExperimentReason.GOAL_REACHED if spec.objective is not None:
            goal = spec.objective.goal
            better = "higher" if spec.objective.type is ObjectiveType.MAXIMIZE else "lower"
            message = f"{goal:g} is reached, give a {better} one: {ending.message}"
            return FieldError("spec.objective.goal", message)
        case ExperimentReason.MAX_FAILED_TRIALS_REACHED:
            failed = snapshot.counts.failed
            message = f"{spec.max_failed_trial_count} is reached: give more than {failed}"
            return FieldError("spec.maxFailedTrialCount", message)
        case ExperimentReason.DEADLINE_EXCEEDED:
            start = snapshot.experiment.status.start_time if snapshot.experiment.status else None
            ago = 0 if start is None else int((snapshot.now - start).total_seconds())
            message = f"{spec.active_deadline_seconds} counts from the start, {ago} s ago: give more than that"
            return FieldError("spec.activeDeadlineSeconds", message)
    if exhausted or spec.max_trial_count is None or created < snapshot.limit:
        return FieldError("spec.parameters", f"{ending.message} There are no more points.")
    message = f"{spec.max_trial_count} is reached: give more than {created}"
    return FieldError("spec.maxTrialCount", message)


def _without_stop(batch: TrialBatch) -> tuple[TrialBatch, list[TrialStatus]]:
    """Return a batch without its order to stop, and the new statuses of the trials that it had stopped."""
    before = batch.status or TrialBatchStatus()
    statuses = [_restarted(status) for status in before.trials]
    changed = [new for new, old in zip(statuses, before.trials, strict=True) if new is not old]
    annotations = {
        name: value
        for name, value in (batch.metadata.annotations or {}).items()
        if name != ENDING_ANNOTATION
    }
    reopened = batch.model_copy(
        update={
            "metadata": batch.metadata.model_copy(update={"annotations": annotations or None}),
            "spec": batch.spec.model_copy(update={"stop": None}),
            "status": before.model_copy(
                update={"trials": statuses, "counts": count_states(statuses), "refused": None}
            ),
        }
    )
    return reopened, changed


def _restarted(status: TrialStatus) -> TrialStatus:
    if status.state is not TrialState.STOPPED:
        return status
    return TrialStatus(
        number=status.number,
        attempt=status.attempt,
        retries=status.retries,
        lost=status.lost,
        reason=TrialReason.INTERRUPTED.value if status.attempt else None,
    )
