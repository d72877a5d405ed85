"""The operator's end: kopf waits five seconds for tasks that go on, so none of ours does."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import AsyncMock

from sparksweep_operator.cache import ObjectCache
from sparksweep_operator.handlers import _registry
from sparksweep_operator.workers import ExperimentWorkers


def test_what_runs_beside_the_handlers_ends_before_kopf_waits_for_it() -> None:
    async def run() -> asyncio.Task[None]:
        workers = ExperimentWorkers(AsyncMock(), lambda _: False)
        beside = asyncio.create_task(asyncio.sleep(60))
        registry = _registry(ObjectCache(), workers, [beside])
        functions: list[Any] = [item.fn for item in registry._activities._handlers]
        (close,) = (function for function in functions if function.__name__ == "close_workers")
        await close()
        await asyncio.wait([beside], timeout=10)
        workers.enqueue(("lab", "digits"))
        assert not workers._tasks, "no worker starts any more"
        return beside

    assert asyncio.run(run()).cancelled()
