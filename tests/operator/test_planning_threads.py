"""Plans are made in threads, so that they do not block the event loop."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import Any, cast

import pytest

from sparksweep_core.history import History
from sparksweep_operator import reconciler as module
from sparksweep_operator.cache import Key, ObjectCache
from sparksweep_operator.kube import KubernetesClient
from sparksweep_operator.memo import Memo
from sparksweep_operator.planner_threads import LONG_S, PlannerThreads
from sparksweep_operator.reconciler import Reconciler
from sparksweep_operator.settings import Settings
from support.operator.operator_objects import NAME, NAMESPACE, experiment_body


class _PlannedError(Exception):
    """Ends the reconcile after its plan, before anything is written."""


def test_while_a_plan_is_made_the_loop_serves_others(monkeypatch: pytest.MonkeyPatch) -> None:
    began, served = threading.Event(), threading.Event()

    def plan(*_: Any, **__: Any) -> None:
        began.set()
        assert served.wait(10), "the plan blocks the loop"
        raise _PlannedError

    async def other() -> None:
        while not began.is_set():
            await asyncio.sleep(0.001)
        served.set()

    async def both() -> None:
        cache = ObjectCache()
        cache.upsert_experiment(experiment_body())

        async def load(key: Key, owner: str) -> None:
            cache.begin_batches(key, owner)
            cache.replace_batches(key, owner, [], History(), version=1)

        no_client = cast(KubernetesClient, None)
        reconciler = Reconciler(cache, no_client, Settings(), load_batches=load)
        reconciling = reconciler.reconcile((NAMESPACE, NAME), Memo())
        with pytest.raises(_PlannedError):
            await asyncio.gather(reconciling, other())

    monkeypatch.setattr(module, "plan", plan)
    asyncio.run(both())


def test_the_second_long_plan_waits_for_the_first_and_short_ones_for_neither() -> None:
    async def run() -> list[str]:
        threads, release, order = PlannerThreads(), threading.Event(), []

        def long(name: str) -> None:
            assert release.wait(10)
            order.append(name)

        first = asyncio.create_task(threads.run(lambda: long("long 1"), expected_s=LONG_S))
        second = asyncio.create_task(threads.run(lambda: long("long 2"), expected_s=9.0))
        await asyncio.sleep(0)
        for number in range(3):
            name = f"short {number}"
            await threads.run(partial(order.append, name), expected_s=0.0)
        release.set()
        await asyncio.gather(first, second)
        return order

    assert asyncio.run(run()) == ["short 0", "short 1", "short 2", "long 1", "long 2"]


def test_plans_are_made_in_the_order_in_which_they_were_asked_for() -> None:
    async def run() -> list[int]:
        threads, order = PlannerThreads(threads=1), list[int]()
        await asyncio.gather(
            *(threads.run(partial(order.append, number), expected_s=0.0) for number in range(20))
        )
        return order

    assert asyncio.run(run()) == list(range(20))


def test_a_plan_that_fails_lets_the_next_long_one_begin() -> None:
    async def run() -> int:
        threads = PlannerThreads()

        def fail() -> int:
            raise _PlannedError

        with pytest.raises(_PlannedError):
            await threads.run(fail, expected_s=1.0)
        result, seconds = await threads.run(lambda: 7, expected_s=1.0)
        assert seconds >= 0
        return result

    assert asyncio.run(run()) == 7
