"""A long inline source is not cached: it is read when a spec is checked and when a driver is made, and at no other time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from sparksweep_core.api import Experiment, ExperimentStatus, TrialBatch
from sparksweep_core.api_server.errors import Conflict
from sparksweep_core.contract.directories import COMMAND_SOURCE
from sparksweep_operator.cache import SOURCE_CHARACTERS
from sparksweep_operator.kube import KubernetesClient
from sparksweep_operator.memo import Memo
from sparksweep_operator.reconciler import Reconciler
from sparksweep_operator.settings import Settings
from support.operator.operator_objects import NAME, NAMESPACE, NOW, experiment_body, loaded_cache

SOURCE = "def training(x):\n    return x\n" + "#" * SOURCE_CHARACTERS
KEY = (NAMESPACE, NAME)


def body_of(source: str, *, generation: int = 1, version: int = 100) -> dict[str, Any]:
    body = experiment_body(template={"source": {"inline": source}})
    body["metadata"] |= {"generation": generation, "resourceVersion": str(version)}
    return body


class Client(KubernetesClient):
    """Takes every write; returns one Experiment, and counts how often."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        self.reads = 0
        self.created: list[Mapping[str, Any]] = []

    async def get_experiment(self, namespace: str, name: str) -> dict[str, Any]:
        assert (namespace, name) == KEY
        self.reads += 1
        return self.body

    async def create_batch(self, batch: TrialBatch) -> dict[str, Any]:
        body = batch.to_dict()
        body["metadata"] |= {"uid": batch.metadata.name, "resourceVersion": "200"}
        return body

    async def apply_status(
        self, experiment: Experiment, status: ExperimentStatus
    ) -> dict[str, Any]:
        version = int(self.body["metadata"]["resourceVersion"]) + 1
        metadata = self.body["metadata"] | {"resourceVersion": str(version)}
        self.body = self.body | {"metadata": metadata, "status": status.to_dict()}
        return self.body

    async def create(self, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        self.created.append(body)
        metadata = {"uid": "made", "resourceVersion": "150"} | body["metadata"]
        return {**body, "metadata": metadata}

    async def post_event(self, *_: Any, **__: Any) -> None:
        pass

    def sources(self) -> list[str]:
        maps = [body["data"] for body in self.created if body["kind"] == "ConfigMap"]
        return [data[COMMAND_SOURCE] for data in maps if COMMAND_SOURCE in data]


class Rig:
    def __init__(self, body: dict[str, Any]) -> None:
        self.client = Client(body)
        self.cache = loaded_cache(body)
        self.memo = Memo()
        self.reconciler = Reconciler(
            self.cache, self.client, Settings(), load_batches=self._load, clock=lambda: NOW
        )

    async def _load(self, *_: Any) -> None:
        raise AssertionError("the batches are loaded")

    async def reconcile(self) -> None:
        self.memo.status_written_at = None
        await self.reconciler.reconcile(KEY, self.memo)


@pytest.mark.parametrize(("source", "reads"), [(SOURCE, 1), (SOURCE[:100], 0)])
def test_a_source_is_read_once_for_a_new_spec_and_its_driver_and_not_after_that(
    source: str, reads: int
) -> None:
    async def run() -> None:
        rig = Rig(body_of(source))
        for _ in range(5):
            await rig.reconcile()
        assert (rig.client.reads, rig.client.sources()) == (reads, [source])
        assert rig.memo.spec_errors == ()

    asyncio.run(run())


def test_a_source_is_read_again_for_a_later_driver() -> None:
    async def run() -> None:
        rig = Rig(body_of(SOURCE))
        await rig.reconcile()
        for pod in rig.cache.pods(KEY):
            rig.cache.remove_pod({"metadata": {"namespace": NAMESPACE, "name": pod.name, "uid": pod.uid, "labels": {"sparksweep.dev/experiment": NAME}}})  # fmt: skip
        await rig.reconcile()
        assert (rig.client.reads, rig.client.sources()) == (2, [SOURCE, SOURCE])

    asyncio.run(run())


def test_a_source_that_changes_meanwhile_makes_no_driver_of_two_specs() -> None:
    async def run() -> None:
        rig = Rig(body_of(SOURCE))
        rig.client.body = body_of(SOURCE + "#", generation=2, version=101)
        await rig.reconcile()
        assert rig.client.sources() == [SOURCE + "#"]
        assert rig.memo.checked_version is not None
        assert rig.memo.checked_version[1] == 2
        # The next change arrives after the check, and before the driver that replaces this one.
        rig.client.body = body_of(SOURCE + "##", generation=3, version=999)
        rig.cache.replace_pods(KEY, [], version=1000)
        with pytest.raises(Conflict, match="has changed"):
            await rig.reconcile()
        assert rig.client.sources() == [SOURCE + "#"]

    asyncio.run(run())
