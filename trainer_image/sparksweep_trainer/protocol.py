"""What the driver and the slots say to each other: JSON values only, each with a bound.

A slot asks for the program once, then for one assignment after the other, and reports one outcome for each.
Nothing here is ever pickled: a trial's own output must not be able to run code in the driver.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sparksweep_core.api.base import Model, Timestamp
from sparksweep_core.api.reasons import TrialReason, TrialState
from sparksweep_core.api.status import Message, Metrics, Parameters, TrialNumber

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

MAX_REQUEST_BYTES = 64 * 1024
"""Bytes of a slot's request: 32 metrics and a message are below 10 kB."""
MAX_CHUNK_BYTES = 256 * 1024
"""Bytes of a file that a slot sends at once."""
MAX_RESPONSE_BYTES = 2 * 1024 * 1024
"""Bytes of the driver's response: the program may hold 256 Ki characters of source."""

SlotId = Annotated[int, Field(ge=0, lt=2**31)]
"""A slot that is started anew has a new number."""


class Assignment(Model):
    """One attempt at one trial."""

    number: TrialNumber
    """The trial."""
    attempt: Annotated[int, Field(ge=1)]
    """The attempt, from 1. A report with another attempt than the last one assigned is dropped."""
    parameters: Parameters
    """Value of each parameter, as text."""


class Outcome(Model):
    """How one attempt ended."""

    state: Literal[TrialState.SUCCEEDED, TrialState.FAILED, TrialState.STOPPED]
    """Succeeded, Failed, or Stopped when it was ended by order."""
    reason: TrialReason
    """Why."""
    message: Message = ""
    """The same for a person, with what to do."""
    metrics: Metrics = {}
    """Finite metrics."""
    start_time: Timestamp
    """When its process was started."""
    completion_time: Timestamp
    """When its last process was gone."""
    duration_seconds: Annotated[float, Field(ge=0)]
    """The time between, by the monotonic clock."""
    peak_memory_bytes: Annotated[int | None, Field(ge=0)] = None
    """Most memory that its processes held together, as sampled."""


class SlotHello(Model):
    """A slot's first words."""

    slot: SlotId
    """The slot."""
    node: Annotated[str, Field(max_length=253)]
    """Where it runs."""
    pid: Annotated[int, Field(ge=1)]
    """Its process, for the log."""


class SlotRef(Model):
    """A slot that asks for work, or says that the trial code can take the parameters."""

    slot: SlotId
    """The slot."""


class Taken(Model):
    """Whether the driver took in what it was told; False for a report of an attempt it has given up on."""

    taken: bool
    """Whether it did."""


class Refusal(Model):
    """The trial code can't take these parameters at all, or a preload can't be imported."""

    slot: SlotId
    """The slot that looked."""
    message: Message
    """What is wrong and what would be right."""


class Report(Model):
    """The end of one attempt."""

    slot: SlotId
    """The slot that ran it."""
    number: TrialNumber
    """The trial."""
    attempt: Annotated[int, Field(ge=1)]
    """The attempt."""
    outcome: Outcome
    """How it ended."""


class NextOrder(Model):
    """The answer to a slot that asks for work."""

    order: Literal["run", "wait", "leave", "check"]
    """run the assignment; wait: ask again; leave: end the slot; check: say whether the code takes the parameters."""
    assignment: Assignment | None = None
    """What to run."""


class Heartbeat(Model):
    """A busy slot's question whether to go on. The driver holds the answer back until there is something to say."""

    slot: SlotId
    """The slot."""
    number: TrialNumber
    """The trial it runs."""
    attempt: Annotated[int, Field(ge=1)]
    """The attempt."""


class HeartbeatOrder(Model):
    """The answer to a busy slot."""

    order: Literal["continue", "stop"]
    """stop: end the trial now, and report it as Stopped."""


class Chunk(Model):
    """A part of one of a running trial's files; its bytes follow this, after a line's end."""

    slot: SlotId
    """The slot that runs the trial."""
    number: TrialNumber
    """The trial."""
    attempt: Annotated[int, Field(ge=1)]
    """The attempt. What comes of an earlier one than the driver has assigned is dropped."""
    path: Annotated[str, Field(min_length=1, max_length=1024)]
    """The file, below the trial's directory."""
    offset: Annotated[int, Field(ge=0, lt=2**62)]
    """Where in the file the bytes belong."""
    restart: bool = False
    """The file has begun anew: what was sent of it before goes."""
    total: Annotated[int | None, Field(ge=0, lt=2**62)] = None
    """Size of a file that takes its place as a whole, once all of it is there. Absent: the file grows."""


class ChunkTaken(Model):
    """The answer to a part of a file."""

    taken: bool
    """False: the attempt is not the driver's any more, nothing of it is wanted."""
    size: Annotated[int, Field(ge=0)] = 0
    """How much of the file the driver has: where to go on."""
    full: bool = False
    """There is no room for this file: send no more of it."""
