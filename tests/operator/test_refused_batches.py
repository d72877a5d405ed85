"""A TrialBatch that the API server refuses keeps nothing else waiting, and is a condition of its Experiment."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from sparksweep_core.api import Experiment, ExperimentStatus, TrialBatch
from sparksweep_core.api_server.errors import Forbidden, Invalid, KubeError, TooLarge
from sparksweep_operator.cache import Key
from sparksweep_operator.events import Event
from sparksweep_operator.kube import KubernetesClient
from sparksweep_operator.memo import Memo
from sparksweep_operator.reconciler import Reconciler, Result
from sparksweep_operator.settings import Settings
from support.operator.operator_objects import (
    NAME,
    NAMESPACE,
    NOW,
    experiment_body,
    loaded_cache,
)


class RefusingClient(KubernetesClient):
    """Refuses every batch with an error until it is told not to; takes all else."""

    def __init__(self, error: KubeError) -> None:
        self.error: KubeError | None = error
        self.statuses: list[ExperimentStatus] = []
        self.events: list[Event] = []
        self.status_error: KubeError | None = None
        self.created: list[str] = []

    async def create_batch(self, batch: TrialBatch) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        body = batch.to_dict()
        body["metadata"] |= {"uid": batch.metadata.name, "resourceVersion": "200"}
        return body

    async def apply_status(
        self, experiment: Experiment, status: ExperimentStatus
    ) -> dict[str, Any]:
        if self.status_error is not None:
            raise self.status_error
        self.statuses.append(status)
        body = experiment_body()
        body["metadata"]["resourceVersion"] = str(100 + len(self.statuses))
        return body | {"status": status.to_dict()}

    async def create(self, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        self.created.append(body["kind"])
        metadata = {"uid": "made", "resourceVersion": "150", "name": "made"} | body["metadata"]
        return {**body, "metadata": metadata}

    async def post_event(self, experiment: Experiment, event: Event, **_: Any) -> None:
        self.events.append(event)


def reconcile(client: RefusingClient, times: int = 1) -> Result:
    async def load(key: Key, owner: str) -> None:
        raise AssertionError(f"the batches of {key} are loaded: {owner}")

    async def run() -> Result:
        reconciler = Reconciler(
            loaded_cache(experiment_body()),
            client,
            Settings(),
            load_batches=load,
            clock=lambda: NOW,
        )
        memo = Memo()
        for _ in range(times):
            memo.status_written_at = None
            result = await reconciler.reconcile((NAMESPACE, NAME), memo)
        return result

    return asyncio.run(run())


def conditions(status: ExperimentStatus) -> dict[str, tuple[str, str]]:
    return {item.type: (item.status, item.reason) for item in status.conditions}


@pytest.mark.parametrize(
    "error",
    [
        Forbidden("exceeded quota: none, requested: count/trialbatches=1, limited to 0"),
        Invalid('admission webhook "policy.example.org" denied the request'),
    ],
    ids=["quota", "webhook"],
)
def test_a_refused_batch_is_a_condition_and_is_tried_again(error: KubeError) -> None:
    client = RefusingClient(error)
    result = reconcile(client, times=2)
    assert result.requeue_after is not None
    [status] = client.statuses
    assert conditions(status)["Running"] == ("False", "BatchRefused")
    assert conditions(status)["Accepted"] == ("True", "Valid")
    assert str(error) in status.conditions[1].message
    assert status.trials.created == 0
    assert status.completion_time is None


def test_a_batch_that_can_never_be_stored_fails_the_experiment() -> None:
    client = RefusingClient(TooLarge("etcdserver: request is too large"))
    reconcile(client, times=2)
    [status] = client.statuses
    assert conditions(status)["Failed"] == ("True", "ObjectTooLarge")
    assert status.state == "Failed"
    assert status.completion_time == NOW
    failed = next(item for item in status.conditions if item.type == "Failed")
    assert "etcdserver: request is too large" in failed.message
    assert "Pod" not in client.created


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TooLarge("etcdserver: request is too large"), "Remove annotations of the Experiment"),
        (
            Invalid('admission webhook "policy.example.org" denied the request'),
            "policy.example.org",
        ),
        (Forbidden("experiments.sparksweep.dev is forbidden"), "is forbidden"),
    ],
    ids=["too large", "webhook", "right"],
)
def test_a_refused_status_is_an_event_once_and_keeps_nothing_else_waiting(
    error: KubeError, said: str
) -> None:
    client = RefusingClient(error)
    client.error, client.status_error = None, error
    result = reconcile(client, times=3)
    assert result.requeue_after is not None
    assert not result.wrote_status
    [event] = [event for event in client.events if event.reason == "StatusRefused"]
    assert event.type == "Warning"
    assert said in event.message
    assert "Pod" in client.created
