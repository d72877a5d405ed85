"""The status of trials and of an Experiment, the same in the CR and from ``--output json``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from sparksweep_core.api import limits
from sparksweep_core.api.base import Model, Timestamp, list_atomic, list_map, map_atomic
from sparksweep_core.api.reasons import ConditionType, TrialState
from sparksweep_core.api.search_spec import MetricName, ParameterName, Value

Message = Annotated[str, StringConstraints(max_length=limits.MESSAGE)]
Reason = Annotated[
    str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Z][A-Za-z0-9]*$")
]
# Atomic: each key of a granular map is a path in metadata.managedFields, which was half of a TrialBatch.
Parameters = Annotated[dict[ParameterName, Value], map_atomic(max_length=limits.PARAMETERS)]
Metrics = Annotated[dict[MetricName, float], map_atomic(max_length=limits.METRICS)]
TrialNumber = Annotated[int, Field(ge=1, le=limits.TRIALS)]
Count = Annotated[int, Field(ge=0)]
ConditionStatus = Literal["True", "False", "Unknown"]


class ReportedMetrics(Model):
    """Metrics of one step, such as an epoch, that a trial reported while it ran."""

    step: int
    """Number of the step."""
    metrics: Metrics
    """Finite metrics of the step."""


class TrialStatus(Model):
    """State of one trial, as the driver last recorded it."""

    number: TrialNumber
    """Number of the trial, from 1."""
    state: TrialState = TrialState.PENDING
    """State of the trial: Pending, Running, Succeeded, Failed or Stopped."""
    attempt: Count = 0
    """Number of the last attempt, from 1; 0: none yet."""
    retries: Count = 0
    """Number of attempts that failed by the trial's own fault; compared with maxRetries."""
    lost: Annotated[int | None, Field(ge=0)] = None
    """Number of attempts lost with their executor, node or driver; at most 10 may be. Absent: none. Attempts that ended
    because the run was suspended or interrupted don't count."""
    metrics: Metrics = {}
    """Finite metrics of the last attempt."""
    reported: ReportedMetrics | None = None
    """Last report of the running attempt. Absent once it has ended."""
    reason: Reason | None = None
    """Reason for the end of the last attempt, in one word."""
    message: Message | None = None
    """Explanation for people, with advice."""
    node: Annotated[str | None, Field(max_length=253)] = None
    """Node of the last attempt."""
    start_time: Timestamp | None = None
    """Start of the last attempt."""
    completion_time: Timestamp | None = None
    """End of the last attempt."""
    duration_seconds: Annotated[float | None, Field(ge=0)] = None
    """Duration of the last attempt, measured by the executor's monotonic clock."""
    peak_memory_bytes: Annotated[int | None, Field(ge=0)] = None
    """Peak memory of the last attempt."""

    def runs(self, attempt: int) -> bool:
        """Return True if this attempt runs: of an earlier one, or an ended one, no report counts."""
        return self.state is TrialState.RUNNING and self.attempt == attempt


class TrialCounts(Model):
    """Numbers of trials by state. ``created`` is the sum of the five states."""

    expected: Annotated[int | None, Field(ge=0)] = None
    """Number of trials unless the experiment ends early. Absent: neither maxTrialCount nor the algorithm bounds it."""
    created: Count = 0
    """Trials created so far."""
    pending: Count = 0
    """Trials waiting for a slot."""
    running: Count = 0
    """Trials running."""
    succeeded: Count = 0
    """Trials that ended with their metrics."""
    failed: Count = 0
    """Trials that ended without their metrics, after all retries."""
    stopped: Count = 0
    """Trials stopped, or never started, because the experiment ended."""


class Condition(Model):
    """One condition of an Experiment, in Kubernetes' standard form."""

    type: Reason
    """Type of the condition: Accepted, Running, Suspended, Complete or Failed."""
    status: ConditionStatus
    """Status of the condition: True, False or Unknown."""
    reason: Reason
    """Reason in one word, for programs."""
    message: Message = ""
    """Explanation for people, with advice."""
    last_transition_time: Timestamp
    """Time of the last change of ``status``."""
    observed_generation: Annotated[int | None, Field(ge=0)] = None
    """Generation of the spec that the condition refers to."""

    @property
    def is_true(self) -> bool:
        """True if the condition holds: neither False nor Unknown."""
        return self.status == "True"


class BestTrial(Model):
    """The best of the succeeded trials."""

    number: TrialNumber
    """Number of the trial."""
    attempt: Count
    """Number of the attempt that succeeded, from 1."""
    objective: float
    """Value of the objective's metric."""
    parameters: Parameters
    """Parameters of the trial."""
    metrics: Metrics
    """Metrics of the trial, the objective included."""


class RecentTrial(Model):
    """Summary of one trial: the best, a running one or a recent failure."""

    number: TrialNumber
    """Number of the trial."""
    state: TrialState
    """State of the trial: Pending, Running, Succeeded, Failed or Stopped."""
    attempt: Count
    """Number of the last attempt, from 1; 0: none yet."""
    objective: float | None = None
    """Value of the objective's metric, if the trial succeeded."""
    reason: Reason | None = None
    """Reason for the end of the last attempt, in one word."""
    message: Annotated[str | None, Field(max_length=512)] = None
    """Explanation for people, shortened."""


class ExperimentStatus(Model):
    """Progress and results of an Experiment. Its size does not grow with the number of trials."""

    observed_generation: Annotated[int | None, Field(ge=0)] = None
    """Generation of the spec that this status is based on."""
    state: Annotated[str | None, Field(max_length=32)] = None
    """Summary of the conditions in one word, for ``kubectl get``. Programs should read the conditions."""
    progress: Annotated[str | None, Field(max_length=32)] = None
    """Finished and expected trials, for ``kubectl get``: "12/40"."""
    conditions: Annotated[list[Condition], list_map("type", max_length=limits.CONDITIONS)] = []
    """The conditions that apply, of Accepted, Running, Suspended, Complete and Failed."""
    trials: TrialCounts = TrialCounts()
    """Numbers of trials by state."""
    best_trial: BestTrial | None = None
    """The best trial so far."""
    recent_trials: Annotated[list[RecentTrial], list_atomic(max_length=limits.RECENT_TRIALS)] = []
    """The best trial, running trials and recent failures; at most 10."""
    start_time: Timestamp | None = None
    """Time when the first batch was created."""
    completion_time: Timestamp | None = None
    """Time when the experiment became Complete or Failed."""
    tensorboard: Annotated[str | None, Field(max_length=2048)] = None
    """Address of TensorBoard."""
    seed: Annotated[int | None, Field(ge=0)] = None
    """Seed of the search: that of the algorithm's settings, else one drawn for this experiment. Absent: grid has none."""
    results: Annotated[str | None, Field(max_length=2048)] = None
    """Location of the table of results and of the trials' files."""

    def condition(
        self, kind: ConditionType, status: ConditionStatus | None = None
    ) -> Condition | None:
        """Return the condition of a type; None if it does not apply, or has another status than the one given."""
        for condition in self.conditions:
            if condition.type == kind and status in (None, condition.status):
                return condition
        return None

    def holds(self, *kinds: ConditionType) -> bool:
        """Return True if any of the conditions applies and is True."""
        return any(self.condition(kind, "True") is not None for kind in kinds)
