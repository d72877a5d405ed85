"""The Experiment's conditions.

Their messages are coarse on purpose. Counts and the best trial have fields of their own; a message that named them would
turn every finished trial into a change of the conditions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sparksweep_core.api import Condition, ConditionType, ExperimentReason
from sparksweep_core.planner.completion import MESSAGE, Ending
from sparksweep_core.planner.snapshot import Snapshot, count_text
from sparksweep_core.planner.types import DriverState
from sparksweep_core.validation.checks_search import is_reversed


@dataclass(frozen=True, slots=True)
class Observation:
    """Current state of one condition, without its times."""

    type: ConditionType
    holds: bool
    reason: ExperimentReason
    message: str


def observe(
    snapshot: Snapshot, ending: Ending | None, *, finished: bool, before: Sequence[Condition]
) -> list[Observation]:
    """Observe every condition that applies, in the order of their types."""
    observed = [_accepted(snapshot, ending), _running(snapshot, ending, finished=finished)]
    suspended = _suspended(snapshot, before)
    if suspended is not None:
        observed.append(suspended)
    if ending is not None and finished:
        observed.append(Observation(ending.condition, True, ending.reason, ending.message))
    return observed


def observe_rejection(message: str) -> list[Observation]:
    """Return the conditions of an experiment that can't be run at all."""
    reason = ExperimentReason.INVALID_SPEC
    return [
        Observation(ConditionType.ACCEPTED, False, reason, message),
        Observation(
            ConditionType.RUNNING, False, ExperimentReason.FINISHED, "Nothing was started."
        ),
        Observation(ConditionType.FAILED, True, reason, message),
    ]


def observe_oversize(message: str, before: Sequence[Condition]) -> list[Observation]:
    """Return the conditions of an experiment that ends because one of its batches is too large to be stored."""
    return [
        *_unchanged(before, ConditionType.ACCEPTED),
        Observation(
            ConditionType.RUNNING, False, ExperimentReason.FINISHED, "No further trial is started."
        ),
        Observation(ConditionType.FAILED, True, ExperimentReason.OBJECT_TOO_LARGE, message),
    ]


def observe_refusal(message: str, before: Sequence[Condition]) -> list[Observation]:
    """Return the last conditions of an experiment, and in Running the refusal of a batch."""
    return [
        *_unchanged(before, ConditionType.ACCEPTED),
        Observation(ConditionType.RUNNING, False, ExperimentReason.BATCH_REFUSED, message),
        *_unchanged(before, ConditionType.SUSPENDED),
    ]


def _unchanged(before: Sequence[Condition], kind: ConditionType) -> list[Observation]:
    return [
        Observation(kind, item.is_true, ExperimentReason(item.reason), item.message)
        for item in before
        if item.type == kind
    ]


def to_conditions(
    observed: Iterable[Observation],
    *,
    before: Sequence[Condition],
    generation: int | None,
    now: datetime,
) -> list[Condition]:
    """Convert observations to conditions. lastTransitionTime changes only when the condition's status does."""
    previous = {condition.type: condition for condition in before}
    conditions = []
    for observation in observed:
        status: Literal["True", "False"] = "True" if observation.holds else "False"
        old = previous.get(observation.type)
        conditions.append(
            Condition(
                type=observation.type,
                status=status,
                reason=observation.reason.value,
                message=observation.message[:MESSAGE],
                last_transition_time=old.last_transition_time
                if old is not None and old.status == status
                else now,
                observed_generation=generation,
            )
        )
    return conditions


def _accepted(snapshot: Snapshot, ending: Ending | None) -> Observation:
    if ending is not None and ending.reason is ExperimentReason.FUNCTION_REFUSED:
        return Observation(ConditionType.ACCEPTED, False, ending.reason, ending.message)
    if snapshot.is_grid and snapshot.is_truncated and snapshot.size is not None:
        message = (
            f"The grid has {count_text(snapshot.size)} points, of which the first {snapshot.limit} run "
            f"({snapshot.limit_text})."
        )
        return Observation(ConditionType.ACCEPTED, True, ExperimentReason.GRID_TRUNCATED, message)
    exchanged = [item.name for item in snapshot.spec.parameters if is_reversed(item)]
    if exchanged:
        message = f"min was greater than max, so they were swapped: {', '.join(exchanged)}."
        return Observation(ConditionType.ACCEPTED, True, ExperimentReason.BOUNDS_EXCHANGED, message)
    message = "The spec is valid."
    if snapshot.is_grid and snapshot.size is not None:
        message = f"The spec is valid; the grid has {count_text(snapshot.size)} points."
    return Observation(ConditionType.ACCEPTED, True, ExperimentReason.VALID, message)


def _running(snapshot: Snapshot, ending: Ending | None, *, finished: bool) -> Observation:
    kind = ConditionType.RUNNING
    if finished:
        return Observation(kind, False, ExperimentReason.FINISHED, "All trials have ended.")
    if ending is not None:
        message = f"Stopping the trials: {ending.message}"
        return Observation(kind, True, ExperimentReason.STOPPING, message)
    if snapshot.spec.suspend:
        message = "No trial starts while spec.suspend is true."
        return Observation(kind, False, ExperimentReason.SUSPENDED_BY_USER, message)
    if snapshot.driver.state is DriverState.RUNNING:
        if snapshot.driver.message and snapshot.counts.running == 0:
            reason = ExperimentReason.WAITING_FOR_EXECUTORS
            return Observation(kind, False, reason, snapshot.driver.message)
        message = f"Trials are running, at most {snapshot.spec.slots} at once."
        if snapshot.driver.message:
            message = f"{message} {snapshot.driver.message}"
        return Observation(kind, True, ExperimentReason.TRIALS_RUNNING, message)
    message = snapshot.driver.message or "The Spark driver is being started."
    return Observation(kind, False, ExperimentReason.WAITING_FOR_DRIVER, message)


def _suspended(snapshot: Snapshot, before: Sequence[Condition]) -> Observation | None:
    kind = ConditionType.SUSPENDED
    if snapshot.spec.suspend:
        message = (
            "Suspended by spec.suspend: running trials are ended and will run again. "
            "Set it to false to resume."
        )
        return Observation(kind, True, ExperimentReason.SUSPENDED_BY_USER, message)
    if any(condition.type == kind for condition in before):
        return Observation(kind, False, ExperimentReason.RESUMED, "Resumed.")
    return None
