"""Read TrialBatches from the API server's JSON: pages of a list, and events of a watch. Pure.

A page is parsed straight into models, never into dicts, which take five times the memory. Fields that this version does
not know, and ``managedFields``, are ignored. A batch that this version can't read is reported, not left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sparksweep_core.api import TrialBatch
from sparksweep_core.contract.labels import EXPERIMENT_LABEL
from sparksweep_core.errors import Unreadable
from sparksweep_core.validation.reading import check_notes, read_object


@dataclass(frozen=True, slots=True)
class BatchIdentity:
    """The facts by which a version of a batch is filed."""

    namespace: str
    name: str
    uid: str
    version: int
    """resourceVersion: an integer that grows with each write, as Kubernetes guarantees since 1.35."""
    experiment: str
    """Name of its Experiment; empty if it names none."""
    owners: tuple[str, ...]
    """UIDs of its owners."""
    outline: int = 0
    """Digest of all that decides what a plan does but the trials themselves: the spec's generation, a deletion, and of the
    status the driver, a refusal and the numbers of trials by state. Two versions that differ in reports have the same."""


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """A version of a batch."""

    identity: BatchIdentity
    batch: TrialBatch | None
    """None if this version of the operator can't read it."""
    problem: str = ""
    """Reason for that."""


@dataclass(frozen=True, slots=True)
class PageHead:
    """All of a list's page but the batches themselves: a twentieth of the work of reading them."""

    version: int
    """resourceVersion of the list, the same for all its pages."""
    continue_token: str
    """Token of the next page; empty on the last one."""
    identities: tuple[BatchIdentity, ...]
    """The page's batches, in its order."""


@dataclass(frozen=True, slots=True)
class BatchEvent:
    """An event of a watch."""

    type: str
    """``ADDED``, ``MODIFIED``, ``DELETED``, ``BOOKMARK`` or ``ERROR``."""
    version: int
    """resourceVersion from which the watch may be continued; 0 for an error."""
    identity: BatchIdentity | None
    """The batch; None for a bookmark or an error."""
    code: int = 0
    """HTTP status of an error."""


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Owner(_Wire):
    uid: str = ""


class _Metadata(_Wire):
    namespace: str = ""
    name: str = ""
    uid: str = ""
    version: int = Field(0, alias="resourceVersion")
    owners: list[_Owner] = Field([], alias="ownerReferences")
    labels: dict[str, Any] = {}
    generation: Any = None
    deletion: Any = Field(None, alias="deletionTimestamp")


class _Spec(_Wire):
    experiment: Any = None


class _Status(_Wire):
    driver: Any = None
    refused: Any = None
    counts: Any = None


class _Head(_Wire):
    metadata: _Metadata = _Metadata()
    status: Annotated[_Status | Any, Field(union_mode="left_to_right")] = None
    spec: Annotated[_Spec | Any, Field(union_mode="left_to_right")] = None
    code: int = 0

    def identity(self) -> BatchIdentity:
        metadata = self.metadata
        spec = self.spec.experiment if isinstance(self.spec, _Spec) else None
        # A later version may have another spec; the label stays.
        names = (spec, metadata.labels.get(EXPERIMENT_LABEL))
        experiment = next((name for name in names if isinstance(name, str)), "")
        return BatchIdentity(
            namespace=metadata.namespace,
            name=metadata.name,
            uid=metadata.uid,
            version=metadata.version,
            experiment=experiment,
            owners=tuple(owner.uid for owner in metadata.owners),
            outline=self._outline(),
        )

    def _outline(self) -> int:
        metadata, status = self.metadata, self.status
        facts: tuple[object, ...] = (metadata.generation, metadata.deletion)
        if isinstance(status, _Status) and isinstance(status.counts, dict):
            facts += (status.driver, status.refused, sorted(status.counts.items()))
        elif status is not None:
            # Whoever wrote this does not count trials as our driver does: it differs from every other version.
            facts += (metadata.version,)
        return hash(repr(facts))


class _Event(_Wire):
    type: str
    object: _Head


class _ChangedBatch(_Wire):
    object: TrialBatch


class _ListMetadata(_Wire):
    version: int = Field(0, alias="resourceVersion")
    continue_token: str = Field("", alias="continue")


class _Heads(_Wire):
    metadata: _ListMetadata
    items: list[_Head] | None = None


class _Items(_Wire):
    items: list[TrialBatch] | None = None


def read_head(data: bytes) -> PageHead:
    """Read the head of the answer to a list request; `batches_of_page` reads its batches.

    Raises:
        ValidationError: the answer is no list.
    """
    heads = _Heads.model_validate_json(data)
    identities = tuple(head.identity() for head in heads.items or ())
    return PageHead(heads.metadata.version, heads.metadata.continue_token, identities)


def read_page(data: bytes) -> list[ReadBatch]:
    """Read the batches of the answer to a list request.

    Raises:
        ValidationError: the answer is no list.
    """
    return batches_of_page(read_head(data), data)


def batches_of_page(head: PageHead, data: bytes) -> list[ReadBatch]:
    """Read the batches of a page, whose head was read from the same `data`."""
    try:
        items = _Items.model_validate_json(data, extra="ignore").items or ()
        return list(map(_with_notes, head.identities, items))
    except ValidationError:
        bodies = json.loads(data)["items"]
        return [_read(*pair) for pair in zip(head.identities, bodies, strict=True)]


def read_event(line: bytes) -> BatchEvent:
    """Read the head of a watch's event; `batch_of_event` reads its batch.

    Raises:
        ValidationError: the line is no event.
    """
    event = _Event.model_validate_json(line)
    head = event.object
    is_batch = event.type in ("ADDED", "MODIFIED", "DELETED")
    identity = head.identity() if is_batch else None
    return BatchEvent(event.type, head.metadata.version, identity, head.code)


def batch_of_event(identity: BatchIdentity, line: bytes) -> ReadBatch:
    """Read the batch of a watch's event."""
    try:
        changed = _ChangedBatch.model_validate_json(line, extra="ignore")
    except ValidationError:
        return _read(identity, json.loads(line)["object"])
    return _with_notes(identity, changed.object)


def read_body(body: Mapping[str, Any]) -> ReadBatch:
    """Read a batch from the answer to a write."""
    return _read(_Head.model_validate(body).identity(), body)


def _read(identity: BatchIdentity, body: Mapping[str, Any]) -> ReadBatch:
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    subject = f"TrialBatch {identity.namespace}/{identity.name}"
    try:
        batch = read_object(TrialBatch, {**body, "metadata": metadata}, subject)
    except Unreadable as error:
        return ReadBatch(identity, None, str(error))
    return _with_notes(identity, batch)


def _with_notes(identity: BatchIdentity, batch: TrialBatch) -> ReadBatch:
    try:
        check_notes(batch, f"TrialBatch {identity.namespace}/{identity.name}")
    except Unreadable as error:
        return ReadBatch(identity, None, str(error))
    return ReadBatch(identity, batch)
