"""Objects for the operator's tests, as the API server returns them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sparksweep_core.api import (
    Experiment,
    ObjectMeta,
    TrialBatch,
    TrialBatchSpec,
    TrialBatchStatus,
    batch_name,
)
from sparksweep_core.api.metadata import API_VERSION
from sparksweep_core.contract.labels import EXPERIMENT_LABEL, ROLE_LABEL
from sparksweep_core.history import History
from sparksweep_core.validation.document import parse_experiment
from sparksweep_operator.batch_pages import BatchIdentity, read_body, read_event
from sparksweep_operator.cache import Key, ObjectCache
from sparksweep_operator.metrics import Metrics
from sparksweep_operator.pod_status import Pod

NAMESPACE = "lab"
NAME = "digits"
UID = "uid-of-digits"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)

FULL_TEMPLATE: dict[str, Any] = {
    "image": "registry.example/user:7",
    "imagePullPolicy": "Always",
    "imagePullSecrets": [{"name": "pull"}],
    "source": {"inline": "def training(x):\n    return x\n"},
    "resources": {"cpu": "500m", "memory": "1Gi", "gpu": {"count": 2}},
    "nodeSelector": {"accelerator": "nvidia-a100"},
    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
                ]
            }
        }
    },
    "priorityClassName": "low",
    "env": [
        {"name": "MODE", "value": "fast"},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "api"}}},
    ],
    "volumes": [
        {"name": "data", "mountPath": "/data", "persistentVolumeClaim": {"claimName": "train"}},
        {"name": "settings", "mountPath": "/settings", "configMap": {"name": "settings"}},
        {"name": "keys", "mountPath": "/keys", "readOnly": True, "secret": {"secretName": "keys"}},
        {"name": "shm", "mountPath": "/dev/shm", "emptyDir": {"medium": "Memory"}},
    ],
}
"""A trial template with every field that concerns pods."""


def moment(seconds: float) -> str:
    """Return the time some seconds after `NOW`, as the API server writes it."""
    return (NOW + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def experiment_body(
    name: str = NAME, *, template: dict[str, Any] | None = None, **spec: Any
) -> dict[str, Any]:
    """Return an Experiment with a grid of three points; `template` and `spec` replace fields."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Experiment",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": UID,
            "generation": 1,
            "resourceVersion": "10",
        },
        "spec": {
            "objective": {"type": "maximize", "objectiveMetricName": "score"},
            "algorithm": {"algorithmName": "grid"},
            "parameters": [
                {"name": "x", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "3"}}
            ],
            "parallelTrialCount": 2,
            "trialTemplate": {"function": "train:training", **(template or {})},
            **spec,
        },
    }


def experiment(
    name: str = NAME, *, template: dict[str, Any] | None = None, **spec: Any
) -> Experiment:
    """Return the same Experiment, parsed and checked."""
    return parse_experiment(experiment_body(name, template=template, **spec))


def pod_body(
    name: str,
    *,
    role: str = "driver",
    owner: str = UID,
    phase: str = "Pending",
    created: float = 0,
    version: int = 1,
    status: dict[str, Any] | None = None,
    deleting: bool = False,
) -> dict[str, Any]:
    """Return a pod of the experiment `NAME`."""
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid-of-{name}",
            "resourceVersion": str(version),
            "creationTimestamp": moment(created),
            "labels": {EXPERIMENT_LABEL: NAME, ROLE_LABEL: role},
            "ownerReferences": [{"kind": "Experiment", "name": NAME, "uid": owner}],
        },
        "status": {"phase": phase, **(status or {})},
    }
    if deleting:
        body["metadata"]["deletionTimestamp"] = moment(created + 1)
    return body


def pod(name: str, **arguments: Any) -> Pod:
    """Return the operator's facts about such a pod."""
    return Pod.from_api(pod_body(name, **arguments))


def ended(reason: str, code: int, at: float) -> dict[str, Any]:
    """Return the status of a pod whose container has ended."""
    terminated = {"reason": reason, "exitCode": code, "finishedAt": moment(at)}
    return {"containerStatuses": [{"name": "driver", "state": {"terminated": terminated}}]}


def beside_a_viewer(status: dict[str, Any], *, state: str = "running") -> dict[str, Any]:
    """Add a viewer's container in a given state to the status of a driver's pod."""
    viewer = {"name": "viewer", "state": {state: {}}}
    return {**status, "containerStatuses": [*status.get("containerStatuses", []), viewer]}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    """Return the status of a pod whose container is waiting."""
    state = {"reason": reason, **({"message": message} if message else {})}
    return {"containerStatuses": [{"name": "driver", "state": {"waiting": state}}]}


def batch(
    index: int = 0,
    *,
    driver: str | None = None,
    trials: Sequence[Any] = (),
    problem: str | None = None,
) -> TrialBatch:
    """Return a batch of the experiment whose status `driver` wrote last."""
    return TrialBatch(
        metadata=ObjectMeta(name=batch_name(NAME, index), namespace=NAMESPACE),
        spec=TrialBatchSpec(experiment=NAME, index=index, trials=list(trials)),
        status=None if driver is None else TrialBatchStatus(driver=driver, problem=problem),
    )


def batch_body(index: int = 0, *, version: int = 1, owner: str = UID) -> dict[str, Any]:
    """Return an empty batch of the Experiment with the UID `owner`."""
    name = f"{NAME}-{index:05d}"
    return {
        "apiVersion": API_VERSION,
        "kind": "TrialBatch",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid-of-{name}-of-{owner}",
            "resourceVersion": str(version),
            "generation": version,
            "managedFields": [{"manager": "anybody"}],
            "ownerReferences": [
                {"apiVersion": API_VERSION, "kind": "Experiment", "name": NAME, "uid": owner}
            ],
        },
        "spec": {"experiment": NAME, "index": index, "trials": []},
    }


def loaded_cache(
    experiment: dict[str, Any],
    *batches: dict[str, Any],
    metrics: Metrics | None = None,
    at: int = 0,
) -> ObjectCache:
    """Return a cache with an Experiment and a list of its batches, whose resourceVersion is `at`."""
    cache = ObjectCache(metrics)
    load_batches(cache, cache.upsert_experiment(experiment), *batches, at=at)
    return cache


def load_batches(
    cache: ObjectCache, key: Key, *batches: dict[str, Any], at: int = 0, began: bool = False
) -> None:
    """List an Experiment's batches into a cache, as the informer does."""
    owner = cache.needs_batches(key)
    assert owner is not None
    if not began:
        cache.begin_batches(key, owner)
    read = [read_body(body) for body in batches]
    history = History(item.batch for item in read if item.batch is not None)
    cache.replace_batches(key, owner, read, history, version=at)


def event(body: dict[str, Any], kind: str = "MODIFIED") -> tuple[BatchIdentity, bytes]:
    """Return an event of the watch about a batch."""
    line = json.dumps({"type": kind, "object": body}).encode()
    identity = read_event(line).identity
    assert identity is not None
    return identity, line
