"""Facts about an Experiment that the operator reads often, in little memory. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import Any

from sparksweep_core.api.reasons import ConditionType, TrialState


@dataclass(frozen=True, slots=True)
class ExperimentFacts:
    """Facts about one version of an Experiment."""

    created: datetime | None
    state: str | None
    """``status.state``; None before the first plan."""
    is_ended: bool
    """True if the Experiment is Complete or Failed."""
    trials: tuple[int, ...]
    """Numbers of trials in each `TrialState`, in its order."""
    parallel_trial_count: int
    running_reason: str | None
    """Reason of the condition Running."""

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> ExperimentFacts:
        """Read the facts from an Experiment as the API server returns it."""
        status = body.get("status") or {}
        counts = status.get("trials") or {}
        created = body["metadata"].get("creationTimestamp")
        reasons = [
            condition.get("reason")
            for condition in status.get("conditions") or ()
            if condition.get("type") == ConditionType.RUNNING
        ]
        state = status.get("state")
        return cls(
            created=datetime.fromisoformat(created) if created else None,
            state=intern(state) if isinstance(state, str) else None,
            is_ended=bool(status.get("completionTime")),
            trials=tuple(counts.get(word.value.lower(), 0) for word in TrialState),
            parallel_trial_count=(body.get("spec") or {}).get("parallelTrialCount", 1),
            running_reason=reasons[0] if reasons else None,
        )

    def count(self, state: TrialState) -> int:
        """Return the number of trials in a state."""
        return self.trials[tuple(TrialState).index(state)]
