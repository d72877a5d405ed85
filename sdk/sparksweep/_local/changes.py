"""Limits under which a run goes on."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from sparksweep.errors import FieldError, InvalidExperiment
from sparksweep_core.api import Experiment
from sparksweep_core.validation.document import parse_experiment


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Limits to go on with; None leaves one as it is."""

    max_trials: int | None = None
    max_failed_trials: int | None = None
    goal: float | None = None
    deadline_seconds: int | None = None
    parallel: int | None = None

    @property
    def any(self) -> bool:
        """True if a limit is given."""
        return any(getattr(self, item.name) is not None for item in fields(self))

    def applied(self, experiment: Experiment) -> Experiment:
        """Return the Experiment under these limits.

        Raises:
            InvalidExperiment: It is invalid then.
        """
        if not self.any:
            return experiment
        document = experiment.model_copy(update={"status": None}).to_dict()
        spec: dict[str, Any] = document["spec"]
        given = {
            "maxTrialCount": self.max_trials,
            "maxFailedTrialCount": self.max_failed_trials,
            "activeDeadlineSeconds": self.deadline_seconds,
            "parallelTrialCount": self.parallel,
        }
        spec.update({name: value for name, value in given.items() if value is not None})
        if self.goal is not None:
            if "objective" not in spec:
                message = f"{self.goal!r} needs an objective, which the run lacks"
                raise InvalidExperiment([FieldError("spec.objective.goal", message)])
            spec["objective"]["goal"] = self.goal
        return parse_experiment(document)
