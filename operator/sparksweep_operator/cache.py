"""What the operator knows of the cluster: experiments, their batches and pods, from watches and from its own writes.

Both come in any order, so each object is kept with its resourceVersion, and an older one never replaces a newer: what
was just written is seen by the next turn, though its watch event is still under way. For the same reason what is gone
does not come back with an answer that was read late.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from sparksweep_core.api import TrialBatch
from sparksweep_operator.metrics import Metrics
from sparksweep_operator.pod_status import Pod

Body = Mapping[str, Any]
Key = tuple[str, str]
"""Namespace and name of an Experiment."""

DELETED_UIDS = 10_000
"""UIDs of deleted objects that are remembered: an answer is late by seconds at most."""


@dataclass(frozen=True, slots=True)
class _Versioned:
    version: int
    uid: str
    item: Any


@dataclass(slots=True)
class _Family:
    """An experiment with all that belongs to it."""

    experiment: _Versioned | None = None
    batches: dict[str, _Versioned] = field(default_factory=dict)
    pods: dict[str, _Versioned] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return self.experiment is None and not self.batches and not self.pods


class ObjectCache:
    """A cache of what matters. Not thread-safe: it belongs to one event loop."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        """Know nothing yet, and tell `metrics` what becomes of batches."""
        self._metrics = metrics or Metrics()
        self._experiments: dict[Key, _Family] = {}
        self._deleted_uids: dict[str, None] = {}

    @property
    def size(self) -> int:
        """How many experiments it knows anything of."""
        return len(self._experiments)

    # ------------------------------------------------------------------ what is known

    def experiment(self, key: Key) -> dict[str, Any] | None:
        """An Experiment's newest body."""
        family = self._experiments.get(key)
        if family is None or family.experiment is None:
            return None
        body: dict[str, Any] = family.experiment.item
        return body

    def batches(self, key: Key, owner: str) -> list[TrialBatch]:
        """The batches that belong to the Experiment of that UID."""
        family = self._experiments.get(key) or _Family()
        batches: list[TrialBatch] = [entry.item for entry in family.batches.values()]
        return [
            batch
            for batch in batches
            if any(item.uid == owner for item in batch.metadata.owner_references or ())
        ]

    def pods(self, key: Key) -> list[Pod]:
        """The pods with the experiment's label."""
        family = self._experiments.get(key) or _Family()
        return [entry.item for entry in family.pods.values()]

    def families(self) -> Iterator[tuple[dict[str, Any] | None, list[Pod]]]:
        """Every experiment's body, if there is one, and its pods."""
        for family in self._experiments.values():
            known = family.experiment
            pods = [entry.item for entry in family.pods.values()]
            yield known.item if known is not None else None, pods

    # ------------------------------------------------------------------ news

    def upsert_experiment(self, body: Body) -> Key:
        """Take in an Experiment; its key."""
        metadata = body["metadata"]
        key = (metadata["namespace"], metadata["name"])
        if metadata["uid"] in self._deleted_uids:
            return key
        family = self._experiments.setdefault(key, _Family())
        family.experiment = _newer(family.experiment, body, lambda: _without_managed_fields(body))
        return key

    def upsert_batch(self, body: Body) -> Key | None:
        """Take in a batch; its experiment's key, None for one that nobody of ours wrote."""
        name = (body.get("spec") or {}).get("experiment")
        if not isinstance(name, str):
            return None
        key = (body["metadata"]["namespace"], name)
        if body["metadata"]["uid"] in self._deleted_uids:
            return key
        own = body["metadata"]["name"]
        family = self._experiments.get(key) or _Family()
        known = family.batches.get(own)
        try:
            entry = _newer(
                known,
                body,
                lambda: TrialBatch.model_validate(_without_managed_fields(body), strict=False),
            )
        except ValidationError:
            return None
        family.batches[own] = entry
        self._experiments[key] = family
        if known is not None and known is not entry and known.uid == entry.uid:
            self._metrics.observe_batch(known.item, entry.item, _created(family.experiment))
        return key

    def upsert_pod(self, body: Body) -> Key:
        """Take in a pod; its experiment's key."""
        pod = Pod.from_api(body)
        key = (body["metadata"]["namespace"], pod.experiment)
        if pod.uid in self._deleted_uids:
            return key
        family = self._experiments.setdefault(key, _Family())
        family.pods[pod.name] = _newer(family.pods.get(pod.name), body, lambda: pod)
        return key

    def replace_pods(self, key: Key, bodies: Sequence[Body], *, listed: int) -> None:
        """Take in all pods of an experiment as of the resourceVersion of their list, and forget those not among them."""
        names = {body["metadata"]["name"] for body in bodies}
        family = self._experiments.get(key)
        if family is not None:
            for name, entry in list(family.pods.items()):
                if name not in names and entry.version <= listed:
                    self._deleted_uids[entry.uid] = None
                    del family.pods[name]
        for body in bodies:
            self.upsert_pod(body)

    def remove_experiment(self, body: Body) -> Key:
        """Forget a deleted Experiment."""
        metadata = body["metadata"]
        key = (metadata["namespace"], metadata["name"])
        self._mark_deleted(body)
        family = self._experiments.get(key)
        if family and family.experiment and family.experiment.uid == metadata["uid"]:
            family.experiment = None
            self._discard_if_empty(key)
        return key

    def remove_batch(self, body: Body) -> Key | None:
        """Forget a deleted batch."""
        name = (body.get("spec") or {}).get("experiment")
        if not isinstance(name, str):
            return None
        return self._drop((body["metadata"]["namespace"], name), "batches", body)

    def remove_pod(self, body: Body) -> Key:
        """Forget a deleted pod."""
        key = (body["metadata"]["namespace"], Pod.from_api(body).experiment)
        return self._drop(key, "pods", body)

    def _drop(self, key: Key, kind: str, body: Body) -> Key:
        self._mark_deleted(body)
        family = self._experiments.get(key)
        if family is not None:
            entries: dict[str, _Versioned] = getattr(family, kind)
            known = entries.get(body["metadata"]["name"])
            if known is not None and known.uid == body["metadata"]["uid"]:
                del entries[body["metadata"]["name"]]
            self._discard_if_empty(key)
        return key

    def _mark_deleted(self, body: Body) -> None:
        self._deleted_uids[body["metadata"]["uid"]] = None
        if len(self._deleted_uids) > DELETED_UIDS:
            del self._deleted_uids[next(iter(self._deleted_uids))]

    def _discard_if_empty(self, key: Key) -> None:
        if self._experiments[key].is_empty:
            del self._experiments[key]


def _created(experiment: _Versioned | None) -> datetime | None:
    text = experiment and experiment.item["metadata"].get("creationTimestamp")
    return datetime.fromisoformat(text) if text else None


def _without_managed_fields(body: Body) -> dict[str, Any]:
    """The body without the record of who wrote which field, often the larger part of it."""
    metadata = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    return {**body, "metadata": metadata}


def _newer(known: _Versioned | None, body: Body, make: Any) -> _Versioned:
    metadata = body["metadata"]
    # Numbers that grow with each write of the same resource, which Kubernetes guarantees since 1.35.
    version = int(metadata["resourceVersion"])
    if known is not None and known.version >= version:
        return known
    return _Versioned(version, metadata["uid"], make())
