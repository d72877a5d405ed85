"""Plans are made in threads, so that they do not block the event loop."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import pytest

from sparksweep_operator import reconciler as module
from sparksweep_operator.cache import ObjectCache
from sparksweep_operator.kube import KubernetesClient
from sparksweep_operator.memo import Memo
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
        no_client = cast(KubernetesClient, None)
        reconciling = Reconciler(cache, no_client, Settings()).reconcile((NAMESPACE, NAME), Memo())
        with pytest.raises(_PlannedError):
            await asyncio.gather(reconciling, other())

    monkeypatch.setattr(module, "plan", plan)
    asyncio.run(both())
