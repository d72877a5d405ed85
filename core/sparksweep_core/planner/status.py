"""The Experiment's status: as large for a million trials as for ten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sparksweep_core.api import (
    BestTrial,
    Condition,
    ConditionType,
    ExperimentReason,
    ExperimentStatus,
    Objective,
    RecentTrial,
    Trial,
    TrialCounts,
    TrialState,
    limits,
)
from sparksweep_core.planner.completion import last_failed
from sparksweep_core.planner.snapshot import Snapshot
from sparksweep_core.planner.types import DriverState

MESSAGE = 512
"""Characters of a recent trial's message."""
FAILED = 3
"""Failed trials among the recent ones."""


def summarise(
    view: Snapshot,
    *,
    conditions: list[Condition],
    finished: bool,
    started: datetime | None,
    created: int,
) -> ExperimentStatus:
    """The status.

    Args:
        view: what is.
        conditions: the conditions.
        finished: whether this is the end. Trials that had not ended by then, for want of a driver, count as Stopped:
            no driver will ever write that into their batches, whose ``spec.stop`` says the same.
        started: when the first batch was made.
        created: trials that the batches to be written add; they are Pending.
    """
    before = view.experiment.status or ExperimentStatus()
    counts = _counts(view, created=created, finished=finished)
    ended = counts.succeeded + counts.failed + counts.stopped
    return ExperimentStatus(
        observed_generation=view.experiment.metadata.generation,
        state=state_word(conditions),
        progress=str(ended) if counts.expected is None else f"{ended}/{counts.expected}",
        conditions=conditions,
        trials=counts,
        best_trial=_best(view.best, view.spec.objective),
        recent_trials=_recent(view, finished=finished),
        start_time=started,
        completion_time=max(view.now, started or view.now) if finished else None,
        tensorboard=before.tensorboard,
        results=before.results,
    )


def state_word(conditions: Sequence[Condition]) -> str:
    """One word for all conditions."""
    true = {condition.type: condition.reason for condition in conditions if condition.is_true}
    for end in (ConditionType.COMPLETE, ConditionType.FAILED):
        if end in true:
            return end.value
    if true.get(ConditionType.RUNNING) == ExperimentReason.STOPPING:
        return ExperimentReason.STOPPING.value
    if ConditionType.SUSPENDED in true:
        return ConditionType.SUSPENDED.value
    if ConditionType.RUNNING in true:
        return ConditionType.RUNNING.value
    return TrialState.PENDING.value


def _counts(view: Snapshot, *, created: int, finished: bool) -> TrialCounts:
    counts = view.counts
    total = counts.created + created
    pending, running, stopped = counts.pending + created, counts.running, counts.stopped
    if finished:
        pending, running, stopped = 0, 0, stopped + pending + running
    return counts.model_copy(
        update={
            # A limit that was lowered below what had been made already takes nothing back.
            "expected": max(view.limit, total) if view.is_bounded else None,
            "created": total,
            "pending": pending,
            "running": running,
            "stopped": stopped,
        }
    )


def _best(best: Trial | None, objective: Objective | None) -> BestTrial | None:
    value = best.objective_value(objective) if best else None
    if best is None or value is None:
        return None
    return BestTrial(
        number=best.number,
        attempt=best.status.attempt,
        objective=value,
        parameters=best.spec.parameters,
        metrics=best.status.metrics,
    )


def _recent(view: Snapshot, *, finished: bool) -> list[RecentTrial]:
    """By number: the best trial, the ones that failed last, and running ones as far as there is room."""
    chosen = [view.best] if view.best else []
    chosen += last_failed(view.trials, FAILED)
    if view.driver.state is DriverState.RUNNING and not finished:
        running = [trial for trial in view.trials if trial.state is TrialState.RUNNING]
        chosen += running[: limits.RECENT_TRIALS - len(chosen)]
    return [
        _recent_trial(trial, view.spec.objective)
        for trial in sorted(chosen, key=lambda trial: trial.number)
    ]


def _recent_trial(trial: Trial, objective: Objective | None) -> RecentTrial:
    message = trial.status.message
    return RecentTrial(
        number=trial.number,
        state=trial.state,
        attempt=trial.status.attempt,
        objective=trial.objective_value(objective),
        reason=trial.status.reason,
        message=message[:MESSAGE] if message else None,
    )
