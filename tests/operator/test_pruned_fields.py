"""Fields that the CRDs of an earlier version lack: the API server drops them, and nothing is written again for that."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from sparksweep_core.api import (
    BestTrial,
    Condition,
    Experiment,
    ExperimentStatus,
    RecentTrial,
    TrialBatch,
    TrialBatchSpec,
    TrialCounts,
)
from sparksweep_operator.cache import Key
from sparksweep_operator.kube import KubernetesClient
from sparksweep_operator.memo import Memo
from sparksweep_operator.reconciler import PRUNED_AGAIN_AFTER, Reconciler
from sparksweep_operator.settings import Settings
from support.operator.operator_objects import (
    NAME,
    NAMESPACE,
    NOW,
    event,
    experiment_body,
    loaded_cache,
    moment,
)
from support.pruned_fields import optional_fields, prune

Json = dict[str, Any]
KEY = (NAMESPACE, NAME)
TOUCHES = 5


STATUS_FIELDS = [
    *optional_fields(ExperimentStatus, "status"),
    *optional_fields(TrialCounts, "status.trials"),
    *optional_fields(Condition, "status.conditions"),
    *optional_fields(BestTrial, "status.bestTrial"),
    *optional_fields(RecentTrial, "status.recentTrials"),
]
SPEC_FIELDS = [path for path in optional_fields(TrialBatchSpec, "spec") if path != "spec.trials"]


class PruningServer(KubernetesClient):
    """The API server's part: stores Experiment and batches without one field."""

    def __init__(self, pruned: str | None) -> None:
        self.pruned = pruned
        self.version = 100
        self.experiment = experiment_body()
        self.batches: dict[str, Json] = {}
        self.written: Json = {}
        self.status_writes = 0
        self.batch_writes = 0
        self.events = 0

    def _store(self, body: Json) -> Json:
        self.version += 1
        stored: Json = json.loads(json.dumps(body))
        if self.pruned and self.pruned.startswith("status.") == (stored["kind"] == "Experiment"):
            prune(stored, self.pruned)
        stored["metadata"] |= {"resourceVersion": str(self.version)}
        stored["metadata"].setdefault("uid", f"uid-of-{stored['metadata']['name']}")
        stored["metadata"].setdefault("generation", 1)
        return stored

    async def apply_status(self, experiment: Experiment, status: ExperimentStatus) -> Json:
        return await self.apply_status_values({}, status.to_dict())

    async def apply_status_values(
        self, metadata: Mapping[str, Any], status: Mapping[str, Any]
    ) -> Json:
        self.status_writes += 1
        self.written = dict(status)
        self.experiment = self._store(self.experiment | {"status": dict(status)})
        return copy.deepcopy(self.experiment)

    async def create_batch(self, batch: TrialBatch) -> Json:
        return await self.apply_batch(batch)

    async def apply_batch(self, batch: TrialBatch) -> Json:
        self.batch_writes += 1
        name = batch.metadata.name
        old = self.batches.get(name, {})
        new = batch.to_dict()
        self.batches[name] = self._store({**new, "status": old.get("status", {})})
        return copy.deepcopy(self.batches[name])

    def report(self, trials: list[Json]) -> Json:
        """Write the status of the first batch as its driver does; return the batch."""
        name = f"{NAME}-00000"
        status = {"driver": f"{NAME}-driver-0", "trials": trials}
        self.batches[name] = self._store({**self.batches[name], "status": status})
        return self.batches[name]

    async def create(self, body: Mapping[str, Any], *, dry_run: bool = False) -> Json:
        metadata = {"uid": "made", "resourceVersion": "150", "name": "made"} | body["metadata"]
        return {**body, "metadata": metadata | {"creationTimestamp": moment(0)}}

    async def post_event(self, *_: Any, **__: Any) -> None:
        self.events += 1

    async def list_pods(self, namespace: str, experiment: str) -> Json:
        return {"metadata": {"resourceVersion": "1"}, "items": []}

    async def get_experiment(self, namespace: str, name: str) -> Json:
        return self.experiment

    async def delete_pod(self, namespace: str, name: str, uid: str) -> None:
        pass

    async def newest_batch(self, namespace: str, experiment: str) -> str | None:
        return max(self.batches, default=None)

    async def list_batches(self, namespace: str | None, query: Mapping[str, str]) -> bytes:
        items = [self.batches[query["fieldSelector"].partition("=")[2]]]
        return json.dumps({"metadata": {"resourceVersion": "1"}, "items": items}).encode()

    @property
    def counts(self) -> tuple[int, int, int]:
        """Numbers of status writes, batch writes and events."""
        return self.status_writes, self.batch_writes, self.events


