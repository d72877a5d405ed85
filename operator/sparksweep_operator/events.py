"""Kubernetes events of an experiment: changes between two statuses, for ``kubectl describe``. Pure.

Best effort, as all events are: a crash between the write of the status and that of the event loses the event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sparksweep_core.api import ConditionType, ExperimentStatus, TrialBatch, TrialState

MAX_FAILURE_EVENTS = 10
"""Maximum number of an experiment's failed trials that get an event each."""
FIRST_BATCHES = 5
"""Number of batches that get an event each; of later ones every tenth does."""
MESSAGE = 1024
"""Maximum length of an event's message: the API server's limit."""

_ANNOUNCED = (ConditionType.SUSPENDED, ConditionType.COMPLETE, ConditionType.FAILED)
"""Conditions that get an event when they become True. Accepted=False is announced by Failed."""


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes event about an experiment."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def events_between(
    before: ExperimentStatus, after: ExperimentStatus, new_batches: Sequence[TrialBatch]
) -> list[Event]:
    """Return the events of a change of status.

    Args:
        before: the old status.
        after: the new status.
        new_batches: the batches that were created since the old status.
    """
    return [
        *_started(before, after),
        *_batches(new_batches),
        *_failures(before, after),
        *_conditions(before, after),
    ]


def driver_started(name: str, number: int, reason: str, *, keeps_files: bool = False) -> Event:
    """Return the event of a driver's creation, a warning if it replaces one that failed.

    Args:
        name: name of the driver's pod.
        number: its number.
        reason: how the previous driver ended; empty if it was ended on purpose.
        keeps_files: True if the run directory outlives drivers.
    """
    if number == 0:
        return Event("Normal", "DriverCreated", f"Created the driver {name}.")
    lost = "" if keeps_files else " The logs and files of earlier trials are lost."
    message = f"Created the driver {name} to continue where the previous one ended.{lost} {reason}"
    message = message.strip()
    return Event("Warning" if reason else "Normal", "DriverRestarted", message[:MESSAGE])


def _started(before: ExperimentStatus, after: ExperimentStatus) -> Iterator[Event]:
    if before.start_time is None and after.start_time is not None:
        expected = after.trials.expected
        trials = "an unlimited number of trials" if expected is None else f"{expected} trials"
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
    failed_before = {
        trial.number for trial in before.recent_trials if trial.state is TrialState.FAILED
    }
    for trial in after.recent_trials:
        if trial.state is TrialState.FAILED and trial.number not in failed_before:
            text = f"Trial {trial.number} failed: {trial.reason}. {trial.message or ''}".strip()
            yield Event("Warning", "TrialFailed", text[:MESSAGE])
    if after.trials.failed >= MAX_FAILURE_EVENTS:
        message = f"{after.trials.failed} trials have failed; there will be no events for further failures."
        yield Event("Warning", "ManyTrialsFailed", message)


def _conditions(before: ExperimentStatus, after: ExperimentStatus) -> Iterator[Event]:
    for item in after.conditions:
        if item.type in _ANNOUNCED and item.is_true and not before.holds(ConditionType(item.type)):
            failed = item.type == ConditionType.FAILED
            text = f"{item.type}: {item.message}"
            yield Event("Warning" if failed else "Normal", item.reason, text[:MESSAGE])
    suspended = ConditionType.SUSPENDED
    if before.holds(suspended) and after.condition(suspended, "False") is not None:
        yield Event("Normal", "Resumed", "The experiment has resumed.")
