"""The Experiment: the document that a user applies."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from sparksweep_core.api import limits
from sparksweep_core.api.base import Model, cel, cel_rules, list_map
from sparksweep_core.api.metadata import API_VERSION, EXPERIMENT_NAME_PATTERN, ExperimentMeta
from sparksweep_core.api.reasons import ConditionType
from sparksweep_core.api.search_spec import Algorithm, Objective, Parameter
from sparksweep_core.api.status import Condition, ConditionStatus, ExperimentStatus
from sparksweep_core.api.storage import Storage
from sparksweep_core.api.template import TrialTemplate
from sparksweep_core.api.tensorboard import TensorBoard


class ExperimentSpec(Model):
    """The search space, the algorithm, and the program of each trial."""

    model_config = ConfigDict(
        json_schema_extra=cel_rules(
            cel(
                "!has(self.maxTrialCount) || !has(self.maxFailedTrialCount)"
                " || self.maxFailedTrialCount <= self.maxTrialCount",
                "must not be more than maxTrialCount",
                ".maxFailedTrialCount",
            ),
            cel(
                "self.algorithm.algorithmName != 'differential-evolution' || has(self.objective)",
                "differential-evolution needs an objective",
                ".objective",
            ),
            cel(
                "self.algorithm.algorithmName != 'random' || has(self.maxTrialCount)"
                " || has(self.activeDeadlineSeconds) || (has(self.objective) && has(self.objective.goal))",
                "random needs maxTrialCount, objective.goal or activeDeadlineSeconds: without one it never ends",
                ".maxTrialCount",
            ),
            cel(
                "self.algorithm.algorithmName != 'grid' || self.parameters.all(p,"
                " (p.parameterType != 'double' || has(p.feasibleSpace.step))"
                " && p.feasibleSpace.distribution == 'uniform')",
                "grid needs a step for each double, and supports only the distribution uniform",
                ".parameters",
            ),
            cel("self.algorithm == oldSelf.algorithm", "must not change", ".algorithm"),
            cel("self.parameters == oldSelf.parameters", "must not change", ".parameters"),
            cel("self.trialTemplate == oldSelf.trialTemplate", "must not change", ".trialTemplate"),
            cel("self.tensorboard == oldSelf.tensorboard", "must not change", ".tensorboard"),
            cel("self.storage == oldSelf.storage", "must not change", ".storage"),
            cel(
                "has(self.objective) == has(oldSelf.objective)"
                " && (!has(self.objective) || self.objective == oldSelf.objective)",
                "must not change",
                ".objective",
            ),
        )
    )

    objective: Objective | None = None
    """The metric to optimise. Absent: grid and random run all trials, and no trial is the best."""
    algorithm: Algorithm
    """The search algorithm and its settings."""
    parameters: Annotated[
        list[Parameter], list_map("name", min_length=1, max_length=limits.PARAMETERS)
    ]
    """The hyperparameters. Their order matters to grid, which varies the last one fastest."""
    parallel_trial_count: Annotated[int, Field(ge=1, le=limits.PARALLEL_TRIALS)] = 3
    """Number of trials that run at once, each on its own executor; never more than maxTrialCount. Can be changed while the
    experiment runs."""
    max_trial_count: Annotated[int | None, Field(ge=1, le=limits.TRIALS)] = None
    """Maximum number of trials. Absent: until the search ends; differential-evolution then runs 100 trials, or population
    times generations."""
    max_failed_trial_count: Annotated[int | None, Field(ge=0, le=limits.TRIALS)] = None
    """The experiment fails when this many trials have failed; 0 and 1 both mean the first.

    Absent: no limit, but the experiment fails if the first 10 + parallelTrialCount trials all fail in the same way.
    """
    suspend: bool = False
    """True: release the executors. Running trials are ended, and run again as their next attempt once it is false."""
    active_deadline_seconds: Annotated[int | None, Field(ge=1, le=limits.SECONDS)] = None
    """The experiment fails if it has not ended this many seconds after its start. Absent: no limit."""
    ttl_seconds_after_finished: Annotated[int | None, Field(ge=0, le=limits.SECONDS)] = None
    """The experiment is deleted this many seconds after its end. Absent: never."""
    tensorboard: TensorBoard = TensorBoard()
    """TensorBoard over all trials."""
    storage: Storage = Storage()
    """Storage of the trials' logs and files on a cluster."""
    trial_template: TrialTemplate
    """The program of a trial, its resources and its pod."""

    @property
    def slots(self) -> int:
        """Number of trials that can run at once: parallelTrialCount, but no more than there are trials."""
        trials = self.max_trial_count
        return (
            self.parallel_trial_count if trials is None else min(self.parallel_trial_count, trials)
        )


class Experiment(Model):
    """A hyperparameter experiment: a search space, an algorithm, and the training to run for each trial."""

    # A schema can't bound what is inside metadata.
    model_config = ConfigDict(
        json_schema_extra=cel_rules(
            cel(
                f"self.metadata.name.matches('{EXPERIMENT_NAME_PATTERN}')"
                f" && size(self.metadata.name) <= {limits.NAME}",
                "metadata.name must be lower-case letters, digits and '-', start with a letter,"
                f" and have at most {limits.NAME} characters",
            )
        )
    )

    api_version: Literal["sparksweep.dev/v1alpha1"] = API_VERSION  # type: ignore[assignment]
    """sparksweep.dev/v1alpha1."""
    kind: Literal["Experiment"] = "Experiment"
    """Experiment."""
    metadata: ExperimentMeta
    """Standard object metadata."""
    spec: ExperimentSpec
    """The search, and the trials to run.

    Of an existing Experiment, only parallelTrialCount, maxTrialCount, maxFailedTrialCount, activeDeadlineSeconds,
    ttlSecondsAfterFinished and suspend can be changed.
    """
    status: ExperimentStatus | None = None
    """Progress and results so far; written by sparksweep only."""

    def condition(
        self, kind: ConditionType, status: ConditionStatus | None = None
    ) -> Condition | None:
        """Return a condition of its status, as `ExperimentStatus.condition` does; None without a status."""
        return self.status.condition(kind, status) if self.status is not None else None

    def holds(self, *kinds: ConditionType) -> bool:
        """Return True if any of the conditions is True in its status; False without a status."""
        return self.status is not None and self.status.holds(*kinds)
