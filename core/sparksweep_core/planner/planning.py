"""The planner: from what is to what there is to do, as one pure function that the operator and local runs share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sparksweep_core.algorithms import UnsupportedAlgorithm, create
from sparksweep_core.api import ConditionType, Experiment, ExperimentStatus, TrialBatch
from sparksweep_core.planner.batching import next_batches
from sparksweep_core.planner.completion import (
    Ending,
    ending_after_the_last_trial,
    ending_before_the_last_trial,
    stopped,
    time_left,
)
from sparksweep_core.planner.conditions import conditions_of, findings, rejected
from sparksweep_core.planner.snapshot import Snapshot, look
from sparksweep_core.planner.status import state_word, summarise
from sparksweep_core.planner.types import DriverState, DriverView, Plan


def plan(
    experiment: Experiment, batches: Sequence[TrialBatch], driver: DriverView, now: datetime
) -> Plan:
    """What there is to do for an experiment.

    Level-triggered: it asks what is, never what happened, so a call that was missed, or made twice, does no harm. Only
    two facts of the status are ever read back: that the experiment has ended, which is for good, and when things
    happened. All else follows from the spec and the batches.

    Args:
        experiment: the checked document, with its last status if it has one.
        batches: all TrialBatches of the experiment, in any order, with the driver's statuses.
        driver: the driver as it is now.
        now: the time, with a time zone.
    """
    # The wire has milliseconds: what is written now must equal what is read later.
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    before = experiment.status or ExperimentStatus()
    if before.holds(ConditionType.COMPLETE, ConditionType.FAILED):
        return _after_the_end(experiment, before, now)
    try:
        algorithm = create(experiment.spec)
    except UnsupportedAlgorithm as error:
        return reject(experiment, str(error), now)
    view = look(experiment, batches, algorithm=algorithm, driver=driver, now=now)
    started = _started(view, before)
    ending = ending_before_the_last_trial(view, started)
    refill = next_batches(view) if ending is None else []
    if ending is None and not refill and view.unfinished == 0:
        ending = ending_after_the_last_trial(view)
    if ending is not None:
        return _end(view, ending, before=before, started=started)
    return _go_on(view, refill, before=before, started=started)


def _go_on(
    view: Snapshot,
    refill: Sequence[TrialBatch],
    *,
    before: ExperimentStatus,
    started: datetime | None,
) -> Plan:
    if view.spec.suspend:
        refill = ()
    if started is None and refill:
        started = view.now
    status = _status(view, None, refill, before=before, started=started, finished=False)
    return Plan(
        batches=tuple(refill),
        driver_wanted=not view.spec.suspend,
        status=status,
        requeue_after=time_left(view, started),
        finished=False,
        expired=False,
    )


def _end(
    view: Snapshot, ending: Ending, *, before: ExperimentStatus, started: datetime | None
) -> Plan:
    # Without a driver nobody is left who could end a trial, or finish one.
    finished = view.unfinished == 0 or view.driver.state is DriverState.ABSENT
    to_stop = [stopped(batch, ending) for batch in view.batches if _needs_stop(batch)]
    status = _status(view, ending, (), before=before, started=started, finished=finished)
    left = _ttl_left(view.experiment, status, view.now) if finished else None
    return Plan(
        batches=tuple(to_stop),
        # A driver that has not begun has nothing to stop. Once it is gone, its trials count as stopped.
        driver_wanted=not finished and view.driver.state is DriverState.RUNNING,
        status=status,
        requeue_after=left,
        finished=finished,
        expired=False,
    )


def _after_the_end(experiment: Experiment, status: ExperimentStatus, now: datetime) -> Plan:
    left = _ttl_left(experiment, status, now)
    expired = left == timedelta(0)
    return Plan(
        batches=(),
        driver_wanted=False,
        status=status,
        requeue_after=None if expired else left,
        finished=True,
        expired=expired,
    )


def reject(experiment: Experiment, message: str, now: datetime) -> Plan:
    """What there is to do for an experiment whose spec can't be run, for the reason given: nothing but to say so."""
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    before = experiment.status or ExperimentStatus()
    if before.holds(ConditionType.COMPLETE, ConditionType.FAILED):
        return _after_the_end(experiment, before, now)
    generation = experiment.metadata.generation
    conditions = conditions_of(
        rejected(message), known=before.conditions, generation=generation, now=now
    )
    status = before.model_copy(
        update={
            "observed_generation": generation,
            "state": state_word(conditions),
            "conditions": conditions,
            "completion_time": now,
        }
    )
    return Plan(
        batches=(),
        driver_wanted=False,
        status=status,
        requeue_after=_ttl_left(experiment, status, now),
        finished=True,
        expired=False,
    )


def _status(
    view: Snapshot,
    ending: Ending | None,
    refill: Sequence[TrialBatch],
    *,
    before: ExperimentStatus,
    started: datetime | None,
    finished: bool,
) -> ExperimentStatus:
    conditions = conditions_of(
        findings(view, ending, finished=finished, known=before.conditions),
        known=before.conditions,
        generation=view.experiment.metadata.generation,
        now=view.now,
    )
    known = {batch.spec.index: len(batch.spec.trials) for batch in view.batches}
    created = sum(len(batch.spec.trials) - known.get(batch.spec.index, 0) for batch in refill)
    return summarise(
        view, conditions=conditions, finished=finished, started=started, created=created
    )


def _needs_stop(batch: TrialBatch) -> bool:
    if batch.spec.stop is not None:
        return False
    statuses = batch.status.trials if batch.status else []
    return sum(status.state.is_finished for status in statuses) < len(batch.spec.trials)


def _started(view: Snapshot, before: ExperimentStatus) -> datetime | None:
    """When the first batch was made; from the batches if the status was lost."""
    if before.start_time is not None or not view.batches:
        return before.start_time
    made = (batch.metadata.creation_timestamp for batch in view.batches)
    ran = (trial.status.start_time for trial in view.trials)
    return min((moment for moment in (*made, *ran) if moment is not None), default=view.now)


def _ttl_left(experiment: Experiment, status: ExperimentStatus, now: datetime) -> timedelta | None:
    """Time until the experiment is to be deleted, 0 when it is over; None: it stays."""
    ttl = experiment.spec.ttl_seconds_after_finished
    if ttl is None or status.completion_time is None:
        return None
    return max(timedelta(0), status.completion_time + timedelta(seconds=ttl) - now)
