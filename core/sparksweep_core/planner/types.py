"""Inputs and result of the planner: the driver's status, the locations of results, the plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from sparksweep_core.api import ExperimentStatus, TrialBatch


class DriverState(Enum):
    """State of an experiment's Spark driver."""

    ABSENT = "absent"
    """No driver exists: nothing runs."""
    STARTING = "starting"
    """A driver exists and has not read the trials yet: nothing runs, whatever an earlier driver wrote."""
    RUNNING = "running"
    """The driver runs trials and writes their statuses."""


@dataclass(frozen=True, slots=True)
class DriverStatus:
    """Current status of the driver."""

    state: DriverState
    message: str = ""
    """Reason that keeps the driver or its executors from running, for people: "0/3 nodes are available: ..."."""


@dataclass(frozen=True, slots=True)
class Locations:
    """Locations that the Experiment's status names; None where there is nothing."""

    results: str | None = None
    """Location of the run directory."""
    tensorboard: str | None = None
    """URL of TensorBoard."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Actions to take, in this order: write the batches, write the status, start or end the driver.

    Doing any part of it twice, or planning again after any part of it, changes nothing.
    """

    batches: tuple[TrialBatch, ...]
    """The batches to create, and those whose spec has changed. Without statuses, which are the driver's."""
    driver_wanted: bool
    """True if there should be a driver."""
    status: ExperimentStatus
    """The Experiment's status."""
    requeue_after: timedelta | None
    """Time after which to plan again if nothing happens first: until the deadline, or until the TTL is over."""
    finished: bool
    """True if the experiment is Complete or Failed, which is final."""
    expired: bool
    """True if ttlSecondsAfterFinished is over: delete the Experiment."""
