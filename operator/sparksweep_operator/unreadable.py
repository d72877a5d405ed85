"""The condition of an experiment with an object that this version can't read. Pure: JSON values in and out.

Such an object was written by a later version, so that the status may hold fields that this one does not know: all of it
stays, but for one condition. The next reconcile that reads everything replaces the condition by what it observes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sparksweep_core.api import Condition, ConditionType, ExperimentReason
from sparksweep_core.api.limits import MESSAGE


def status_with_problem(
    body: Mapping[str, Any], reason: ExperimentReason, message: str, *, now: datetime
) -> dict[str, Any] | None:
    """Return an Experiment's status with Running=False for a reason; None if the status says so already.

    Args:
        body: the Experiment as the API server has it.
        reason: the condition's reason.
        message: the object, the field, the value and the versions, in words.
        now: the time, with a time zone.
    """
    status = dict(body.get("status") or {})
    before = [item for item in status.get("conditions") or [] if isinstance(item, Mapping)]
    kind = ConditionType.RUNNING.value
    old = next((item for item in before if item.get("type") == kind), {})
    condition = Condition(
        type=kind,
        status="False",
        reason=reason,
        message=message[:MESSAGE],
        last_transition_time=now,
        observed_generation=body["metadata"].get("generation"),
    ).to_dict()
    if old.get("status") == "False" and "lastTransitionTime" in old:
        condition["lastTransitionTime"] = old["lastTransitionTime"]
    if old == condition:
        return None
    others = [dict(item) for item in before if item.get("type") != kind]
    return {**status, "conditions": [*others, condition]}
