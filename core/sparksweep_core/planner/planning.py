"""The planner: one pure function from an experiment's state to the actions to take."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta

from sparksweep_core.ages import Age, age_at
from sparksweep_core.algorithms import UnsupportedAlgorithm, create
from sparksweep_core.api import ConditionType, Experiment, ExperimentStatus, TrialBatch
from sparksweep_core.history import History, HistoryView
from sparksweep_core.planner.batching import next_batches
from sparksweep_core.planner.completion import (
    Ending,
    early_ending,
    regular_ending,
    time_left,
    with_stop,
)
from sparksweep_core.planner.conditions import (
    Observation,
    observe,
    observe_oversize,
    observe_refusal,
    observe_rejection,
    to_conditions,
)
from sparksweep_core.planner.seeding import seed_of, with_seed
from sparksweep_core.planner.snapshot import Snapshot
from sparksweep_core.planner.status import bounded_status, experiment_status, state_word
from sparksweep_core.planner.types import DriverState, DriverStatus, Locations, Plan


def plan(
    experiment: Experiment,
    history: HistoryView | Sequence[TrialBatch],
    *,
    driver: DriverStatus,
    now: datetime,
    locations: Locations | None = None,
    age: Age | None = None,
) -> Plan:
    """Plan the next actions for an experiment.

    Level-triggered: the plan follows from the current state, never from events, so a call that was missed or made twice
    does no harm. Of the old status only two facts are used: that the experiment has ended, which is final, and times.
    Everything else follows from the spec and the batches.

    Args:
        experiment: the checked document, with its last status if it has one.
        history: all TrialBatches of the experiment with the driver's statuses: a view of their history, whose cost
            does not grow with the finished ones, or a list in any order, from which one is made.
        driver: the driver's current status.
        now: the time, with a time zone.
        locations: the locations to name in the status; None: those of the last status.
        age: gives the ages of stored times, from which a deadline and a TTL count (`Ages`); None: by the wall clock.
    """
    now = _truncate_to_milliseconds(now)
    age = age or age_at(now)
    before = _last_status(experiment, locations)
    if before.holds(ConditionType.COMPLETE, ConditionType.FAILED):
        return _plan_after_end(experiment, before, age)
    view = history if isinstance(history, HistoryView) else History(history).view()
    try:
        seed = seed_of(experiment, view.summary)
        algorithm = create(with_seed(experiment.spec, seed))
    except UnsupportedAlgorithm as error:
        return reject(experiment, str(error), now=now, locations=locations, age=age)
    snapshot = Snapshot.take(
        experiment, view, algorithm=algorithm, driver=driver, now=now, seed=seed, age=age
    )
    started = _start_time(snapshot, before)
    ending = early_ending(snapshot, started)
    changed = next_batches(snapshot) if ending is None else []
    if ending is None and not changed and snapshot.unfinished == 0:
        ending = regular_ending(snapshot)
    if ending is not None:
        return _plan_end(snapshot, ending, before=before, started=started)
    return _plan_trials(snapshot, changed, before=before, started=started)


def _plan_trials(
    snapshot: Snapshot,
    changed: Sequence[TrialBatch],
    *,
    before: ExperimentStatus,
    started: datetime | None,
) -> Plan:
    if snapshot.spec.suspend:
        changed = ()
    if started is None and changed:
        started = snapshot.now
    status = _status(snapshot, None, changed, before=before, started=started, finished=False)
    return Plan(
        batches=tuple(changed),
        driver_wanted=not snapshot.spec.suspend,
        status=status,
        requeue_after=time_left(snapshot, started),
        finished=False,
        expired=False,
    )


def _plan_end(
    snapshot: Snapshot, ending: Ending, *, before: ExperimentStatus, started: datetime | None
) -> Plan:
    # Without a driver nothing can end a trial or finish one.
    finished = snapshot.unfinished == 0 or snapshot.driver.state is DriverState.ABSENT
    batches = (record.batch() for record in snapshot.history.unfinished)
    to_stop = [with_stop(batch, ending) for batch in batches if batch.spec.stop is None]
    status = _status(snapshot, ending, (), before=before, started=started, finished=finished)
    left = _ttl_left(snapshot.experiment, status, snapshot.age) if finished else None
    return Plan(
        batches=tuple(to_stop),
        # A driver that is still starting has nothing to stop. Once it is gone, its trials count as stopped.
        driver_wanted=not finished and snapshot.driver.state is DriverState.RUNNING,
        status=status,
        requeue_after=left,
        finished=finished,
        expired=False,
    )


def _plan_after_end(experiment: Experiment, status: ExperimentStatus, age: Age) -> Plan:
    left = _ttl_left(experiment, status, age)
    expired = left == timedelta(0)
    return Plan(
        batches=(),
        driver_wanted=False,
        status=status,
        requeue_after=None if expired else left,
        finished=True,
        expired=expired,
    )


def reject(
    experiment: Experiment,
    message: str,
    *,
    now: datetime,
    locations: Locations | None = None,
    age: Age | None = None,
) -> Plan:
    """Plan for an experiment whose spec can't be run: start nothing, and give the reason in the status.

    Args:
        experiment: the document, with its last status if it has one.
        message: the reason.
        now: the time, with a time zone.
        locations: the locations to name in the status; None: those of the last status.
        age: gives the ages of stored times, as for `plan`.
    """
    now = _truncate_to_milliseconds(now)
    age = age or age_at(now)
    before = _last_status(experiment, locations)
    if before.holds(ConditionType.COMPLETE, ConditionType.FAILED):
        return _plan_after_end(experiment, before, age)
    return _failed(experiment, before, observe_rejection(message), now=now, age=age)


def fail_oversized(
    experiment: Experiment, planned: Plan, message: str, *, now: datetime, age: Age | None = None
) -> Plan:
    """Return the plan of an experiment with a batch that the API server can never store: it ends as Failed.

    Args:
        experiment: the document, with its last status if it has one.
        planned: the plan that could not be carried out.
        message: the batch, and the API server's words.
        now: the time, with a time zone.
        age: gives the ages of stored times, as for `plan`.
    """
    now = _truncate_to_milliseconds(now)
    before = _without_batches(experiment, planned)
    observed = observe_oversize(message, planned.status.conditions)
    counts = before.trials
    stopped = counts.stopped + counts.pending + counts.running
    update = {"pending": 0, "running": 0, "stopped": stopped}
    before = before.model_copy(update={"trials": counts.model_copy(update=update)})
    return _failed(experiment, before, observed, now=now, age=age or age_at(now))


def hold_refused(experiment: Experiment, planned: Plan, message: str, *, now: datetime) -> Plan:
    """Return a plan without its batches, which the API server refuses for now, and the reason in its status.

    Args:
        experiment: the document, with its last status if it has one.
        planned: the plan that could not be carried out.
        message: the batch, and the API server's words.
        now: the time, with a time zone.
    """
    before = _without_batches(experiment, planned)
    conditions = to_conditions(
        observe_refusal(message, planned.status.conditions),
        before=before.conditions,
        generation=experiment.metadata.generation,
        now=_truncate_to_milliseconds(now),
    )
    status = before.model_copy(update={"state": state_word(conditions), "conditions": conditions})
    status = bounded_status(status, experiment.spec.objective)
    return dataclasses.replace(planned, batches=(), status=status)


def _without_batches(experiment: Experiment, planned: Plan) -> ExperimentStatus:
    """Return the last status, which counts no trial of the batches that could not be written, with the plan's seed."""
    locations = Locations(results=planned.status.results, tensorboard=planned.status.tensorboard)
    return _last_status(experiment, locations).model_copy(
        update={
            "observed_generation": experiment.metadata.generation,
            "seed": planned.status.seed,
        }
    )


