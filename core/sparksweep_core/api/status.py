"""What anyone reads: the status of trials and of an Experiment, the same in the CR and from ``--output json``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from sparksweep_core.api import limits
from sparksweep_core.api.base import Model, Timestamp, list_map
from sparksweep_core.api.reasons import ConditionType, TrialState
from sparksweep_core.api.search_spec import MetricName, ParameterName, Value

Message = Annotated[str, StringConstraints(max_length=limits.MESSAGE)]
Reason = Annotated[
    str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Z][A-Za-z0-9]*$")
]
Parameters = Annotated[dict[ParameterName, Value], Field(max_length=limits.PARAMETERS)]
Metrics = Annotated[dict[MetricName, float], Field(max_length=limits.METRICS)]
TrialNumber = Annotated[int, Field(ge=1, le=limits.TRIALS)]
Count = Annotated[int, Field(ge=0)]
ConditionStatus = Literal["True", "False", "Unknown"]


class ReportedMetrics(Model):
    """What a trial reports of a step, such as an epoch, while it runs."""

    step: int
    """The step."""
    metrics: Metrics
    """Its finite metrics."""


class TrialStatus(Model):
    """One trial as the driver saw it last."""

    number: TrialNumber
    """The trial's number, from 1."""
    state: TrialState = TrialState.PENDING
    """Pending, Running, Succeeded, Failed or Stopped."""
    attempt: Count = 0
    """How many times it was started; 0: never."""
    retries: Count = 0
    """How many of the attempts failed by the trial's own doing; compared with maxRetries."""
    metrics: Metrics = {}
    """Finite metrics of the last attempt."""
    reported: ReportedMetrics | None = None
    """What the running attempt has reported last. Absent once it has ended."""
    reason: Reason | None = None
    """Why the last attempt ended as it did."""
    message: Message | None = None
    """The same for a person, with what to do."""
    node: Annotated[str | None, Field(max_length=253)] = None
    """Where the last attempt ran."""
    start_time: Timestamp | None = None
    """Start of the last attempt."""
    completion_time: Timestamp | None = None
    """End of the last attempt."""
    duration_seconds: Annotated[float | None, Field(ge=0)] = None
    """Length of the last attempt by the executor's monotonic clock, which clock changes don't bend."""
    peak_memory_bytes: Annotated[int | None, Field(ge=0)] = None
    """Most memory that the last attempt held."""


class TrialCounts(Model):
    """How many trials are where. ``created`` is the sum of the five states."""

    expected: Annotated[int | None, Field(ge=0)] = None
    """How many there will be, unless the experiment ends early. Absent: no bound is known."""
    created: Count = 0
    """How many there are."""
    pending: Count = 0
    """Waiting for a slot."""
    running: Count = 0
    """Running."""
    succeeded: Count = 0
    """Ended with their metrics."""
    failed: Count = 0
    """Ended without, all retries used."""
    stopped: Count = 0
    """Stopped, or never started, because the experiment ended."""


class Condition(Model):
    """One aspect of an Experiment, as Kubernetes' other objects write it."""

    type: ConditionType
    """Accepted, Running, Suspended, Complete or Failed."""
    status: ConditionStatus
    """True, False or Unknown."""
    reason: Reason
    """One word for programs."""
    message: Message = ""
    """The same for a person, with what to do."""
    last_transition_time: Timestamp
    """When ``status`` changed last."""
    observed_generation: Annotated[int | None, Field(ge=0)] = None
    """Generation of the spec that this speaks of."""

    @property
    def is_true(self) -> bool:
        """True if the condition holds: neither False nor Unknown."""
        return self.status == "True"


class BestTrial(Model):
    """The best of the succeeded trials."""

    number: TrialNumber
    """The trial."""
    attempt: Count
    """The attempt that succeeded."""
    objective: float
    """Value of the objective's metric."""
    parameters: Parameters
    """Its parameters."""
    metrics: Metrics
    """Its metrics, the objective included."""


class RecentTrial(Model):
    """A trial worth a look: running, the best, or failed of late."""

    number: TrialNumber
    """The trial."""
    state: TrialState
    """Its state."""
    attempt: Count
    """Its attempt."""
    objective: float | None = None
    """Value of the objective's metric, if it succeeded."""
    reason: Reason | None = None
    """Why the last attempt ended as it did."""
    message: Annotated[str | None, Field(max_length=512)] = None
    """The same for a person, shortened."""


class ExperimentStatus(Model):
    """What became of an Experiment so far. Its size does not grow with the number of trials."""

    observed_generation: Annotated[int | None, Field(ge=0)] = None
    """Generation of the spec that this status answers."""
    state: Annotated[str | None, Field(max_length=32)] = None
    """One word for ``kubectl get``, derived from the conditions: read those instead."""
    progress: Annotated[str | None, Field(max_length=32)] = None
    """Finished and expected trials, for ``kubectl get``: "12/40"."""
    conditions: Annotated[list[Condition], list_map("type", max_length=limits.CONDITIONS)] = []
    """Accepted, Running, Suspended, Complete and Failed, those that apply."""
    trials: TrialCounts = TrialCounts()
    """How many trials are where."""
    best_trial: BestTrial | None = None
    """The best trial so far."""
    recent_trials: Annotated[
        list[RecentTrial], list_map("number", max_length=limits.RECENT_TRIALS)
    ] = []
    """The best trial, running ones and the last failed ones; at most 10."""
    start_time: Timestamp | None = None
    """When the first batch was made."""
    completion_time: Timestamp | None = None
    """When it was Complete or Failed."""
    tensorboard: Annotated[str | None, Field(max_length=2048)] = None
    """Where TensorBoard shows the trials' events."""
    results: Annotated[str | None, Field(max_length=2048)] = None
    """Where every trial's row and files are."""

    def condition(
        self, kind: ConditionType, status: ConditionStatus | None = None
    ) -> Condition | None:
        """Return the condition of a type; None if it does not apply, or has another status than the one given."""
        for condition in self.conditions:
            if condition.type is kind and status in (None, condition.status):
                return condition
        return None

    def holds(self, *kinds: ConditionType) -> bool:
        """Return True if any of the conditions applies and is True."""
        return any(self.condition(kind, "True") is not None for kind in kinds)
