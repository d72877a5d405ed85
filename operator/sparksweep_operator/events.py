"""The Kubernetes events of an experiment: what changed between two statuses, for ``kubectl describe``. Pure.

Best effort, as all events are: one may be missing after a crash between the status and the event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sparksweep_core.api import ConditionType, ExperimentStatus, TrialBatch, TrialState

MAX_FAILURE_EVENTS = 10
"""Failed trials of an experiment that get an event of their own."""
FIRST_BATCHES = 5
"""Batches that get an event each; later ones get one for every ten."""
MESSAGE = 1024
"""Characters of an event's message; the API server takes no more."""

_ANNOUNCED = (ConditionType.SUSPENDED, ConditionType.COMPLETE, ConditionType.FAILED)
"""Conditions whose reason is an event's when they become true. Accepted=False comes with Failed."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an experiment."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def events_between(
    before: ExperimentStatus, after: ExperimentStatus, new_batches: Sequence[TrialBatch]
) -> list[Event]:
    """The events of a step.

    Args:
        before: the status before it.
        after: the status after it.
        new_batches: the batches that were created in it.
    """
    return [
        *_started(before, after),
        *_batches(new_batches),
        *_failures(before, after),
        *_conditions(before, after),
    ]


def driver_started(name: str, number: int, why: str, *, keeps_files: bool = False) -> Event:
    """The event of a driver's start; the first one's is no news.

    Args:
        name: the driver's.
        number: its number.
        why: what became of the one before, if that is known.
        keeps_files: whether the run directory is still there.
    """
    if number == 0:
        return Event("Normal", "DriverCreated", f"Created the driver {name}.")
    lost = "" if keeps_files else ", with which trials' logs and files until now are gone"
    message = f"Created the driver {name} to go on where the one before it ended{lost}. {why}"
    message = message.strip()
    return Event("Warning" if why else "Normal", "DriverRestarted", message[:MESSAGE])


def _started(before: ExperimentStatus, after: ExperimentStatus) -> Iterator[Event]:
    if before.start_time is None and after.start_time is not None:
        expected = after.trials.expected
        trials = "trials without a known end" if expected is None else f"{expected} trials"
        yield Event("Normal", "Started", f"The experiment has started: {trials}.")


def _batches(created: Sequence[TrialBatch]) -> Iterator[Event]:
    new = [
        batch for batch in created if batch.spec.index < FIRST_BATCHES or batch.spec.index % 10 == 0
    ]
    if not new:
        return
    numbers = [trial.number for batch in new for trial in batch.spec.trials]
    names = ", ".join(batch.metadata.name for batch in new)
    trials = f"trials {min(numbers)} to {max(numbers)}" if numbers else "no trials"
    yield Event("Normal", "BatchCreated", f"Created {names}: {trials}."[:MESSAGE])


def _failures(before: ExperimentStatus, after: ExperimentStatus) -> Iterator[Event]:
    if before.trials.failed >= MAX_FAILURE_EVENTS:
        return
    known = {trial.number for trial in before.recent_trials if trial.state is TrialState.FAILED}
    for trial in after.recent_trials:
        if trial.state is TrialState.FAILED and trial.number not in known:
            text = f"Trial {trial.number} failed: {trial.reason}. {trial.message or ''}".strip()
            yield Event("Warning", "TrialFailed", text[:MESSAGE])
    if after.trials.failed >= MAX_FAILURE_EVENTS:
        message = (
            f"{after.trials.failed} trials have failed; further ones get no event of their own."
        )
        yield Event("Warning", "ManyTrialsFailed", message)


def _conditions(before: ExperimentStatus, after: ExperimentStatus) -> Iterator[Event]:
    for item in after.conditions:
        if item.type in _ANNOUNCED and item.is_true and not before.holds(item.type):
            failed = item.type is ConditionType.FAILED
            text = f"{item.type.value}: {item.message}"
            yield Event("Warning" if failed else "Normal", item.reason, text[:MESSAGE])
    suspended = ConditionType.SUSPENDED
    if before.holds(suspended) and after.condition(suspended, "False") is not None:
        yield Event("Normal", "Resumed", "The experiment goes on.")
