"""In-memory cache of Experiments, their batches and their pods, fed by watches and by the operator's own writes.

All arrive in any order, so each object is cached with its resourceVersion, and an older version never replaces a newer
one: a reconcile sees what the last one wrote, even before its watch event arrives. For the same reason a response that
was read late does not bring a deleted object back.

The batches of an Experiment are cached only while it runs. `needs_batches` tells when they have to be listed: after the
operator's start, for a new Experiment of that name, and when an ended one goes on. A change of a batch of any other
Experiment is dropped: it will be listed.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sparksweep_core.api import TrialBatch, TrialBatchSpec
from sparksweep_core.history import BatchRecord, History
from sparksweep_operator.batch_pages import BatchIdentity, ReadBatch, read_body
from sparksweep_operator.batch_store import BatchStore
from sparksweep_operator.experiment_facts import ExperimentFacts
from sparksweep_operator.metrics import Metrics
from sparksweep_operator.pod_status import Pod
from sparksweep_operator.pruned import Pruned

Body = Mapping[str, Any]
Key = tuple[str, str]
"""Namespace and name of an Experiment."""

DELETED_UIDS = 10_000
"""Number of UIDs of deleted objects that are remembered: a response is late by seconds at most."""
SOURCE_CHARACTERS = 4096
"""Characters up to which an inline source is cached. A longer one is read from the API server when it is needed: for the check
of a new spec, and for a driver."""
_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class BatchChange:
    """A change of a batch."""

    key: Key
    is_urgent: bool
    """False if only reports of running trials have changed: no trial began or ended, and the spec is the same."""


@dataclass(frozen=True, slots=True)
class _CachedExperiment:
    """An Experiment: facts that are read often, and the document, compressed."""

    version: int
    uid: str
    facts: ExperimentFacts
    document: bytes
    is_own: bool
    """True if the operator has written this version."""


@dataclass(frozen=True, slots=True)
class _CachedPod:
    version: int
    pod: Pod


@dataclass(slots=True)
class _Family:
    """An Experiment with all objects that belong to it."""

    experiment: _CachedExperiment | None = None
    pruned_status: Pruned[Body] | None = None
    batches: BatchStore | None = None
    pods: dict[str, _CachedPod] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return self.experiment is None and not self.pods


class _RecentUids:
    """The UIDs of the objects that were deleted last, at most `DELETED_UIDS`."""

    def __init__(self) -> None:
        self._uids: dict[str, None] = {}

    def __contains__(self, uid: object) -> bool:
        return uid in self._uids

    def __len__(self) -> int:
        return len(self._uids)

    def add(self, uid: str) -> None:
        self._uids[uid] = None
        if len(self._uids) > DELETED_UIDS:
            del self._uids[next(iter(self._uids))]


class ObjectCache:
    """Newest known version of each object. Not thread-safe: it belongs to one event loop."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        """Start empty; report changes of batches to `metrics`."""
        self._metrics = metrics or Metrics()
        self._families: dict[Key, _Family] = {}
        self._running: set[Key] = set()
        self._deleted_uids = _RecentUids()

    @property
    def size(self) -> int:
        """Number of experiments of which any object is cached."""
        return len(self._families)

    @property
    def running_count(self) -> int:
        """Number of Experiments that have not ended."""
        return len(self._running)

    @property
    def batch_count(self) -> int:
        """Number of cached batches."""
        stores = (family.batches for family in self._families.values())
        return sum(len(store) for store in stores if store is not None)

    # ------------------------------------------------------------------ reads

    def experiment(self, key: Key) -> dict[str, Any] | None:
        """Return an Experiment's newest document; None if it is not cached.

        The inline source of an ended one, and one of more than `SOURCE_CHARACTERS`, is left out: `source` is empty.
        Its status has the fields that the operator has written and the CRD lacks (`Pruned`).
        """
        cached = self._experiment(key)
        if cached is None:
            return None
        document: dict[str, Any] = json.loads(zlib.decompress(cached.document))
        pruned = self._families[key].pruned_status
        if pruned is not None:
            document["status"] = pruned.restored(document.get("status") or {})
        return document

    def facts(self, key: Key) -> ExperimentFacts | None:
        """Return the facts about an Experiment that are read often; None if it is not cached."""
        cached = self._experiment(key)
        return None if cached is None else cached.facts

    def history(self, key: Key) -> History:
        """Return the history of an Experiment's batches, empty for an ended one."""
        store = self._store(key)
        if store is None:
            return History()
        experiment = self._experiment(key)
        created = experiment.facts.created if experiment else None

        def observe(before: BatchRecord | None, after: TrialBatch) -> None:
            self._metrics.observe_batch(before, after, created)

        return store.history(observe)

    def unreadable_batches(self, key: Key) -> Mapping[str, str]:
        """Return the batches that this version can't read, by name, each with the error in words."""
        self.history(key)
        store = self._store(key)
        return {} if store is None else store.unreadable

    def pods(self, key: Key) -> list[Pod]:
        """Return the pods with the experiment's label."""
        family = self._families.get(key) or _Family()
        return [cached.pod for cached in family.pods.values()]

    def experiments_with_pods(self) -> Iterator[tuple[ExperimentFacts | None, list[Pod]]]:
        """Iterate over all experiments: the facts, None if only other objects are cached, and the pods."""
        for family in self._families.values():
            facts = family.experiment.facts if family.experiment is not None else None
            yield facts, [cached.pod for cached in family.pods.values()]

    # ------------------------------------------------------------------ Experiments

    def is_own_write(self, body: Body) -> bool:
        """Return True if an Experiment's version is cached, and by the answer to a write of the operator."""
        metadata = body["metadata"]
        cached = self._experiment((metadata["namespace"], metadata["name"]))
        return cached is not None and cached.is_own and cached.version == int(metadata["resourceVersion"])  # fmt: skip

    def upsert_experiment(
        self, body: Body, *, is_own: bool = False, written: Body | None = None
    ) -> Key:
        """Insert or update an Experiment; return its key.

        Args:
            body: the Experiment.
            is_own: True if it is the answer to a write of the operator.
            written: the status that the operator has just written, if `body` is the answer to that.
        """
        metadata = body["metadata"]
        key = (metadata["namespace"], metadata["name"])
        uid = metadata["uid"]
        if uid in self._deleted_uids:
            return key
        family = self._families.setdefault(key, _Family())
        if family.experiment is not None and family.experiment.uid != uid:
            family.pruned_status = None
        if written is not None:
            family.pruned_status = Pruned.of(written, body.get("status") or {})
        version = int(metadata["resourceVersion"])
        if family.experiment is not None and family.experiment.version >= version:
            return key
        facts = ExperimentFacts.of(body)
        document = _packed(body, facts)
        family.experiment = _CachedExperiment(version, uid, facts, document, is_own)
        (self._running.discard if facts.is_ended else self._running.add)(key)
        if facts.is_ended or (family.batches is not None and family.batches.owner != uid):
            family.batches = None
        return key

    def remove_experiment(self, body: Body) -> Key:
        """Remove a deleted Experiment; return its key."""
        metadata = body["metadata"]
        key = (metadata["namespace"], metadata["name"])
        self._deleted_uids.add(metadata["uid"])
        family = self._families.get(key)
        if family and family.experiment and family.experiment.uid == metadata["uid"]:
            family.experiment, family.pruned_status, family.batches = None, None, None
            self._running.discard(key)
            self._discard_if_empty(key)
        return key

    def forget_pruned(self, key: Key) -> None:
        """Return an experiment's objects as they are stored from now on: the CRDs may have been updated."""
        family = self._families.get(key)
        if family is not None:
            family.pruned_status = None
            if family.batches is not None:
                family.batches.forget_pruned()

    # ------------------------------------------------------------------ batches

    def needs_batches(self, key: Key) -> str | None:
        """Return the UID of an Experiment whose batches have to be listed before it is planned; None if none have."""
        experiment = self._experiment(key)
        if experiment is None or experiment.facts.is_ended:
            return None
        store = self._store(key)
        return None if store is not None and store.is_complete else experiment.uid

    def begin_batches(self, key: Key, owner: str) -> None:
        """Note changes of the batches of the Experiment with the UID `owner` from now on: they are about to be listed."""
        experiment = self._experiment(key)
        if experiment is not None and experiment.uid == owner and not experiment.facts.is_ended:
            self._families[key].batches = BatchStore(owner)

    def replace_batches(
        self, key: Key, owner: str, batches: Iterable[ReadBatch], history: History, *, version: int
    ) -> None:
        """Take a list of an Experiment's batches, unless it has ended or been replaced since `begin_batches`.

        Args:
            key: the experiment.
            owner: UID of the Experiment.
            batches: the listed batches; their models are not needed.
            history: the history of those that can be read.
            version: resourceVersion of the list.
        """
        store = self._store(key)
        if store is not None and store.owner == owner:
            store.replace(batches, history, version=version)

    def forget_batches(self, namespace: str | None) -> list[Key]:
        """Drop the batches of all experiments in a namespace, or in all: changes may have been missed; return their keys."""
        keys = [
            key
            for key, family in self._families.items()
            if family.batches is not None and namespace in (None, key[0])
        ]
        for key in keys:
            self._families[key].batches = None
        return keys

    def upsert_batch(self, body: Body, *, written: TrialBatchSpec | None = None) -> Key | None:
        """Insert or update a batch that the operator has written; return its experiment's key.

        Args:
            body: the answer to the write.
            written: the spec that was written; None to take that of the answer.
        """
        read = read_body(body)
        store = self._store_of(read.identity)
        if store is None or not store.put(read, written=written):
            return None
        return read.identity.namespace, read.identity.experiment

    def change_batch(self, identity: BatchIdentity, line: bytes) -> BatchChange | None:
        """Take a watch's event about a batch; return the change, None if nothing has to be done."""
        store = self._store_of(identity)
        if store is None:
            return None
        before = store.outline(identity.name)
        if not store.put_line(identity, line):
            return None
        key = identity.namespace, identity.experiment
        return BatchChange(key, is_urgent=before != identity.outline)

    def remove_batch(self, identity: BatchIdentity) -> Key | None:
        """Remove a deleted batch; return its experiment's key, None if nothing has to be done."""
        store = self._store_of(identity)
        self._deleted_uids.add(identity.uid)
        if store is None or not store.remove(identity):
            return None
        return identity.namespace, identity.experiment

    # ------------------------------------------------------------------ pods

    def upsert_pod(self, body: Body) -> Key:
        """Insert or update a pod; return its experiment's key."""
        pod = Pod.from_api(body)
        key = (body["metadata"]["namespace"], pod.experiment)
        if pod.uid in self._deleted_uids:
            return key
        family = self._families.setdefault(key, _Family())
        version, cached = int(body["metadata"]["resourceVersion"]), family.pods.get(pod.name)
        if cached is None or cached.version < version:
            family.pods[pod.name] = _CachedPod(version, pod)
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
            for name, cached in list(family.pods.items()):
                if name not in names and cached.version <= version:
                    self._deleted_uids.add(cached.pod.uid)
                    del family.pods[name]
        for body in bodies:
            self.upsert_pod(body)

    def remove_pod(self, body: Body) -> Key:
        """Remove a deleted pod; return its experiment's key."""
        pod = Pod.from_api(body)
        key = (body["metadata"]["namespace"], pod.experiment)
        self._deleted_uids.add(pod.uid)
        family = self._families.get(key)
        if family is not None:
            cached = family.pods.get(pod.name)
            if cached is not None and cached.pod.uid == pod.uid:
                del family.pods[pod.name]
            self._discard_if_empty(key)
        return key

    # ------------------------------------------------------------------ parts

    def _experiment(self, key: Key) -> _CachedExperiment | None:
        family = self._families.get(key)
        return None if family is None else family.experiment

    def _store(self, key: Key) -> BatchStore | None:
        family = self._families.get(key)
        return None if family is None else family.batches

    def _store_of(self, identity: BatchIdentity) -> BatchStore | None:
        if identity.uid in self._deleted_uids:
            return None
        return self._store((identity.namespace, identity.experiment))

    def _discard_if_empty(self, key: Key) -> None:
        if self._families[key].is_empty:
            del self._families[key]


def _packed(body: Body, facts: ExperimentFacts) -> bytes:
    """Return a body's document, compressed, without what is not needed and often the larger part of it.

    ``managedFields`` and the copy that ``kubectl apply`` keeps are never needed, the inline source only for a driver, of
    which none is made after the Experiment has ended.
    """
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    annotations = metadata.get("annotations") or {}
    if _LAST_APPLIED in annotations:
        kept = {name: value for name, value in annotations.items() if name != _LAST_APPLIED}
        metadata["annotations"] = kept
    document = {name: body[name] for name in _FIELDS if name in body} | {"metadata": metadata}
    template = (document.get("spec") or {}).get("trialTemplate") or {}
    inline = (template.get("source") or {}).get("inline")
    if inline is not None and (facts.is_ended or len(inline) > SOURCE_CHARACTERS):
        source = {name: value for name, value in template["source"].items() if name != "inline"}
        document["spec"] = {**document["spec"], "trialTemplate": {**template, "source": source}}
    text = json.dumps(document, separators=(",", ":"), default=dict)
    return zlib.compress(text.encode(), 1)
