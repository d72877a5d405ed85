"""In-memory cache of Experiments, TrialBatches and pods, fed by watches and by the operator's own writes.

Both arrive in any order, so each object is cached with its resourceVersion, and an older version never replaces a newer
one: a reconcile sees what the last one wrote, even before its watch event arrives. For the same reason a response that
was read late does not bring a deleted object back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sparksweep_core.api import TrialBatch
from sparksweep_core.contract.labels import EXPERIMENT_LABEL
from sparksweep_core.errors import Unreadable
from sparksweep_core.validation.reading import read_object
from sparksweep_operator.metrics import Metrics
from sparksweep_operator.pod_status import Pod

Body = Mapping[str, Any]
Key = tuple[str, str]
"""Namespace and name of an Experiment."""

DELETED_UIDS = 10_000
"""Number of UIDs of deleted objects that are remembered: a response is late by seconds at most."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A cached object: a body, a TrialBatch or a Pod."""

    version: int
    uid: str
    item: Any


@dataclass(frozen=True, slots=True)
class _UnreadableBatch:
    """A batch of a later version: it exists, and must not be made again."""

    message: str
    owners: frozenset[object]
    """UIDs of its owners."""


@dataclass(slots=True)
class _Family:
    """An Experiment with all objects that belong to it."""

    experiment: _Entry | None = None
    batches: dict[str, _Entry] = field(default_factory=dict)
    pods: dict[str, _Entry] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return self.experiment is None and not self.batches and not self.pods


class ObjectCache:
    """Newest known version of each object. Not thread-safe: it belongs to one event loop."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        """Start empty; report changes of batches to `metrics`."""
        self._metrics = metrics or Metrics()
        self._families: dict[Key, _Family] = {}
        self._deleted_uids: dict[str, None] = {}

    @property
    def size(self) -> int:
        """Number of experiments of which any object is cached."""
        return len(self._families)

    # ------------------------------------------------------------------ reads

    def experiment(self, key: Key) -> dict[str, Any] | None:
        """Return an Experiment's newest body; None if it is not cached."""
        family = self._families.get(key)
        if family is None or family.experiment is None:
            return None
        body: dict[str, Any] = family.experiment.item
        return body

    def batches(self, key: Key, owner: str) -> list[TrialBatch]:
        """Return the batches that belong to the Experiment with the UID `owner`."""
        family = self._families.get(key) or _Family()
        batches: list[TrialBatch] = [
            entry.item for entry in family.batches.values() if isinstance(entry.item, TrialBatch)
        ]
        return [
            batch
            for batch in batches
            if any(item.uid == owner for item in batch.metadata.owner_references or ())
        ]

    def unreadable_batches(self, key: Key) -> Mapping[str, str]:
        """Return the batches of an Experiment that this version can't read, by name, each with the error in words."""
        family = self._families.get(key)
        if family is None or family.experiment is None:
            return {}
        return {
            name: entry.item.message
            for name, entry in family.batches.items()
            if isinstance(entry.item, _UnreadableBatch)
            and family.experiment.uid in entry.item.owners
        }

    def pods(self, key: Key) -> list[Pod]:
        """Return the pods with the experiment's label."""
        family = self._families.get(key) or _Family()
        return [entry.item for entry in family.pods.values()]

    def experiments_with_pods(self) -> Iterator[tuple[dict[str, Any] | None, list[Pod]]]:
        """Iterate over all experiments: the body, None if only other objects are cached, and the pods."""
        for family in self._families.values():
            body = family.experiment.item if family.experiment is not None else None
            yield body, [entry.item for entry in family.pods.values()]

    # ------------------------------------------------------------------ writes

    def upsert_experiment(self, body: Body) -> Key:
        """Insert or update an Experiment; return its key."""
        metadata = body["metadata"]
        key = (metadata["namespace"], metadata["name"])
        if metadata["uid"] in self._deleted_uids:
            return key
        family = self._families.setdefault(key, _Family())
        family.experiment = _newer(family.experiment, body, lambda: _without_managed_fields(body))
        return key

    def upsert_batch(self, body: Body) -> Key | None:
        """Insert or update a batch; return its experiment's key, None if it is not one of ours."""
        experiment = _experiment_of(body)
        if experiment is None:
            return None
        key = (body["metadata"]["namespace"], experiment)
        if body["metadata"]["uid"] in self._deleted_uids:
            return key
        name = body["metadata"]["name"]
        family = self._families.get(key) or _Family()
        before = family.batches.get(name)
        entry = _newer(before, body, lambda: _read_batch(body))
        family.batches[name] = entry
        self._families[key] = family
        if (
            before is not None
            and before is not entry
            and before.uid == entry.uid
            and isinstance(before.item, TrialBatch)
            and isinstance(entry.item, TrialBatch)
        ):
            created = _creation_time(family.experiment)
            self._metrics.observe_batch(before.item, entry.item, created)
        return key

    def upsert_pod(self, body: Body) -> Key:
        """Insert or update a pod; return its experiment's key."""
        pod = Pod.from_api(body)
        key = (body["metadata"]["namespace"], pod.experiment)
        if pod.uid in self._deleted_uids:
            return key
        family = self._families.setdefault(key, _Family())
        family.pods[pod.name] = _newer(family.pods.get(pod.name), body, lambda: pod)
        return key

    def replace_pods(self, key: Key, bodies: Sequence[Body], *, version: int) -> None:
        """Replace an experiment's pods by a list of them.

        Args:
            key: the experiment.
            bodies: the listed pods.
            version: resourceVersion of the list. Pods that changed later stay, listed or not.
        """
        names = {body["metadata"]["name"] for body in bodies}
        family = self._families.get(key)
        if family is not None:
            for name, entry in list(family.pods.items()):
                if name not in names and entry.version <= version:
                    self._deleted_uids[entry.uid] = None
                    del family.pods[name]
        for body in bodies:
            self.upsert_pod(body)

    def remove_experiment(self, body: Body) -> Key:
        """Remove a deleted Experiment; return its key."""
        metadata = body["metadata"]
        key = (metadata["namespace"], metadata["name"])
        self._mark_deleted(body)
        family = self._families.get(key)
        if family and family.experiment and family.experiment.uid == metadata["uid"]:
            family.experiment = None
            self._discard_if_empty(key)
        return key

    def remove_batch(self, body: Body) -> Key | None:
        """Remove a deleted batch; return its experiment's key, None if it is not one of ours."""
        experiment = _experiment_of(body)
        if experiment is None:
            return None
        return self._remove((body["metadata"]["namespace"], experiment), "batches", body)

    def remove_pod(self, body: Body) -> Key:
        """Remove a deleted pod; return its experiment's key."""
        key = (body["metadata"]["namespace"], Pod.from_api(body).experiment)
        return self._remove(key, "pods", body)

    def _remove(self, key: Key, kind: str, body: Body) -> Key:
        self._mark_deleted(body)
        family = self._families.get(key)
        if family is not None:
            entries: dict[str, _Entry] = getattr(family, kind)
            entry = entries.get(body["metadata"]["name"])
            if entry is not None and entry.uid == body["metadata"]["uid"]:
                del entries[body["metadata"]["name"]]
            self._discard_if_empty(key)
        return key

    def _mark_deleted(self, body: Body) -> None:
        self._deleted_uids[body["metadata"]["uid"]] = None
        if len(self._deleted_uids) > DELETED_UIDS:
            del self._deleted_uids[next(iter(self._deleted_uids))]

    def _discard_if_empty(self, key: Key) -> None:
        if self._families[key].is_empty:
            del self._families[key]


