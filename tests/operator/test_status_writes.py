"""A status is written over the version of the Experiment that it was planned from, and over no other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sparksweep_core.api import TrialBatch
from sparksweep_core.api_server.errors import Conflict, NotFound
from sparksweep_operator.cache import Key
from sparksweep_operator.kube import KubernetesClient
from sparksweep_operator.memo import Memo
from sparksweep_operator.reconciler import Reconciler
from sparksweep_operator.settings import Settings
from support.operator.operator_objects import NAME, NAMESPACE, NOW, experiment_body, loaded_cache

KEY = (NAMESPACE, NAME)


class Store(KubernetesClient):
    """An API server with one Experiment, which checks the version of each write of its status."""

    def __init__(self) -> None:
        self.stored: dict[str, Any] | None = experiment_body()
        self.tried: list[dict[str, Any]] = []

    def change(self, **fields: Any) -> None:
        """Change the Experiment as another client does; no watch tells of it."""
        assert self.stored is not None
        metadata = self.stored["metadata"]
        version = str(int(metadata["resourceVersion"]) + 5)
        self.stored = {
            **self.stored,
            **fields,
            "metadata": {**metadata, "resourceVersion": version},
        }

    async def create_batch(self, batch: TrialBatch) -> dict[str, Any]:
        body = batch.to_dict()
        body["metadata"] |= {"uid": batch.metadata.name, "resourceVersion": "200"}
        return body

    async def get_experiment(self, namespace: str, name: str) -> dict[str, Any]:
        if self.stored is None:
            raise NotFound(name)
        return self.stored

    async def _request(self, method: str, path: str, body: Any = None, **_: Any) -> dict[str, Any]:
        if method != "PATCH" or not path.endswith("/status"):
            raise Conflict("not of interest here")
        self.tried.append(body)
        if self.stored is None:
            raise NotFound(path)
        metadata = self.stored["metadata"]
        if any(body["metadata"][name] != metadata[name] for name in ("uid", "resourceVersion")):
            raise Conflict("the object has been modified")
        self.change(status=body["status"])
        return self.stored

    async def post_event(self, *_: Any, **__: Any) -> None:
        pass


class Operator:
    """A reconciler whose watches are silent."""

    def __init__(self, store: Store) -> None:
        async def load(key: Key, owner: str) -> None:
            raise AssertionError(f"the batches of {key} are loaded: {owner}")

        self.cache = loaded_cache(experiment_body())
        self.memo = Memo()
        self._reconciler = Reconciler(
            self.cache, store, Settings(), load_batches=load, clock=lambda: NOW
        )

    def reconcile(self) -> None:
        asyncio.run(self._reconciler.reconcile(KEY, self.memo))


def test_a_status_that_was_planned_from_an_older_experiment_is_not_written() -> None:
    store = Store()
    operator = Operator(store)
    newer = {"trials": {"created": 3, "succeeded": 3}, "progress": "3/3"}
    store.change(status=newer)
    with pytest.raises(Conflict, match="modified"):
        operator.reconcile()
    assert store.stored is not None
    assert store.stored["status"] == newer


def test_after_a_conflict_the_plan_is_made_from_the_experiment_as_it_is_now() -> None:
    store = Store()
    operator = Operator(store)
    store.change()
    with pytest.raises(Conflict, match="modified"):
        operator.reconcile()
    operator.reconcile()
    first, second = (body["metadata"]["resourceVersion"] for body in store.tried)
    assert (first, second) == ("10", "15")
    cached = operator.cache.experiment(KEY)
    assert cached is not None
    assert cached["status"]["trials"]["created"] == 3
