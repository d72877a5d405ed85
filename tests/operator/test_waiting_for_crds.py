"""An operator that is started before the CRDs exist waits for them and logs that once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import cast

import pytest

from sparksweep_operator import handlers
from sparksweep_operator.kube import KubeError, KubernetesClient


class Served:
    """A client with the given answers."""

    def __init__(self, *answers: bool | KubeError) -> None:
        self.answers = list(answers)
        self.asked: set[str] = set()

    async def serves(self, plurals: Collection[str]) -> bool:
        self.asked |= set(plurals)
        answer = self.answers.pop(0)
        if isinstance(answer, KubeError):
            raise answer
        return answer


def wait(served: Served, stop: asyncio.Event | None = None) -> None:
    async def within_seconds() -> None:
        async with asyncio.timeout(10):
            await handlers._wait_for_crds(cast("KubernetesClient", served), stop)

    asyncio.run(within_seconds())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "CRD_POLL_S", 0.001)


def test_it_goes_on_when_both_kinds_and_their_statuses_are_served() -> None:
    served = Served(True)
    wait(served)
    assert served.asked == {
        "experiments", "experiments/status", "trialbatches", "trialbatches/status",
    }  # fmt: skip


def test_each_problem_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    away = KubeError("no answer from the API server")
    with caplog.at_level(logging.WARNING):
        wait(Served(False, False, False, away, away, True))
    assert [record.message for record in caplog.records] == [
        "waiting for the CRDs: the CRDs of sparksweep.dev/v1alpha1 are not installed",
        "waiting for the CRDs: no answer from the API server",
    ]


def test_the_stop_event_ends_the_wait() -> None:
    stop = asyncio.Event()
    stop.set()
    wait(Served(), stop)
