"""A status writer with an API server in memory and a clock."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sparksweep_core.api import TrialBatch, TrialReason, TrialState, TrialStatus
from sparksweep_core.api_server.errors import Conflict, KubeError, NotFound
from sparksweep_trainer.kubernetes.fencing import Fence
from sparksweep_trainer.kubernetes.status_writer import StatusWriter, parse_batch
from support.pruned_fields import prune
from support.trainer.fake_api_server import merged
from support.trainer.trial_batches import NAMESPACE, name

Json = dict[str, Any]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Store:
    """An API server in memory, with the requests that a writer makes."""

    def __init__(self) -> None:
        self.items: dict[str, Json] = {}
        self.version = 10
        self.writes: list[tuple[str, Json]] = []
        self.before_write: list[Callable[[str], None]] = []
        self.fault: Exception | None = None
        self.fault_of: Callable[[str], KubeError | None] | None = None
        """Returns the fault of one batch, if it has one."""
        self.check: Callable[[str, Json], KubeError | None] = lambda _key, _status: None
        self.tries: list[str] = []
        self.pruned: str | None = None
        """Path of a field that is not stored."""

    def put(self, item: Json) -> Json:
        self.version += 1
        item = copy.deepcopy(item)
        item["metadata"] |= {"resourceVersion": str(self.version)}
        item["metadata"].setdefault("uid", "uid-1")
        self.items[item["metadata"]["name"]] = item
        return copy.deepcopy(item)

    def patch_status(self, path: str, status: Json, *, resource_version: str | None) -> Json:
        key = path.rpartition("/")[2]
        if self.before_write:
            self.before_write.pop(0)(key)
        self.tries.append(key)
        error = self.check(key, status) or (self.fault_of(key) if self.fault_of else None)
        if self.fault is not None or error is not None:
            raise self.fault or error or AssertionError
        item = self.get(key)
        if resource_version != item["metadata"]["resourceVersion"]:
            raise Conflict("modified")
        item["status"] = merged(item.get("status") or {}, status)
        if self.pruned is not None:
            prune(item, self.pruned)
        self.writes.append((key, status))
        return self.put(item)

    def request(self, method: str, path: str) -> Json:
        assert method == "GET"
        return self.get(path.rpartition("/")[2])

    def get(self, key: str) -> Json:
        if key not in self.items:
            raise NotFound(key)
        return copy.deepcopy(self.items[key])


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Rig:
    def __init__(self, driver: str = "digits-driver-3") -> None:
        self.store = Store()
        self.clock = Clock()
        self.replaced_by: list[str] = []
        self.writer = StatusWriter(
            self.store,  # type: ignore[arg-type]
            namespace=NAMESPACE,
            fence=Fence(driver, replaced=self.replaced_by.append),
            monotonic=self.clock,
        )

    def add(self, item: Json) -> None:
        """Add a batch and claim it."""
        claimed = self.claim(self.store.put(item))
        assert claimed is not None
        self.store.writes.clear()

    def claim(self, item: Json) -> TrialBatch | None:
        return self.writer.claim(parse_batch(item), self.store)  # type: ignore[arg-type]

    def status(self, index: int = 0) -> Json:
        found: Json = self.store.items[name(index)]["status"]
        return found


def trial(number: int, state: TrialState = TrialState.SUCCEEDED, **fields: Any) -> TrialStatus:
    ran: dict[str, Any] = {"attempt": 1, "start_time": NOW, "reason": TrialReason.COMPLETED.value}
    return TrialStatus(number=number, state=state, **(ran | fields))
