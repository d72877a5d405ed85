"""Ends of executors, from their pods and from watch events."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sparksweep_core.api import TrialReason
from sparksweep_trainer.driver.slot_loss import Loss, SlotFailed
from sparksweep_trainer.kubernetes.api_client import ApiClient
from sparksweep_trainer.kubernetes.executor_watch import (
    KEEP_S,
    MAX_FAILED_STARTS,
    OVERDUE_S,
    ExecutorWatch,
)
from sparksweep_trainer.kubernetes.executors import death_of
from support.trainer.fake_api_server import FakeApiServer
from support.trainer.trial_batches import NAMESPACE, PODS

Json = dict[str, Any]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MINE = "digits-3-exec-1"


def pod(
    name: str = MINE,
    *,
    phase: str = "Running",
    ended: Json | None = None,
    deleted: datetime | None = None,
    grace_s: int | None = None,
    **status: Any,
) -> Json:
    state = {"running": {}} if ended is None else {"terminated": ended}
    found: Json = {
        "metadata": {"name": name},
        "spec": {"nodeName": "node2"},
        "status": {
            "phase": phase,
            "containerStatuses": [{"name": "executor", "state": state}],
            **status,
        },
    }
    if deleted is not None:
        found["metadata"]["deletionTimestamp"] = deleted.isoformat().replace("+00:00", "Z")
        if grace_s is not None:
            found["metadata"]["deletionGracePeriodSeconds"] = grace_s
    return found


def disruption(reason: str, message: str) -> list[Json]:
    return [{"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}]


OOM_KILLED = {"reason": "OOMKilled", "exitCode": 137}
ENDS = {
    "out of memory": (
        pod(phase="Failed", ended=OOM_KILLED),
        TrialReason.OOM_KILLED,
        "the kernel killed its executor, which was out of memory: used 1Gi, limit 1Gi: "
        "raise spec.trialTemplate.resources.memory",
    ),
    "out of memory, and deleted since": (
        pod(phase="Failed", ended=OOM_KILLED, deleted=NOW),
        TrialReason.OOM_KILLED,
        "the kernel killed its executor, which was out of memory",
    ),
    "ended well after an earlier trial was out of memory": (
        pod(phase="Succeeded", ended={"reason": "OOMKilled", "exitCode": 0}),
        TrialReason.EXECUTOR_LOST,
        "Its executor digits-3-exec-1 ended.",
    ),
    "told to end after an earlier trial was out of memory": (
        pod(phase="Failed", ended={"reason": "OOMKilled", "exitCode": 143}, deleted=NOW),
        TrialReason.EXECUTOR_LOST,
        "Its executor digits-3-exec-1 was deleted",
    ),
    "failed after an earlier trial was out of memory": (
        pod(phase="Failed", ended={"reason": "OOMKilled", "exitCode": 1}),
        TrialReason.EXECUTOR_LOST,
        "Its executor digits-3-exec-1 ended with exit code 1",
    ),
    "killed": (
        pod(phase="Failed", ended={"reason": "Error", "exitCode": 137}),
        TrialReason.EXECUTOR_LOST,
        "Its executor digits-3-exec-1 ended with exit code 137 (SIGKILL, which sparksweep did not send).",
    ),
    "no such program": (
        pod(phase="Failed", ended={"reason": "StartError", "exitCode": 128, "message": "no java"}),
        TrialReason.EXECUTOR_LOST,
        "Its executor digits-3-exec-1 ended with exit code 128: StartError: no java.",
    ),
    "ended": (
        pod(phase="Succeeded", ended={"reason": "Completed", "exitCode": 0}),
        TrialReason.EXECUTOR_LOST,
        "Its executor digits-3-exec-1 ended.",
    ),
    "evicted": (
        pod(
            phase="Failed",
            ended={"reason": "Error", "exitCode": 137},
            reason="Evicted",
            message="The node was low on resource: ephemeral-storage. ",
        ),
        TrialReason.EXECUTOR_LOST,
        "Its executor digits-3-exec-1 failed: Evicted: The node was low on resource: ephemeral-storage.",
    ),
    "not admitted": (
        pod(phase="Failed", reason="UnexpectedAdmissionError", containerStatuses=None),
        TrialReason.EXECUTOR_LOST,
        "Its executor digits-3-exec-1 failed: UnexpectedAdmissionError.",
    ),
    "deleted by someone": (
        pod(deleted=NOW),
        TrialReason.EXECUTOR_LOST,
        "Its executor digits-3-exec-1 was deleted.",
    ),
    "deleted with its node out of reach": (
        pod(deleted=NOW, conditions=disruption("DeletionByTaintManager", "Taint manager: ...")),
        TrialReason.EXECUTOR_LOST,
        "Its executor digits-3-exec-1 was deleted (its node node2 is not ready, or may not run it any more).",
    ),
    "preempted": (
        pod(deleted=NOW, conditions=disruption("PreemptionByScheduler", "preempting for x.")),
        TrialReason.EXECUTOR_LOST,
        "Its executor digits-3-exec-1 was deleted (PreemptionByScheduler: preempting for x).",
    ),
    "failed without a word": (
        pod(phase="Failed", containerStatuses=None),
        TrialReason.EXECUTOR_LOST,
        "Its executor digits-3-exec-1 ended.",
    ),
}


@pytest.mark.parametrize(("seen", "reason", "message"), ENDS.values(), ids=list(ENDS))
def test_the_end_of_an_executor_is_read_from_its_pod(
    seen: Json, reason: TrialReason, message: str
) -> None:
    death = death_of(seen, memory="1Gi")
    assert death is not None
    assert death.loss.reason is reason
    assert death.loss.message.startswith(message)


@pytest.mark.parametrize(
    "seen",
    [
        pod(),
        pod(phase="Pending", containerStatuses=[{"state": {"waiting": {"reason": "x"}}}]),
        {"metadata": {"name": MINE}},
        pod(phase="Pending", reason="Unschedulable", containerStatuses=None),
    ],
)
def test_an_executor_that_runs_or_waits_is_not_lost(seen: Json) -> None:
    assert death_of(seen, memory="1Gi") is None


class Rig:
    def __init__(self, *, explain_s: float = 0.05) -> None:
        self.lost: list[tuple[str, Loss]] = []
        self.given_up: list[str] = []
        self.met: set[str] = set()
        self.now = 0.0
        self.wall = NOW
        self.watch = ExecutorWatch(
            prefix="digits-3-exec-",
            driver_number=3,
            memory="1Gi",
            lose=lambda name, loss: self.lost.append((name, loss)),
            give_up=self.given_up.append,
            has_registered=lambda name: name in self.met,
            explain_s=explain_s,
            clock=lambda: self.wall,
            monotonic=lambda: self.now,
        )

    @property
    def messages(self) -> list[str]:
        return [loss.message for _, loss in self.lost]


@pytest.fixture
def rig() -> Rig:
    return Rig()


EXECUTOR_LOST = SlotFailed("ExecutorLostFailure", executor_lost=True)


def test_a_death_is_reported_once_however_often_it_is_observed(rig: Rig) -> None:
    rig.watch.on_list([pod()])
    assert rig.lost == []
    dead = pod(phase="Failed", ended=OOM_KILLED)
    for _ in range(3):
        rig.watch.on_change(dead)
    rig.watch.on_delete(dead)
    assert [(name, loss.reason) for name, loss in rig.lost] == [(MINE, TrialReason.OOM_KILLED)]


def test_executors_that_went_unseen_are_lost(rig: Rig) -> None:
    rig.watch.on_list([pod(), pod("digits-3-exec-2")])
    rig.watch.on_list([pod("digits-3-exec-2")])
    assert rig.messages == [f"Its executor {MINE} is gone."]
    rig.watch.on_delete(pod("digits-3-exec-2"))
    assert rig.messages[1:] == ["Its executor digits-3-exec-2 is gone."]


def test_a_failed_slot_waits_for_the_word_of_its_executors_end() -> None:
    rig = Rig(explain_s=5)
    rig.watch.on_list([pod()])
    dead = pod(phase="Failed", ended=OOM_KILLED)
    timer = threading.Timer(0.05, lambda: rig.watch.on_change(dead))
    timer.start()
    assert rig.watch.explain(MINE, EXECUTOR_LOST).reason is TrialReason.OOM_KILLED
    timer.join()


def test_a_slot_that_fails_on_a_sound_executor_tells_its_own_story(rig: Rig) -> None:
    rig.watch.on_list([pod()])
    assert rig.watch.explain(MINE, EXECUTOR_LOST).message == f"Its executor {MINE} does not answer."
    failed = SlotFailed("Python worker exited unexpectedly (crashed)", executor_lost=False)
    message = rig.watch.explain(MINE, failed).message
    assert message == f"Its slot on {MINE} was lost: Python worker exited unexpectedly (crashed)"


def test_executors_that_never_come_to_life_are_given_up_on(rig: Rig) -> None:
    dead: Json = {"phase": "Failed", "ended": {"reason": "StartError", "exitCode": 128}}
    for number in range(1, MAX_FAILED_STARTS):
        rig.watch.on_change(pod(f"digits-3-exec-{number}", **dead))
    rig.met.add("digits-3-exec-20")
    rig.watch.on_change(pod("digits-3-exec-20", **dead))
    for number in range(30, 30 + MAX_FAILED_STARTS - 1):
        rig.watch.on_change(pod(f"digits-3-exec-{number}", **dead))
        # One that was scaled away says nothing about the image.
        rig.watch.on_change(pod(f"digits-3-exec-{number}0", deleted=NOW))
    assert rig.given_up == []
    rig.watch.on_change(pod("digits-3-exec-50", **dead))
    assert len(rig.given_up) == 1
    assert "StartError" in rig.given_up[0]


# ---------------------------------------------------------------------- removing


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    server = FakeApiServer()
    yield server
    server.close()


def sweep(rig: Rig, server: FakeApiServer) -> set[str]:
    """Return the names of the pods that are left."""
    with ApiClient(server.endpoint) as api:
        rig.watch.sweep(api, NAMESPACE)
    return set(server.objects[PODS])


def test_dead_executors_are_removed_once_spark_has_seen_them(
    rig: Rig, server: FakeApiServer
) -> None:
    names = ["digits-3-exec-1", "digits-3-exec-2", "digits-3-exec-3"]
    ended = {"exitCode": 0}
    pods = [
        pod(names[0]),
        pod(names[1], phase="Succeeded", ended=ended),
        pod(names[2], phase="Failed"),
    ]
    for item in pods:
        server.put(PODS, item)
    rig.watch.on_list(pods)
    assert sweep(rig, server) == set(names)
    rig.now += KEEP_S
    assert sweep(rig, server) == {names[0]}
    # Asking again, before the watch has reported the removal, asks for nothing.
    count = len(server.requests)
    assert sweep(rig, server) == {names[0]}
    assert len(server.requests) == count


def test_an_executor_that_is_given_up_on_is_removed(rig: Rig, server: FakeApiServer) -> None:
    for name in ("digits-3-exec-1", "digits-3-exec-2"):
        server.put(PODS, pod(name))
        rig.watch.on_change(pod(name))
    rig.watch.discard("digits-3-exec-2")
    assert sweep(rig, server) == {"digits-3-exec-1"}


def test_executors_of_earlier_drivers_are_removed_at_once_and_of_later_ones_never(
    rig: Rig, server: FakeApiServer
) -> None:
    for name in ("digits-2-exec-1", "digits-3-exec-1", "digits-4-exec-1", "digits-30-exec-1"):
        server.put(PODS, pod(name))
        rig.watch.on_change(pod(name))
    assert sweep(rig, server) == {"digits-3-exec-1", "digits-4-exec-1", "digits-30-exec-1"}
    assert rig.lost == []


HOUR = timedelta(hours=1)


@pytest.mark.parametrize("grace_s", [0, 1, 30, 3600])
@pytest.mark.parametrize("skew", [timedelta(0), HOUR, -HOUR], ids=["same", "ahead", "behind"])
@pytest.mark.parametrize("jump", [timedelta(0), HOUR, -HOUR], ids=["steady", "forward", "back"])
def test_a_pod_on_an_unreachable_node_is_removed_when_it_is_long_overdue_by_no_wall_clock(
    rig: Rig, server: FakeApiServer, grace_s: int, skew: timedelta, jump: timedelta
) -> None:
    leaving = pod(deleted=NOW + timedelta(seconds=grace_s), grace_s=grace_s)
    server.put(PODS, leaving)
    rig.wall = NOW + skew
    rig.watch.on_change(leaving)
    left_s = min(max(0.0, grace_s - skew.total_seconds()), grace_s)
    rig.wall += jump
    # Its kubelet has not been heard of, but others change the pod.
    rig.watch.on_change(leaving)
    rig.now += left_s + OVERDUE_S - 1
    assert sweep(rig, server) == {MINE}
    rig.watch.on_list([leaving])
    rig.now += 1
    assert sweep(rig, server) == set()


def test_an_earlier_deadline_of_a_terminating_pod_counts(rig: Rig, server: FakeApiServer) -> None:
    server.put(PODS, pod(deleted=NOW + HOUR, grace_s=3600))
    rig.watch.on_change(pod(deleted=NOW + HOUR, grace_s=3600))
    rig.watch.on_change(pod(deleted=NOW, grace_s=1))
    rig.now += OVERDUE_S
    assert sweep(rig, server) == set()


def test_a_pod_that_went_by_itself_is_no_trouble(rig: Rig, server: FakeApiServer) -> None:
    rig.watch.on_change(pod(phase="Failed"))
    rig.now += KEEP_S
    server.objects[PODS] = {}
    assert sweep(rig, server) == set()
