"""The Experiment: what a user applies."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sparksweep.api import limits
from sparksweep.api._base import Model, list_map
from sparksweep.api.metadata import API_VERSION, ExperimentMeta
from sparksweep.api.search_spec import Algorithm, Objective, Parameter
from sparksweep.api.status import ExperimentStatus
from sparksweep.api.template import TrialTemplate


class ExperimentSpec(Model):
    """What to search, how, and what each trial runs.

    While an experiment runs, only parallelTrialCount, maxTrialCount, maxFailedTrialCount, activeDeadlineSeconds,
    ttlSecondsAfterFinished and suspend can be changed.
    """

    objective: Objective | None = None
    """The metric to optimise. Without one, grid and random run all trials and none is best."""
    algorithm: Algorithm
    """How the next trials are chosen."""
    parameters: Annotated[
        list[Parameter], list_map("name", min_length=1, max_length=limits.PARAMETERS)
    ]
    """The hyperparameters, in order: the grid varies the last one fastest."""
    parallel_trial_count: Annotated[int, Field(ge=1, le=limits.PARALLEL_TRIALS)] = 3
    """Trials at once: one executor each. Can be changed while the experiment runs."""
    max_trial_count: Annotated[int | None, Field(ge=1, le=limits.TRIALS)] = None
    """Trials at most. Absent: until the search ends."""
    max_failed_trial_count: Annotated[int | None, Field(ge=0, le=limits.TRIALS)] = None
    """The experiment fails when this many trials have failed; 0 and 1 both mean the first. Absent: never."""
    suspend: bool = False
    """True gives the executors back; running trials start again as the next attempt when it is false again."""
    active_deadline_seconds: Annotated[int | None, Field(ge=1, le=limits.SECONDS)] = None
    """The experiment fails when it has not ended this many seconds after its start."""
    ttl_seconds_after_finished: Annotated[int | None, Field(ge=0, le=limits.SECONDS)] = None
    """The experiment is deleted this many seconds after its end. Absent: never."""
    trial_template: TrialTemplate
    """What one trial runs, and on what."""


class Experiment(Model):
    """A hyperparameter experiment: a search space, an algorithm, and the training to run for each trial."""

    api_version: Literal["sparksweep.dev/v1alpha1"] = API_VERSION  # type: ignore[assignment]
    """sparksweep.dev/v1alpha1."""
    kind: Literal["Experiment"] = "Experiment"
    """Experiment."""
    metadata: ExperimentMeta
    """Standard metadata."""
    spec: ExperimentSpec
    """What to run."""
    status: ExperimentStatus | None = None
    """What became of it so far; written by sparksweep only."""
