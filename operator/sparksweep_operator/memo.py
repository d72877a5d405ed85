"""State that is passed from one reconcile of an experiment to the next.

Moments are those of the monotonic clock, in seconds: the wall clock may be set.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sparksweep_core.ages import Ages
from sparksweep_core.api import TrialBatch
from sparksweep_core.errors import FieldError


@dataclass(slots=True)
class Memo:
    """Facts that later reconciles of an experiment use. None is needed: a restarted operator begins without."""

    ages: Ages = field(default_factory=Ages)
    """Ages of the times in the Experiment's status and in its drivers' pods."""
    plan_s: float = 0.0
    """Seconds that the last plan took."""
    closed_batch: bool = False
    """True if the newest batch of the ended experiment is closed."""
    checked_version: tuple[str, int] | None = None
    """UID and generation of the spec that was checked last."""
    spec_errors: tuple[FieldError, ...] = ()
    """Errors found by that check."""
    unknown_fields: tuple[str, ...] = ()
    """Fields of that spec that a later version has defined, until an event has named them."""
    refreshed_at: float | None = None
    """Moment when the cache was last compared with the API server."""
    pruned_since: float = 0.0
    """Moment since which fields that the CRDs lack count as stored."""
    creation_error: str = ""
    """Reason why the driver's pod could not be created."""
    creation_failed_at: float | None = None
    """Moment of that failure; None if the spec has changed since."""
    spark_secret: tuple[int, str] | None = None
    """Number of the next driver, and the name of the Secret that was created for it."""
    short_of_executors_since: float | None = None
    """Moment since which the driver has had fewer executors than it should."""
    no_executor_since: float | None = None
    """Moment since which it has had none."""
    probed_at: float | None = None
    """Moment of the last dry run of an executor's creation."""
    executor_error: str = ""
    """Error of that dry run."""
    batch_conflicts: int = 0
    """Number of times in a row that a batch could not be created because one of its name exists."""
    refusals: dict[str, str] = field(default_factory=dict)
    """Words of the API server's last refusal of each request that no condition tells of, by the action in words."""
    was_refused: bool = False
    """True if this reconcile has had such a refusal: it is repeated after a while, though nothing changes meanwhile."""
    status_written_at: float | None = None
    """Moment when the status was written last."""
    refused_status: str = ""
    """Reason for which the API server has refused the last status; empty if it took it."""
    unannounced_batches: list[TrialBatch] = field(default_factory=list)
    """Batches created since then, which the next events name."""
