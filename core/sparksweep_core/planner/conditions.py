"""The Experiment's conditions: what holds, for how long, and why.

Their messages are coarse on purpose. Counts and the best trial have fields of their own; a message that named them would
make every finished trial a change of the conditions.
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
class Finding:
    """One aspect of an experiment, as it is now."""

    type: ConditionType
    holds: bool
    reason: ExperimentReason
    message: str


def findings(
    view: Snapshot, ending: Ending | None, *, finished: bool, known: Sequence[Condition]
) -> list[Finding]:
    """Every condition that applies, in the order of their types."""
    found = [_accepted(view, ending), _running(view, ending, finished=finished)]
    suspended = _suspended(view, known)
    if suspended is not None:
        found.append(suspended)
    if ending is not None and finished:
        found.append(Finding(ending.condition, True, ending.reason, ending.message))
    return found


def rejected(message: str) -> list[Finding]:
    """The conditions of an experiment that can't be run at all."""
    reason = ExperimentReason.INVALID_SPEC
    return [
        Finding(ConditionType.ACCEPTED, False, reason, message),
        Finding(ConditionType.RUNNING, False, ExperimentReason.FINISHED, "Nothing was started."),
        Finding(ConditionType.FAILED, True, reason, message),
    ]


def conditions_of(
    found: Iterable[Finding], *, known: Sequence[Condition], generation: int | None, now: datetime
) -> list[Condition]:
    """The findings as conditions. lastTransitionTime moves only when the status does."""
    before = {condition.type: condition for condition in known}
    conditions = []
    for finding in found:
        status: Literal["True", "False"] = "True" if finding.holds else "False"
        old = before.get(finding.type)
        conditions.append(
            Condition(
                type=finding.type,
                status=status,
                reason=finding.reason.value,
                message=finding.message[:MESSAGE],
                last_transition_time=old.last_transition_time
                if old is not None and old.status == status
                else now,
                observed_generation=generation,
            )
        )
    return conditions


def _accepted(view: Snapshot, ending: Ending | None) -> Finding:
    if ending is not None and ending.reason is ExperimentReason.FUNCTION_REFUSED:
        return Finding(ConditionType.ACCEPTED, False, ending.reason, ending.message)
    if view.is_grid and view.is_truncated and view.size is not None:
        message = (
            f"The grid has {count_text(view.size)} points, of which the first {view.limit} run "
            f"({view.limit_text})."
        )
        return Finding(ConditionType.ACCEPTED, True, ExperimentReason.GRID_TRUNCATED, message)
    exchanged = [item.name for item in view.spec.parameters if is_reversed(item)]
    if exchanged:
        message = f"min was more than max, and they were exchanged: {', '.join(exchanged)}."
        return Finding(ConditionType.ACCEPTED, True, ExperimentReason.BOUNDS_EXCHANGED, message)
    message = "The spec is valid."
    if view.is_grid and view.size is not None:
        message = f"The spec is valid; the grid has {count_text(view.size)} points."
    return Finding(ConditionType.ACCEPTED, True, ExperimentReason.VALID, message)


def _running(view: Snapshot, ending: Ending | None, *, finished: bool) -> Finding:
    kind = ConditionType.RUNNING
    if finished:
        return Finding(kind, False, ExperimentReason.FINISHED, "All trials have ended.")
    if ending is not None:
        message = f"Stopping the trials: {ending.message}"
        return Finding(kind, True, ExperimentReason.STOPPING, message)
    if view.spec.suspend:
        message = "No trials are started while spec.suspend is true."
        return Finding(kind, False, ExperimentReason.SUSPENDED_BY_USER, message)
    if view.driver.state is DriverState.RUNNING:
        if view.driver.message and view.counts.running == 0:
            reason = ExperimentReason.WAITING_FOR_EXECUTORS
            return Finding(kind, False, reason, view.driver.message)
        message = f"Trials run, at most {view.spec.parallel_trial_count} at once."
        if view.driver.message:
            message = f"{message} {view.driver.message}"
        return Finding(kind, True, ExperimentReason.TRIALS_RUNNING, message)
    message = view.driver.message or "The Spark driver is being started."
    return Finding(kind, False, ExperimentReason.WAITING_FOR_DRIVER, message)


def _suspended(view: Snapshot, known: Sequence[Condition]) -> Finding | None:
    kind = ConditionType.SUSPENDED
    if view.spec.suspend:
        message = (
            "Suspended by spec.suspend: running trials are ended and run again later. "
            "Set it to false to go on."
        )
        return Finding(kind, True, ExperimentReason.SUSPENDED_BY_USER, message)
    if any(condition.type is kind for condition in known):
        return Finding(kind, False, ExperimentReason.RESUMED, "Resumed.")
    return None