def _failed(
    experiment: Experiment,
    before: ExperimentStatus,
    observed: list[Observation],
    *,
    now: datetime,
    age: Age,
) -> Plan:
    """Return the plan of an experiment that ends now, with the given conditions."""
    generation = experiment.metadata.generation
    conditions = to_conditions(observed, before=before.conditions, generation=generation, now=now)
    status = before.model_copy(
        update={
            "observed_generation": generation,
            "state": state_word(conditions),
            "conditions": conditions,
            "completion_time": now,
        }
    )
    status = bounded_status(status, experiment.spec.objective)
    return Plan(
        batches=(),
        driver_wanted=False,
        status=status,
        requeue_after=_ttl_left(experiment, status, age),
        finished=True,
        expired=False,
    )


def _status(
    snapshot: Snapshot,
    ending: Ending | None,
    changed: Sequence[TrialBatch],
    *,
    before: ExperimentStatus,
    started: datetime | None,
    finished: bool,
) -> ExperimentStatus:
    conditions = to_conditions(
        observe(snapshot, ending, finished=finished, before=before.conditions),
        before=before.conditions,
        generation=snapshot.experiment.metadata.generation,
        now=snapshot.now,
    )
    last = snapshot.history.last
    created = sum(len(batch.spec.trials) for batch in changed)
    if last is not None and any(batch.metadata.name == last.name for batch in changed):
        created -= len(last.trials)
    return experiment_status(
        snapshot,
        before=before,
        conditions=conditions,
        finished=finished,
        started=started,
        created=created,
    )


def _last_status(experiment: Experiment, locations: Locations | None) -> ExperimentStatus:
    status = experiment.status or ExperimentStatus()
    if locations is None:
        return status
    return status.model_copy(
        update={"results": locations.results, "tensorboard": locations.tensorboard}
    )


def _truncate_to_milliseconds(now: datetime) -> datetime:
    """Drop what the wire format lacks: a status that is written must equal the one that is read back."""
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _start_time(snapshot: Snapshot, before: ExperimentStatus) -> datetime | None:
    """Return the time when the first batch was created; derived from the batches if the status was lost."""
    if before.start_time is not None or not snapshot.summary.batches:
        return before.start_time
    return snapshot.summary.first_time or snapshot.now


def _ttl_left(experiment: Experiment, status: ExperimentStatus, age: Age) -> timedelta | None:
    """Return the time until the experiment is to be deleted; 0 if that is over, None if it is never deleted."""
    ttl = experiment.spec.ttl_seconds_after_finished
    if ttl is None or status.completion_time is None:
        return None
    return max(timedelta(0), timedelta(seconds=ttl) - age(status.completion_time))