def _creation_time(experiment: _Entry | None) -> datetime | None:
    text = experiment and experiment.item["metadata"].get("creationTimestamp")
    return datetime.fromisoformat(text) if text else None


def _experiment_of(body: Body) -> str | None:
    """Return the name of a batch's Experiment; None if it names none."""
    spec, metadata = body.get("spec"), body["metadata"]
    labels = metadata.get("labels") or {}
    names = (
        spec.get("experiment") if isinstance(spec, Mapping) else None,
        labels.get(EXPERIMENT_LABEL),
    )
    return next((name for name in names if isinstance(name, str)), None)


def _read_batch(body: Body) -> TrialBatch | _UnreadableBatch:
    metadata = body["metadata"]
    subject = f"TrialBatch {metadata['namespace']}/{metadata['name']}"
    try:
        return read_object(TrialBatch, _without_managed_fields(body), subject)
    except Unreadable as error:
        references = metadata.get("ownerReferences") or ()
        return _UnreadableBatch(str(error), frozenset(item.get("uid") for item in references))


def _without_managed_fields(body: Body) -> dict[str, Any]:
    """Return the body without ``managedFields``, often the larger part of it."""
    metadata = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    return {**body, "metadata": metadata}


def _newer(entry: _Entry | None, body: Body, read: Callable[[], Any]) -> _Entry:
    """Return the cached entry if it is as new as the body, else a new entry with the result of `read`."""
    metadata = body["metadata"]
    # Integers that grow with each write of the same resource, as Kubernetes guarantees since 1.35.
    version = int(metadata["resourceVersion"])
    if entry is not None and entry.version >= version:
        return entry
    return _Entry(version, metadata["uid"], read())