class Stage:
    """A reconciler with a clock of its own, whose watches deliver everything before the next reconcile."""

    def __init__(self, pruned: str | None, **spec: Any) -> None:
        self.server = PruningServer(pruned)
        self.server.experiment = experiment_body(**spec)
        self.cache = loaded_cache(self.server.experiment)
        self.seconds = 0.0
        self.memo = Memo()
        self.reconciler = Reconciler(
            self.cache,
            self.server,
            Settings(),
            load_batches=self._load,
            clock=self._now,
            monotonic=lambda: self.seconds,
        )

    async def _load(self, key: Key, owner: str) -> None:
        raise AssertionError(f"the batches of {key} are loaded: {owner}")

    def _now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    async def reconcile(self, times: int = 1) -> None:
        for _ in range(times):
            self.seconds += 3
            self.cache.upsert_experiment(self.server.experiment)
            for body in self.server.batches.values():
                self.cache.change_batch(*event(body))
            await self.reconciler.reconcile(KEY, self.memo)


def ended(number: int, state: str = "Succeeded") -> Json:
    done = {"number": number, "state": state, "attempt": 1, "startTime": moment(1), "completionTime": moment(2)}  # fmt: skip
    good = {"metrics": {"score": float(number)}, "reason": "Completed", "durationSeconds": 1.0}
    return done | (good if state == "Succeeded" else {"reason": "Exception", "message": "no"})


@pytest.mark.parametrize("field", [None, *STATUS_FIELDS, *SPEC_FIELDS])
def test_what_the_api_server_drops_is_written_once_and_the_experiment_ends(
    field: str | None,
) -> None:
    stage = Stage(field)
    server = stage.server

    async def run() -> None:
        await stage.reconcile(2)
        for trials in (
            [],
            [ended(1), ended(2, "Failed")],
            [ended(1), ended(2, "Failed"), ended(3)],
        ):
            server.report(trials)
            await stage.reconcile(2)
            before = server.counts
            await stage.reconcile(TOUCHES)
            assert server.counts == before

    asyncio.run(run())
    assert server.written["state"] == "Complete"
    assert "completionTime" in server.written


def test_an_order_to_stop_that_the_api_server_drops_is_given_once() -> None:
    stage = Stage("spec.stop")
    stage.server.experiment["spec"]["objective"]["goal"] = 1.0
    stage.cache.upsert_experiment(stage.server.experiment)

    async def run() -> None:
        await stage.reconcile(2)
        stage.server.report([ended(1)])
        await stage.reconcile(2)
        assert stage.server.batch_writes == 2
        before = stage.server.counts
        await stage.reconcile(TOUCHES)
        assert stage.server.counts == before

    asyncio.run(run())


def test_it_is_written_again_after_ten_minutes_for_the_crds_may_be_new_by_then() -> None:
    stage = Stage("status.recentTrials")

    async def run() -> None:
        await stage.reconcile(2)
        stage.server.report([ended(1), ended(2, "Failed")])
        await stage.reconcile(2)
        before = stage.server.status_writes
        stage.server.pruned = None
        stage.seconds += PRUNED_AGAIN_AFTER.total_seconds()
        await stage.reconcile(TOUCHES)
        assert stage.server.status_writes == before + 1
        assert stage.server.experiment["status"]["recentTrials"]

    asyncio.run(run())


def test_the_status_of_another_writer_is_taken_as_it_is() -> None:
    stage = Stage("status.recentTrials")

    async def run() -> None:
        await stage.reconcile(2)
        stage.server.report([ended(1), ended(2, "Failed")])
        await stage.reconcile(2)
        before = stage.server.status_writes
        stored = stage.server.experiment
        status = stored["status"] | {"progress": "7/3"}
        stage.server.experiment = stage.server._store(stored | {"status": status})
        await stage.reconcile(TOUCHES)
        assert stage.server.status_writes == before + 1
        assert stage.server.experiment["status"]["progress"] == "2/3"

    asyncio.run(run())


def test_the_condition_of_an_unreadable_batch_is_written_once_too() -> None:
    stage = Stage("status.conditions.observedGeneration")

    async def run() -> None:
        await stage.reconcile(2)
        broken = stage.server.batches[f"{NAME}-00000"]
        broken["status"] = {"trials": [{"number": 1, "state": "Paused"}]}
        broken["metadata"]["resourceVersion"] = "1000"
        stage.server.version = 1000
        await stage.reconcile(2)
        assert "UnreadableBatch" in json.dumps(stage.server.experiment)
        before = stage.server.counts
        await stage.reconcile(TOUCHES)
        assert stage.server.counts == before

    asyncio.run(run())
