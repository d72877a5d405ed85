"""Facts about pods: is it alive, what blocks it, how did it end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sparksweep_operator.pod_status import Pod, executors_message
from support.operator.operator_objects import NOW, beside_a_viewer, ended, pod, pod_body, waiting

NO_NODE = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."


def unscheduled(message: str | None) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return {"conditions": [condition | ({"message": message} if message else {})]}


def test_a_pod_that_no_node_takes_has_the_schedulers_words() -> None:
    assert pod("digits-driver-0", status=unscheduled(NO_NODE)).problem == NO_NODE


def test_a_pod_that_no_node_takes_has_at_least_the_reason() -> None:
    assert pod("digits-driver-0", status=unscheduled(None)).problem == "Unschedulable"


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("ErrImagePull", "failed to pull: not found"),
        ("ImagePullBackOff", 'Back-off pulling image "none"'),
        ("CreateContainerConfigError", 'configmap "digits-driver" not found'),
        ("InvalidImageName", ""),
    ],
)
def test_a_container_that_can_not_start_says_why(reason: str, message: str) -> None:
    expected = f"{reason}: {message}" if message else reason
    assert pod("digits-driver-0", status=waiting(reason, message)).problem == expected


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing"])
def test_a_container_on_its_way_is_no_trouble(reason: str) -> None:
    assert pod("digits-driver-0", status=waiting(reason)).problem == ""


def test_a_scheduled_pod_is_no_trouble() -> None:
    status = {"conditions": [{"type": "PodScheduled", "status": "True"}]}
    assert pod("digits-driver-0", status=status).problem == ""


def test_an_evicted_pod_is_dead_and_says_why() -> None:
    pod_facts = pod(
        "digits-driver-0",
        phase="Failed",
        status={"reason": "Evicted", "message": "The node was low on resource: memory."},
    )
    assert not pod_facts.is_alive
    assert pod_facts.termination == "Evicted: The node was low on resource: memory."
    assert pod_facts.ended is None


def test_a_pod_out_of_memory_says_so_and_when() -> None:
    pod_facts = pod("digits-driver-0", phase="Failed", status=ended("OOMKilled", 137, at=30))
    assert pod_facts.termination == "OOMKilled, exit code 137"
    assert pod_facts.ended == NOW + timedelta(seconds=30)
    assert not pod_facts.is_alive


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (None, ""), ("", ""), ("  \n", ""), ("the driver can't start: no\n", ": the driver can't start: no"),
        ("x" * 4096, ": " + "x" * 1000),
    ],
)  # fmt: skip
def test_a_containers_last_words_are_shown_with_its_end(message: str | None, shown: str) -> None:
    status = ended("Error", 78, at=3)
    status["containerStatuses"][0]["state"]["terminated"]["message"] = message
    pod_facts = pod("digits-driver-0", phase="Failed", status=status)
    assert pod_facts.termination == f"Error, exit code 78{shown}"
    assert pod_facts.exit_code == 78


def test_a_pod_without_a_reason_for_its_end_has_its_phase() -> None:
    assert pod("digits-driver-0", phase="Failed").termination == "Failed"


def test_a_pod_that_is_being_deleted_is_not_alive() -> None:
    pod_facts = pod("digits-driver-0", phase="Running", deleting=True)
    assert pod_facts.deleting
    assert not pod_facts.is_alive


def test_a_running_pod_is_alive_and_has_no_end() -> None:
    pod_facts = pod("digits-driver-0", phase="Running")
    assert (pod_facts.is_alive, pod_facts.termination, pod_facts.problem) == (True, "", "")


def test_a_driver_that_has_ended_is_dead_though_its_viewer_runs_on() -> None:
    status = beside_a_viewer(ended("Completed", 0, at=30))
    pod_facts = pod("digits-driver-0", phase="Running", status=status)
    assert not pod_facts.is_alive
    assert pod_facts.has_viewer
    assert pod_facts.termination == "Completed, exit code 0"
    assert pod_facts.ended == NOW + timedelta(seconds=30)


def test_a_driver_runs_on_when_its_viewer_has_ended() -> None:
    status = beside_a_viewer({}, state="terminated")
    pod_facts = pod("digits-driver-0", phase="Running", status=status)
    assert pod_facts.is_alive
    assert not pod_facts.has_viewer
    assert pod_facts.termination == ""


def test_what_keeps_the_viewer_from_starting_is_the_pods_trouble() -> None:
    status = waiting("ErrImagePull", "not found")
    status["containerStatuses"][0]["name"] = "viewer"
    assert pod("digits-driver-0", status=status).problem == "ErrImagePull: not found"


def test_a_foreign_pod_with_our_label_is_read_too() -> None:
    body = pod_body("anything")
    for key in ("ownerReferences", "creationTimestamp"):
        del body["metadata"][key]
    del body["status"]
    pod_facts = Pod.from_api(body)
    assert (pod_facts.owner, pod_facts.phase, pod_facts.created) == ("", "Pending", None)


def executor(number: int, trouble: str = "", phase: str = "Pending") -> Any:
    status = unscheduled(trouble) if trouble else {}
    return pod(f"digits-0-exec-{number}", role="executor", phase=phase, status=status)


def test_executors_without_trouble_say_nothing() -> None:
    assert executors_message([executor(1), executor(2, phase="Running")]) == ""
    assert executors_message([]) == ""


def test_of_several_problems_the_most_frequent_is_named() -> None:
    pods = [executor(1, "no GPU"), executor(2, "no memory"), executor(3, "no memory"), executor(4)]
    assert executors_message(pods) == "2 of 4 executors are waiting: no memory"


def test_a_single_executor_is_not_counted() -> None:
    assert executors_message([executor(1, "no GPU")]) == "The executor is waiting: no GPU"


def test_dead_executors_are_not_counted() -> None:
    pods = [executor(1, "no GPU"), executor(2, "no GPU", phase="Failed")]
    assert executors_message(pods) == "The executor is waiting: no GPU"
