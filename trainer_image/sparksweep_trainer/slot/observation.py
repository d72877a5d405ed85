"""What was seen of one trial: what `supervisor` finds out and `outcomes` judges."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from enum import Enum, auto


class Cause(Enum):
    """Who ended a trial that did not end by itself."""

    STOP = auto()
    TIMEOUT = auto()
    MEMORY = auto()
    """We, for memory over the limit."""
    KERNEL = auto()
    """The kernel, for want of memory."""
    SERVER_LOST = auto()


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a trial may use."""

    memory_bytes: int
    timeout_s: float | None
    grace_s: float
    """Seconds between SIGTERM and SIGKILL."""
    of_container: bool = False
    """Whether the memory limit is the container's: others share it, and the kernel holds it."""


@dataclass(kw_only=True)
class Facts:
    """What was seen of one trial."""

    limits: Limits
    cause: Cause | None = None
    exit_code: int | None = None
    """Exit code, or minus the signal's number; None when the trial was not started, or its end was not seen."""
    result: bytes = b""
    """What the trial's process said of itself."""
    peak_bytes: int = 0
    """Most memory that its processes held together."""
    beside_bytes: int = 0
    """What the container's other processes held beside it, at most; only where the limit is the container's."""
    detail: str = ""
    """Why it was not started, or how the fork server ended."""


def signal_name(number: int) -> str:
    """Return a signal's name: SIGSEGV for 11, "signal 40" for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
