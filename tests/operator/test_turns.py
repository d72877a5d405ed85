"""A turn beside those of other experiments."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import pytest

from sparksweep_operator import reconciler as module
from sparksweep_operator.cache import World
from sparksweep_operator.kube import Gateway
from sparksweep_operator.reconciler import Memory, Reconciler
from sparksweep_operator.settings import Settings
from support.operator.operator_objects import NAME, NAMESPACE, experiment_body


class _PlannedError(Exception):
    """Ends the turn after its plan: nothing is to be done."""


def test_while_a_plan_is_made_the_loop_serves_others(monkeypatch: pytest.MonkeyPatch) -> None:
    began, served = threading.Event(), threading.Event()

    def plan(*_: Any) -> None:
        began.set()
        assert served.wait(10), "the loop waits for the plan"
        raise _PlannedError

    async def other() -> None:
        while not began.is_set():
            await asyncio.sleep(0.001)
        served.set()

    async def both() -> None:
        world = World()
        world.put_experiment(experiment_body())
        nobody = cast(Gateway, None)
        turn = Reconciler(world, nobody, Settings()).turn((NAMESPACE, NAME), Memory())
        with pytest.raises(_PlannedError):
            await asyncio.gather(turn, other())

    monkeypatch.setattr(module, "plan", plan)
    asyncio.run(both())
