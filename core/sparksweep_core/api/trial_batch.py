"""The TrialBatch: the object through which the planner and the Spark driver communicate.

The planner writes ``spec`` (the trials, and whether to stop), the driver writes ``status`` (the state of each trial).
Neither writes the other's half.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from sparksweep_core.api import limits
from sparksweep_core.api.base import Model, cel, cel_rules, list_atomic, list_map
from sparksweep_core.api.metadata import API_VERSION, ObjectMeta
from sparksweep_core.api.status import (
    Message,
    Parameters,
    Reason,
    TrialCounts,
    TrialNumber,
    TrialStatus,
)


class TrialSpec(Model):
    """One trial to run."""

    model_config = ConfigDict(
        json_schema_extra=cel_rules(cel("self == oldSelf", "a trial must not change"))
    )

    number: TrialNumber
    """Number of the trial in its Experiment, from 1."""
    parameters: Parameters
    """Value of each parameter, as text."""
    lineage: Annotated[str | None, Field(max_length=limits.LINEAGE)] = None
    """Opaque note of the search algorithm about how this trial was generated."""


class Stop(Model):
    """An order to end the batch: running trials are stopped, waiting ones never start."""

    reason: Reason
    """Reason given to the trials that are stopped, in one word."""
    message: Message = ""
    """Message given to the trials that are stopped."""


class TrialBatchSpec(Model):
    """Trials to run, in this order. Trials are only ever appended."""

    model_config = ConfigDict(
        json_schema_extra=cel_rules(
            cel("self.experiment == oldSelf.experiment", "must not change", ".experiment"),
            cel("self.index == oldSelf.index", "must not change", ".index"),
            cel(
                "oldSelf.trials.all(old, self.trials.exists(new, new.number == old.number))",
                "trials must not be removed",
                ".trials",
            ),
        )
    )

    experiment: Annotated[str, Field(min_length=1, max_length=limits.NAME)]
    """Name of the Experiment, in the same namespace."""
    index: Annotated[int, Field(ge=0, le=limits.TRIALS)]
    """Index of the batch in its Experiment, from 0."""
    trials: Annotated[list[TrialSpec], list_map("number", max_length=limits.BATCH_TRIALS)] = []
    """Trials of the batch."""
    parallel_trial_count: Annotated[int | None, Field(ge=1, le=limits.PARALLEL_TRIALS)] = None
    """Number of the Experiment's trials that run at once. The newest batch's value counts."""
    stop: Stop | None = None
    """Order to stop, given when the experiment ends before its trials do."""
    closed: bool | None = None
    """True: the experiment has ended, and no batch follows this one. The driver exits when it reads that."""


class TrialBatchStatus(Model):
    """States of the batch's trials; a trial that is not listed is Pending."""

    observed_generation: Annotated[int | None, Field(ge=0)] = None
    """Generation of the spec that the driver last read."""
    driver: Annotated[str | None, Field(max_length=253)] = None
    """Name of the driver that last wrote this status. A driver that reads a later driver's name has been replaced, and exits."""
    progress: Annotated[str | None, Field(max_length=32)] = None
    """Numbers of finished trials and of all trials of the batch, for ``kubectl get``: "12/100"."""
    counts: TrialCounts = TrialCounts()
    """Numbers of trials by state."""
    refused: Annotated[str | None, Field(max_length=limits.MESSAGE)] = None
    """Reason why the training code can't run these trials; none was started."""
    problem: Annotated[str | None, Field(max_length=limits.MESSAGE)] = None
    """Trouble of the driver that does not end it, in the newest batch: it can't store the trials' files, or can't write a
    batch. Absent without any."""
    trials: Annotated[list[TrialStatus], list_atomic(max_length=limits.BATCH_TRIALS)] = []
    """Trials that were started or stopped, by number."""


class TrialBatch(Model):
    """A bounded batch of an Experiment's trials."""

    api_version: Literal["sparksweep.dev/v1alpha1"] = API_VERSION  # type: ignore[assignment]
    """sparksweep.dev/v1alpha1."""
    kind: Literal["TrialBatch"] = "TrialBatch"
    """TrialBatch."""
    metadata: ObjectMeta
    """Standard object metadata. The Experiment owns the batch."""
    spec: TrialBatchSpec
    """Trials to run."""
    status: TrialBatchStatus | None = None
    """States of the trials; written by the driver only."""


def batch_name(experiment: str, index: int) -> str:
    """Return the name of an Experiment's batch: deterministic, so that creating it twice creates it once."""
    return f"{experiment}-{index:05d}"
