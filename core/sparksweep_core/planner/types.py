"""What the planner is told of the driver, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from sparksweep_core.api import ExperimentStatus, TrialBatch


class DriverState(Enum):
    """Where the Spark driver of an experiment is."""

    ABSENT = "absent"
    """There is none: nothing runs."""
    STARTING = "starting"
    """There is one that has not taken in the trials yet: nothing runs, whatever an earlier driver wrote."""
    RUNNING = "running"
    """It runs trials and writes what becomes of them."""


@dataclass(frozen=True, slots=True)
class DriverView:
    """The driver as it is seen now."""

    state: DriverState
    message: str = ""
    """For a person, when something keeps the driver or its executors from running: "0/3 nodes are available: ..."."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What there is to do, in this order: write the batches, write the status, start or end the driver.

    Doing any part of it twice, or planning again after any part of it, changes nothing.
    """

    batches: tuple[TrialBatch, ...]
    """The batches to create, and those whose spec has changed. Their statuses are as they came."""
    driver_wanted: bool
    """Whether there should be a driver."""
    status: ExperimentStatus
    """The Experiment's status."""
    requeue_after: timedelta | None
    """When to plan again if nothing else happens first: at the deadline, or when the ttl is over."""
    finished: bool
    """Whether the experiment is Complete or Failed, which is for good."""
    expired: bool
    """Whether ttlSecondsAfterFinished is over: delete the Experiment."""
