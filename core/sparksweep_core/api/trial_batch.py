"""The TrialBatch: what the planner and the Spark driver exchange.

The planner writes ``spec`` (which trials there are, and whether to stop), the driver writes ``status`` (what became of
each). Neither writes the other's half.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from sparksweep_core.api import limits
from sparksweep_core.api.base import Model, cel, cel_rules, list_map
from sparksweep_core.api.metadata import API_VERSION, ObjectMeta
from sparksweep_core.api.reasons import TrialReason
from sparksweep_core.api.status import Message, Parameters, TrialCounts, TrialNumber, TrialStatus


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
    """What the search has to know of the trial later, in its own words: how differential evolution came to it."""


class Stop(Model):
    """An order to end the batch: running trials are stopped, waiting ones never start."""

    reason: TrialReason
    """What the stopped trials' reason will be."""
    message: Message = ""
    """What the stopped trials' message will be."""


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
    """The batch's place among its Experiment's, from 0."""
    trials: Annotated[list[TrialSpec], list_map("number", max_length=limits.BATCH_TRIALS)] = []
    """The trials."""
    parallel_trial_count: Annotated[int | None, Field(ge=1, le=limits.PARALLEL_TRIALS)] = None
    """Trials at once, of the whole Experiment. Of its batches, the newest says what counts."""
    stop: Stop | None = None
    """Set when the experiment ends before its trials do."""
    closed: bool | None = None
    """True: the experiment has ended, and no batch follows this one. The driver ends when it reads that."""


class TrialBatchStatus(Model):
    """What became of the batch's trials; one that is not listed is Pending."""

    observed_generation: Annotated[int | None, Field(ge=0)] = None
    """Generation of the spec that the driver saw last."""
    driver: Annotated[str | None, Field(max_length=253)] = None
    """The driver that wrote this last. One that finds a later driver's name here has been replaced, and ends."""
    progress: Annotated[str | None, Field(max_length=32)] = None
    """Finished and listed trials, for ``kubectl get``: "12/100"."""
    counts: TrialCounts = TrialCounts()
    """How many trials are where."""
    refused: Annotated[str | None, Field(max_length=limits.MESSAGE)] = None
    """Why the trial code can't take these trials at all; nothing was started."""
    trials: Annotated[list[TrialStatus], list_map("number", max_length=limits.BATCH_TRIALS)] = []
    """The trials that were started or stopped, by number."""


class TrialBatch(Model):
    """A bounded batch of an Experiment's trials."""

    api_version: Literal["sparksweep.dev/v1alpha1"] = API_VERSION  # type: ignore[assignment]
    """sparksweep.dev/v1alpha1."""
    kind: Literal["TrialBatch"] = "TrialBatch"
    """TrialBatch."""
    metadata: ObjectMeta
    """Standard metadata; owned by the Experiment."""
    spec: TrialBatchSpec
    """Which trials there are."""
    status: TrialBatchStatus | None = None
    """What became of them; written by the driver only."""


def batch_name(experiment: str, index: int) -> str:
    """Name of an Experiment's batch: deterministic, so that making it twice makes it once."""
    return f"{experiment}-{index:05d}"
