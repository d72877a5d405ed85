"""The Experiment's status, of a size that does not depend on the number of trials.

The planner computes it here; the operator's reconciler writes it to the API server, a local run to ``experiment.yaml``.
A TrialBatch's status is the driver's: ``sparksweep_trainer.kubernetes.batch_statuses`` computes it, and
``status_writer`` sends it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice

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
from sparksweep_core.history import FailedTrial
from sparksweep_core.planner.snapshot import Snapshot
from sparksweep_core.planner.status_bounds import fit
from sparksweep_core.planner.types import DriverState

MESSAGE = 512
"""Maximum length of a recent trial's message in characters; `status_bounds` bounds the status in bytes."""


def experiment_status(
    snapshot: Snapshot,
    *,
    before: ExperimentStatus,
    conditions: list[Condition],
    finished: bool,
    started: datetime | None,
    created: int,
) -> ExperimentStatus:
    """Compute the Experiment's status.

    Args:
        snapshot: the experiment.
        before: the last status, whose locations are kept.
        conditions: the conditions.
        finished: True at the end. Trials that have not ended by then, because there was no driver, count as Stopped:
            no driver will ever write that into their batches, whose ``spec.stop`` says the same.
        started: time when the first batch was created.
        created: number of trials in the batches that are yet to be written; they count as Pending.
    """
    counts = _counts(snapshot, created=created, finished=finished)
    ended = counts.succeeded + counts.failed + counts.stopped
    objective = snapshot.spec.objective
    status = ExperimentStatus(
        observed_generation=snapshot.experiment.metadata.generation,
        state=state_word(conditions),
        progress=str(ended) if counts.expected is None else f"{ended}/{counts.expected}",
        conditions=conditions,
        trials=counts,
        best_trial=_best(snapshot.best, objective),
        recent_trials=_recent(snapshot, finished=finished),
        start_time=started,
        completion_time=max(snapshot.now, started or snapshot.now) if finished else None,
        tensorboard=before.tensorboard,
        results=before.results,
        seed=snapshot.seed,
    )
    return bounded_status(status, objective)


def bounded_status(status: ExperimentStatus, objective: Objective | None) -> ExperimentStatus:
    """Return the status within its bound of bytes; the objective's metric stays in it whatever is left out."""
    return fit(status, objective=objective.objective_metric_name if objective else None)


def state_word(conditions: Sequence[Condition]) -> str:
    """Sum the conditions up in one word: ``status.state``."""
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


def _counts(snapshot: Snapshot, *, created: int, finished: bool) -> TrialCounts:
    counts = snapshot.counts
    total = counts.created + created
    pending, running, stopped = counts.pending + created, counts.running, counts.stopped
    if finished:
        pending, running, stopped = 0, 0, stopped + pending + running
    return counts.model_copy(
        update={
            # A limit lowered below the number of trials created so far removes none of them.
            "expected": max(snapshot.limit, total) if snapshot.is_bounded else None,
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


def _recent(snapshot: Snapshot, *, finished: bool) -> list[RecentTrial]:
    """List the best trial, the last failed ones, and running ones up to the limit, sorted by number."""
    objective = snapshot.spec.objective
    chosen = [_recent_trial(snapshot.best, objective)] if snapshot.best else []
    chosen += map(_recent_failure, snapshot.summary.failures)
    if snapshot.driver.state is DriverState.RUNNING and not finished:
        running = islice(_running(snapshot), limits.RECENT_TRIALS - len(chosen))
        chosen += (_recent_trial(trial, objective) for trial in running)
    return sorted(chosen, key=lambda trial: trial.number)


def _running(snapshot: Snapshot) -> Iterator[Trial]:
    """Yield the running trials, by number."""
    batches = [record for record in snapshot.history.unfinished if record.summary.running]
    for trial in heapq.merge(
        *(record.trials for record in batches), key=lambda trial: trial.number
    ):
        if trial.state is TrialState.RUNNING:
            yield trial


def _recent_failure(trial: FailedTrial) -> RecentTrial:
    return RecentTrial(
        number=trial.number,
        state=TrialState.FAILED,
        attempt=trial.attempt,
        reason=trial.reason,
        message=trial.message[:MESSAGE] if trial.message else None,
    )


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
