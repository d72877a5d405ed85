"""Reasons why a driver has no executors: the API server's refusal of them, or the log of the driver that is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sparksweep_core.api_server.errors import Forbidden
from sparksweep_core.contract.problems import EXECUTORS_REFUSED
from sparksweep_core.planner import DriverState, DriverStatus
from sparksweep_core.validation.document import parse_experiment
from sparksweep_operator.cache import ObjectCache
from sparksweep_operator.driver_lifecycle import DriverLifecycle
from sparksweep_operator.driver_selection import DriverSelection
from sparksweep_operator.event_recorder import EventRecorder
from sparksweep_operator.kube import KubernetesClient
from sparksweep_operator.memo import Memo
from sparksweep_operator.metrics import Metrics
from sparksweep_operator.pacing import NONE_AFTER, PROBE_AFTER
from sparksweep_operator.pod_status import Pod
from sparksweep_operator.settings import Settings
from support.operator.operator_objects import experiment_body

STARTING = "The executors are being started."
QUOTA = "exceeded quota: small"


class Client(KubernetesClient):
    """Answers dry runs."""

    def __init__(self, error: str) -> None:
        self.error = error

    async def create(self, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        assert dry_run
        if self.error:
            raise Forbidden(self.error)
        return dict(body)


def pod(name: str, role: str) -> Pod:
    return Pod(
        name=name,
        experiment="digits",
        role=role,
        owner="uid",
        phase="Running",
        deleting=False,
        problem="",
        termination="",
        created=None,
        ended=None,
    )


def messages(
    client: Client, moments: list[float], executors: int = 0, *, message: str = STARTING
) -> list[str]:
    """Return the driver's message at each moment, in seconds since its executors were too few."""
    now = [0.0]
    metrics = Metrics()
    lifecycle = DriverLifecycle(
        ObjectCache(metrics),
        client,
        Settings(),
        recorder=EventRecorder(client, lambda: datetime.now(UTC)),
        metrics=metrics,
        monotonic=lambda: now[0],
    )
    body = experiment_body(parallelTrialCount=3)
    body["status"] = {"trials": {"created": 3, "pending": 3}}
    selection = DriverSelection(
        live=pod("digits-driver-4", "driver"),
        executors=tuple(pod(f"digits-4-exec-{number}", "executor") for number in range(executors)),
        status=DriverStatus(DriverState.RUNNING, message),
        last_ended=None,
        obsolete=(),
        next_number=5,
        start_delay=timedelta(0),
    )
    memo, said = Memo(), []
    for now[0] in moments:
        status = asyncio.run(lifecycle.status(parse_experiment(body), selection, memo))
        said.append(status.message)
    return said


LONG = NONE_AFTER.total_seconds()
PROBED = PROBE_AFTER.total_seconds()


def test_a_driver_that_alone_may_create_no_executor_is_named_after_a_while() -> None:
    said = messages(Client(""), [0, PROBED, LONG - 1, LONG, 10 * LONG])
    assert said[:3] == [STARTING] * 3
    for message in said[3:]:
        assert message.startswith("No executor exists, although")
        assert "The log of digits-driver-4" in message


def test_the_api_servers_own_words_come_first() -> None:
    said = messages(Client(QUOTA), [0, PROBED, LONG, 10 * LONG])
    assert said == [STARTING] + [f"Executors can't be created: {QUOTA}"] * 3


def test_the_drivers_own_words_are_better_than_the_name_of_its_log() -> None:
    words = f"{EXECUTORS_REFUSED} by the driver's account: not on my watch"
    assert messages(Client(""), [0, PROBED, LONG, 10 * LONG], message=words) == [words] * 4
    assert messages(Client(QUOTA), [0, LONG], message=words)[1].endswith(QUOTA)


def test_another_trouble_of_the_driver_hides_no_lack_of_executors() -> None:
    said = messages(Client(""), [0, LONG], message="files of trials can't be stored")
    assert said[1].startswith("No executor exists, although")


@pytest.mark.parametrize("executors", [1, 2, 3])
def test_a_driver_with_an_executor_may_create_some(executors: int) -> None:
    assert messages(Client(""), [0, PROBED, LONG, 10 * LONG], executors) == [STARTING] * 4
