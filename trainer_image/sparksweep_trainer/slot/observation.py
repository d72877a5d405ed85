"""Data that `supervisor` collects about one attempt, and that `outcomes` turns into the attempt's outcome."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

LEAST_FINISH_S = 1.0
"""Fewest seconds that a trial's process has to end by itself after its result."""


class Cause(Enum):
    """Cause of the end of a trial that did not end by itself."""

    STOP = auto()
    TIMEOUT = auto()
    MEMORY = auto()
    """The slot: the trial's memory was over the limit."""
    KERNEL = auto()
    """The kernel's OOM killer."""
    SERVER_LOST = auto()
    OUTSTAYED = auto()
    """The slot: the trial's process had sent its result, and did not end."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Resources that a trial may use."""

    memory_bytes: int
    timeout_s: float | None
    grace_s: float
    """Seconds between SIGTERM and SIGKILL, and between a trial's result and SIGTERM."""
    of_container: bool = False
    """True if the memory limit is the container's: other processes share it, and the kernel enforces it."""


@dataclass(frozen=True, kw_only=True)
class KernelFigures:
    """Figures that the kernel has of the container in which a trial ran; 0 and None where it has none."""

    oom_kills: int = 0
    """Processes of the container that the OOM killer ended during the attempt. 0 where other trials share the cgroup."""
    refused_forks: int = 0
    """Processes and threads that a limit refused to start during the attempt."""
    process_limit: int | None = None
    """That limit; None if it is the pod's, which is not visible."""
    earlier_file_bytes: int = 0
    """Memory of files, such as those in /dev/shm, that were there when the attempt began."""
    file_bytes: int = 0
    """Memory of files that the attempt has left."""


@dataclass(kw_only=True)
class Observation:
    """Everything the slot has observed of one attempt."""

    limits: Limits
    cause: Cause | None = None
    """Cause of an end before there was a result; it decides the outcome."""
    late_cause: Cause | None = None
    """Cause of an end after the result, which counts all the same."""
    exit_code: int | None = None
    """Exit code, or minus the signal's number; None if the trial was not started, or its end was not observed."""
    result: bytes = b""
    """Result that the trial's process sent; see `trial.trial_process`."""
    peak_bytes: int = 0
    """Most memory that the trial's processes held together."""
    other_bytes: int = 0
    """Most memory that the container's other processes held; 0 unless the limit is the container's."""
    kernel: KernelFigures = KernelFigures()
    """Figures of the container's cgroup, from the start of the attempt to its end."""
    detail: str = ""
    """Reason why the trial was not started, or how the fork server ended."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Start and end of one attempt."""

    start_time: datetime
    completion_time: datetime
    duration_s: float
    """Seconds between them, by the monotonic clock."""


def finish_seconds(limits: Limits) -> float:
    """Return the time that a trial's process has to end by itself after its result.

    Exit functions and threads that flush get a second even where a trial that is stopped gets none.
    """
    return max(limits.grace_s, LEAST_FINISH_S)


def signal_name(number: int) -> str:
    """Return a signal's name: SIGSEGV for 11, "signal 40" for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
