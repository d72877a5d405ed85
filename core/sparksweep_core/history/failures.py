"""Failed trials, as far as a summary keeps them, and the kind of a failure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from sparksweep_core.api import Trial, TrialReason, TrialStatus

LAST_FAILED = 3
"""Number of the trials that failed last of which a summary keeps the messages."""
MESSAGES = (1024, 512, 512)
"""Characters that are kept of the messages of these, the newest first: no status shows more."""
DIFFERENT = b""
"""Kind of failures that differ, or that other parameters may well avoid."""

_DEPENDS_ON_PARAMETERS = (
    TrialReason.METRIC_INFINITE,
    TrialReason.METRIC_NAN,
    TrialReason.OOM_KILLED,
    TrialReason.OUT_OF_MEMORY,
    TrialReason.TIMED_OUT,
)
"""Reasons that a search may leave behind: other values converge, fit into the memory or take less time."""


@dataclass(frozen=True, slots=True)
class FailedTrial:
    """A failed trial as statuses show it."""

    number: int
    attempt: int
    reason: str | None
    message: str | None
    completion_time: datetime | None

    @classmethod
    def of(cls, trial: Trial, *, characters: int) -> FailedTrial:
        """Return a failed trial with so many characters of its message."""
        status = trial.status
        message = status.message[:characters] if status.message else None
        return cls(trial.number, status.attempt, status.reason, message, status.completion_time)


def completion_order(trial: FailedTrial | TrialStatus) -> tuple[float, int]:
    """Return the key that sorts trials by their end; those without a time come first."""
    moment = trial.completion_time
    return moment.timestamp() if moment else 0.0, trial.number


def last_failed(trials: Iterable[Trial]) -> tuple[FailedTrial, ...]:
    """Return those of some failed trials that failed last, the newest first."""
    newest = sorted(trials, key=lambda trial: completion_order(trial.status), reverse=True)
    return tuple(
        FailedTrial.of(trial, characters=characters)
        for trial, characters in zip(newest, MESSAGES, strict=False)
    )


def kind_of(status: TrialStatus) -> bytes:
    """Return a digest of a failure's reason and its telling lines; `DIFFERENT` if other parameters may well succeed."""
    reason = status.reason or ""
    if reason in _DEPENDS_ON_PARAMETERS or reason == TrialReason.EXECUTOR_LOST:
        return DIFFERENT
    lines = (status.message or "").strip().splitlines() or [""]
    # The exception, whose traceback follows; else the first and the last line of standard error, or of a traceback that
    # an earlier version has recorded.
    is_traceback = lines[0].startswith(("Traceback ", "..."))
    last = "" if reason == TrialReason.EXCEPTION and not is_traceback else lines[-1]
    text = repr((reason, lines[0], last))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def common_kind(one: bytes | None, other: bytes | None) -> bytes | None:
    """Return the kind of the failures of two sets of trials; None stands for no failure."""
    if one is None or other is None:
        return other if one is None else one
    return one if one == other else DIFFERENT
