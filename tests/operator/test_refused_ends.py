"""Requests at an Experiment's end that the API server refuses are events, once for each reason, and are repeated."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from sparksweep_core.api import Experiment, ExperimentStatus, TrialBatch
from sparksweep_core.api_server.errors import AdmissionFailed, Forbidden, Invalid, KubeError
from sparksweep_operator.cache import Key, ObjectCache
from sparksweep_operator.events import Event
from sparksweep_operator.kube import KubernetesClient
from sparksweep_operator.memo import Memo
from sparksweep_operator.metrics import Metrics
from sparksweep_operator.pacing import RECHECK_AFTER
from sparksweep_operator.reconciler import Reconciler
from sparksweep_operator.settings import Settings
from support.operator.operator_objects import (
    NAME,
    NAMESPACE,
    NOW,
    batch_body,
    beside_a_viewer,
    experiment_body,
    moment,
    pod_body,
)

KEY = (NAMESPACE, NAME)
ERRORS = [
    Forbidden("denied request: not on my watch"),
    Invalid('admission webhook "guard.example.org" denied the request'),
    AdmissionFailed("failed calling webhook"),
]


class Client(KubernetesClient):
    """Refuses deletions and changes of batches with an error while it has one."""

    def __init__(self, error: KubeError | None) -> None:
        self.error = error
        self.events: list[Event] = []
        self.done: list[str] = []

    def _take(self, request: str) -> None:
        if self.error is not None:
            raise self.error
        self.done.append(request)

    async def delete_experiment(self, experiment: Experiment) -> None:
        self._take("Experiment deleted")

    async def delete_pod(self, namespace: str, name: str, uid: str) -> None:
        self._take("pod deleted")

    async def newest_batch(self, namespace: str, experiment: str) -> str | None:
        return f"{NAME}-00000"

    async def list_batches(self, namespace: str | None, query: Mapping[str, str]) -> bytes:
        return json.dumps({"metadata": {"resourceVersion": "7"}, "items": [batch_body()]}).encode()

    async def apply_batch(self, batch: TrialBatch) -> dict[str, Any]:
        assert batch.spec.closed
        self._take("batch closed")
        return {}

    async def apply_status(
        self, experiment: Experiment, status: ExperimentStatus
    ) -> dict[str, Any]:
        return experiment_body() | {"status": status.to_dict()}

    async def post_event(self, experiment: Experiment, event: Event, **_: Any) -> None:
        self.events.append(event)


class Ended:
    """An Experiment that has ended, and its driver's pod: with a viewer, without one, or none."""

    def __init__(self, error: KubeError, *, pod_with: str, ttl: int | None = None) -> None:
        condition = {
            "type": "Complete", "status": "True", "reason": "SearchSpaceExhausted", "message": "All ran.",
            "lastTransitionTime": moment(-100), "observedGeneration": 1,
        }  # fmt: skip
        body = experiment_body(ttlSecondsAfterFinished=ttl)
        body["status"] = {
            "state": "Complete", "startTime": moment(-200), "completionTime": moment(-100), "conditions": [condition],
        }  # fmt: skip
        self.client = Client(error)
        # Of an Experiment that has ended no batches are cached.
        cache = ObjectCache(Metrics())
        cache.upsert_experiment(body)
        self.memo = Memo()
        if pod_with != "nothing":
            status: dict[str, Any] = {"containerStatuses": [{"name": "driver", "state": {"running": {}}}]}  # fmt: skip
            status = beside_a_viewer(status) if pod_with == "viewer" else status
            cache.upsert_pod(pod_body(f"{NAME}-driver-0", phase="Running", status=status))

        async def load(key: Key, owner: str) -> None:
            raise AssertionError(f"the batches of {key} are loaded: {owner}")

        self._reconciler = Reconciler(
            cache, self.client, Settings(), load_batches=load, clock=lambda: NOW
        )

    def reconcile(self) -> float | None:
        """Reconcile; return the seconds until the next time."""
        result = asyncio.run(self._reconciler.reconcile(KEY, self.memo))
        return None if result.requeue_after is None else result.requeue_after.total_seconds()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("pod_with", "ttl", "reason", "begin", "done"),
    [
        ("viewer", None, "BatchNotClosed", "The driver can't be told the end: ", "batch closed"),
        ("driver", None, "PodNotDeleted", f"Pod {NAME}-driver-0 is not needed, and can't be deleted: ", "pod deleted"),
        ("nothing", 1, "NotDeleted", "Its TTL is over, and it can't be deleted: ", "Experiment deleted"),
    ],
)  # fmt: skip
def test_a_refusal_at_the_end_is_one_event_and_the_request_is_repeated(
    error: KubeError, pod_with: str, ttl: int | None, reason: str, begin: str, done: str
) -> None:
    ended = Ended(error, pod_with=pod_with, ttl=ttl)
    soon = RECHECK_AFTER.total_seconds()
    for _ in range(3):
        after = ended.reconcile()
        assert after is not None, "nothing else wakes an Experiment that has ended"
        assert after <= soon
    assert [(event.type, event.reason) for event in ended.client.events] == [("Warning", reason)]
    message = ended.client.events[0].message
    assert message.startswith(begin)
    assert str(error) in message
    ended.client.error = None
    ended.reconcile()
    assert ended.client.done == [done]
    assert len(ended.client.events) == 1
