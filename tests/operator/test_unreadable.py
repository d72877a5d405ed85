"""An object of a later version is a condition of its Experiment: nothing is planned, and nothing of the status is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sparksweep_core.api import ExperimentReason
from sparksweep_operator.cache import Key, ObjectCache
from sparksweep_operator.kube import KubernetesClient
from sparksweep_operator.memo import Memo
from sparksweep_operator.reconciler import Reconciler
from sparksweep_operator.settings import Settings
from sparksweep_operator.unreadable import status_with_problem
from support.operator.operator_objects import (
    NAME,
    NAMESPACE,
    NOW,
    UID,
    experiment_body,
    loaded_cache,
)

KEY = (NAMESPACE, NAME)
REASON = ExperimentReason.UNREADABLE_BATCH


class RecordingClient(KubernetesClient):
    """Takes status writes and refuses every other request by having no connection."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []
        self.version = 100

    async def apply_status_values(
        self, metadata: Mapping[str, Any], status: Mapping[str, Any]
    ) -> dict[str, Any]:
        self.version += 1
        self.written.append(dict(status))
        body = experiment_body()
        body["metadata"] |= {"resourceVersion": str(self.version)}
        return body | {"status": dict(status)}


def reconciler_of(cache: ObjectCache, client: KubernetesClient) -> Reconciler:
    async def load(key: Key, owner: str) -> None:
        raise AssertionError(f"the batches of {key} are loaded: {owner}")

    return Reconciler(cache, client, Settings(), load_batches=load, clock=lambda: NOW)


def unreadable_batch(version: int = 1) -> dict[str, Any]:
    return {
        "apiVersion": "sparksweep.dev/v1alpha1",
        "kind": "TrialBatch",
        "metadata": {
            "name": f"{NAME}-00000",
            "namespace": NAMESPACE,
            "uid": "uid-of-batch",
            "resourceVersion": str(version),
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Experiment", "name": NAME, "uid": UID}
            ],
        },
        "spec": {
            "experiment": NAME,
            "index": 0,
            "trials": [{"number": 1, "parameters": {"x": "1"}}],
        },
        "status": {"trials": [{"number": 1, "state": "EarlyStopped"}]},
    }


def test_the_status_keeps_what_only_a_later_version_knows() -> None:
    body = experiment_body()
    queued = {"type": "Queued", "status": "True", "reason": "NoQuota", "later": 1}
    body["status"] = {"paretoTrials": [1, 2], "progress": "3/9", "conditions": [queued]}
    status = status_with_problem(body, REASON, "words", now=NOW)
    assert status is not None
    assert status["paretoTrials"] == [1, 2]
    assert status["progress"] == "3/9"
    assert status["conditions"][0] == queued
    assert status["conditions"][1] | {"lastTransitionTime": ""} == {
        "type": "Running", "status": "False", "reason": "UnreadableBatch", "message": "words",
        "lastTransitionTime": "", "observedGeneration": 1,
    }  # fmt: skip


def test_the_same_problem_is_written_once_and_another_keeps_the_time_of_the_change() -> None:
    body = experiment_body()
    body["status"] = status_with_problem(body, REASON, "words", now=NOW)
    later = NOW + timedelta(seconds=60)
    assert status_with_problem(body, REASON, "words", now=later) is None
    changed = status_with_problem(body, REASON, "other words", now=later)
    assert changed is not None
    [condition] = changed["conditions"]
    assert condition["message"] == "other words"
    assert condition["lastTransitionTime"] == body["status"]["conditions"][0]["lastTransitionTime"]


def test_nothing_is_made_in_place_of_a_batch_that_can_not_be_read() -> None:
    cache, client, memo = (
        loaded_cache(experiment_body(), unreadable_batch()),
        RecordingClient(),
        Memo(),
    )
    reconciler = reconciler_of(cache, client)
    first = asyncio.run(reconciler.reconcile(KEY, memo))
    again = asyncio.run(reconciler.reconcile(KEY, memo))
    assert (first.wrote_status, again.wrote_status) == (True, False)
    assert again.requeue_after is not None
    [status] = client.written
    [condition] = status["conditions"]
    assert condition["reason"] == "UnreadableBatch"
    for word in (f"TrialBatch lab/{NAME}-00000", "status.trials[0].state", '"EarlyStopped"'):
        assert word in condition["message"]


def test_an_experiment_that_can_not_be_read_says_so_and_is_not_failed() -> None:
    body = experiment_body(algorithm={"algorithmName": "annealing"})
    cache, client, memo = (
        loaded_cache(body | {"status": {"progress": "3/9"}}),
        RecordingClient(),
        Memo(),
    )
    reconciler = reconciler_of(cache, client)
    asyncio.run(reconciler.reconcile(KEY, memo))
    [status] = client.written
    assert status["progress"] == "3/9"
    assert "completionTime" not in status
    assert [item["reason"] for item in status["conditions"]] == ["UnreadableExperiment"]
