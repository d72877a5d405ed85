"""Messages between the driver and the slots: JSON values only, each with a bound.

A slot asks for the program once, then for one assignment after another, and reports one outcome for each. Nothing is
pickled: the output of a trial must not be able to run code in the driver.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sparksweep_core.api.base import Model, Timestamp
from sparksweep_core.api.reasons import TrialState
from sparksweep_core.api.status import Message, Metrics, Parameters, Reason, TrialNumber

HELLO_PATH = "/v1/hello"
"""`SlotHello`, answered by the `Program`."""
NEXT_PATH = "/v1/next"
"""`SlotRef`, answered by `NextOrder`."""
PASSED_PATH = "/v1/passed"
"""`SlotRef` of a slot whose check of the trial code has passed, answered by `Taken`."""
REFUSE_PATH = "/v1/refuse"
"""`Refusal`, answered by `Taken`."""
REPORT_PATH = "/v1/report"
"""`Report`, answered by `Taken`."""
HEARTBEAT_PATH = "/v1/heartbeat"
"""`Heartbeat`, answered by `HeartbeatOrder`."""
FILES_PATH = "/v1/files"
"""`Chunk`, a line's end and the bytes, answered by `ChunkTaken`."""

CHECK_TIMEOUT_S = 600.0
"""Seconds that the import of the function's module may take if trials have no timeout."""
MAX_REQUEST_BYTES = 64 * 1024
"""Largest request of a slot in bytes: 32 metrics and a message are below 10 kB."""
MAX_CHUNK_BYTES = 256 * 1024
"""Largest part of a file in bytes."""
MAX_RESPONSE_BYTES = 2 * 1024 * 1024
"""Largest response of the driver in bytes: the program may contain 256 Ki characters of source."""

SlotId = Annotated[int, Field(ge=0, lt=2**31)]
"""Number of a slot. A slot that replaces another has a new number."""

Attempt = Annotated[int, Field(ge=1, lt=2**31)]
"""Number of an attempt, from 1."""
# The API server stores no integer beyond 64 bits, and would refuse the status of the whole batch.
Bytes = Annotated[int, Field(ge=0, lt=2**62)]
"""An amount of memory or of a file."""


class Assignment(Model):
    """One attempt at a trial."""

    number: TrialNumber
    """Number of the trial."""
    attempt: Attempt
    """Number of the attempt, from 1. A report of any attempt but the last one assigned is dropped."""
    parameters: Parameters
    """Value of each parameter, as text."""
    is_last: bool = False
    """True: if this attempt fails, the trial has failed. False: it may run again, or the driver is of an older version."""


class Outcome(Model):
    """The end of an attempt: its state, the reason, and what was measured."""

    state: Literal[TrialState.SUCCEEDED, TrialState.FAILED, TrialState.STOPPED]
    """Succeeded; Failed; or Stopped, if the driver ordered it."""
    reason: Reason
    """Reason of the state."""
    message: Message = ""
    """Explanation for a person, with what to do."""
    metrics: Metrics = {}
    """Metrics of the trial; all finite."""
    start_time: Timestamp
    """Time at which its process was started."""
    completion_time: Timestamp
    """Time at which its last process was gone."""
    duration_seconds: Annotated[float, Field(ge=0, le=1e10)]
    """Duration in seconds, by the monotonic clock."""
    peak_memory_bytes: Bytes | None = None
    """Largest memory in bytes that its processes used together, as sampled."""


class SlotHello(Model):
    """The first request of a slot."""

    slot: SlotId
    """Number of the slot."""
    node: Annotated[str, Field(max_length=253)]
    """Executor that it runs on."""
    pid: Annotated[int, Field(ge=1, lt=2**31)]
    """ID of its process, for the log."""


class SlotRef(Model):
    """A request of a slot for an order, or its report that the trial code can take the parameters."""

    slot: SlotId
    """Number of the slot."""


class Taken(Model):
    """The response to a report."""

    taken: bool
    """False if the report was dropped, because it is about an attempt that is not the current one."""


class Refusal(Model):
    """A report that the trial code can't take the parameters, or that a preload can't be imported."""

    slot: SlotId
    """Number of the slot that did the check."""
    message: Message
    """The fault, and how to correct it."""


class Report(Model):
    """A report of the end of an attempt."""

    slot: SlotId
    """Number of the slot that ran it."""
    number: TrialNumber
    """Number of the trial."""
    attempt: Attempt
    """Number of the attempt."""
    outcome: Outcome
    """The outcome."""


class NextOrder(Model):
    """The response to a slot that asks for an order."""

    order: Literal["run", "wait", "leave", "check"]
    """run: run the assignment; wait: ask again; leave: end the slot; check: report whether the code can take the
    parameters."""
    assignment: Assignment | None = None
    """The attempt to run."""


class Heartbeat(Model):
    """A request of a busy slot whether to go on. The driver holds the response until there is an order (long
    polling).
    """

    slot: SlotId
    """Number of the slot."""
    number: TrialNumber
    """Number of the trial that it runs."""
    attempt: Attempt
    """Number of the attempt."""


class HeartbeatOrder(Model):
    """The response to a busy slot."""

    order: Literal["continue", "stop"]
    """stop: end the trial now, and report it as Stopped."""


class Chunk(Model):
    """A part of a file of a running trial; its bytes follow this message, after a line feed."""

    slot: SlotId
    """Number of the slot that runs the trial."""
    number: TrialNumber
    """Number of the trial."""
    attempt: Attempt
    """Number of the attempt. Parts of an earlier attempt are dropped."""
    path: Annotated[str, Field(min_length=1, max_length=1024)]
    """Path of the file, relative to the trial's directory."""
    offset: Bytes
    """Offset of the bytes in the file."""
    restart: bool = False
    """True if the file was started over: the driver discards the parts it has."""
    total: Bytes | None = None
    """Size of a file that replaces its old version once it is complete. Absent: the file grows."""


class ChunkTaken(Model):
    """The response to a part of a file."""

    taken: bool
    """False if the attempt is not the current one: send nothing more of it."""
    size: Bytes = 0
    """Bytes of the file that the driver has: the offset of the next part."""
    full: bool = False
    """True if there is no room for this file: send no more of it."""
    later: bool = False
    """True if the disk took nothing now: send it again after a while, from the start if it is no growing file."""
