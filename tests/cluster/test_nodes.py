"""Pods on nodes, as tests use them: they run and reach each other; devices, images, limits, and lost nodes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster import binaries, network
from cluster.binaries import own_program
from cluster.client import Cluster
from cluster.images import PROBE, program_image
from cluster.layout import Node
from cluster.shell import ClusterError, run, wait_until

pytestmark = pytest.mark.nodes

GPU = "nvidia.com/gpu"


@pytest.fixture(autouse=True)
def own_nodes(two_nodes: Cluster) -> None:
    """Skip on foreign nodes, which lack the probe's image."""
    assert two_nodes.rig is not None


def pod(name: str, *command: str, node: str = "", **container: Any) -> dict[str, Any]:
    """Return a pod of the probe's image: see programs/probe.go."""
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "containers": [
            {"name": "probe", "image": PROBE, "command": ["/program", *command], **container}
        ],
    }
    if node:
        spec["nodeSelector"] = {"kubernetes.io/hostname": node}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": spec,
    }


def wait_for(
    cluster: Cluster, namespace: str, name: str, holds: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """Wait until a condition holds for a pod's status; return the pod."""
    found: dict[str, Any] = {}

    def look() -> bool:
        found.update(cluster.get("pod", name, namespace))
        return holds(found["status"])

    try:
        wait_until(look, f"{name} gets there", 60)
    except ClusterError:
        pytest.fail(cluster.kubectl("describe", "pod", name, "-n", namespace))
    return found


def is_running(status: dict[str, Any]) -> bool:
    return bool(status["phase"] == "Running")


def has_ended(status: dict[str, Any]) -> bool:
    return status["phase"] in ("Succeeded", "Failed")


def is_unschedulable(status: dict[str, Any]) -> bool:
    return any(item.get("reason") == "Unschedulable" for item in status.get("conditions", ()))


def test_both_nodes_are_ready_and_say_the_version_that_was_compiled(two_nodes: Cluster) -> None:
    assert two_nodes.nodes() == ["node1", "node2"]
    version = binaries.module_version("kubernetes", "k8s.io/kubernetes/cmd/kubelet")
    for node in two_nodes.items("node"):
        assert node["status"]["nodeInfo"]["kubeletVersion"] == version


def test_pods_on_both_nodes_reach_each_other_and_a_service_by_its_name(
    two_nodes: Cluster, namespace: str
) -> None:
    two_nodes.apply([pod(f"server{i}", "serve", f"from {i}", node=f"node{i}") for i in (1, 2)], namespace)  # fmt: skip
    two_nodes.kubectl("expose", "pod", "server1", "-n", namespace, "--port=80", "--target-port=8080")  # fmt: skip
    addresses = {
        i: wait_for(two_nodes, namespace, f"server{i}", is_running)["status"]["podIP"]
        for i in (1, 2)
    }
    wanted = {}
    for i in (1, 2):
        for j in (1, 2):
            name = f"client{i}-{j}"
            two_nodes.apply(pod(name, "get", f"http://{addresses[j]}:8080", "20", node=f"node{i}"), namespace)  # fmt: skip
            wanted[name] = f"from {j}"
        for name, host in (
            (f"short{i}", "server1"),
            (f"long{i}", f"server1.{namespace}.svc.cluster.local"),
        ):
            two_nodes.apply(pod(name, "get", f"http://{host}", "20", node=f"node{i}"), namespace)
            wanted[name] = "from 1"
    said = {}
    for name in wanted:
        wait_for(two_nodes, namespace, name, has_ended)
        said[name] = two_nodes.kubectl("logs", name, "-n", namespace)
    assert said == wanted


def test_a_pod_reaches_the_api_server(two_nodes: Cluster, namespace: str) -> None:
    """The request is plain HTTP; the answer, that this is an HTTPS server, shows that it was reached."""
    two_nodes.apply(pod("client", "get", "http://kubernetes.default:443", "20"), namespace)
    wait_for(two_nodes, namespace, "client", has_ended)
    said = two_nodes.kubectl("logs", "client", "-n", namespace)
    assert said == "Client sent an HTTP request to an HTTPS server.\n"


def test_no_packet_has_a_way_out_of_the_machine(two_nodes: Cluster) -> None:
    """The routing tables are read; nothing is sent."""
    layout = two_nodes.rig.layout
    for number in (1, 2):
        node = Node(number, layout)
        routes = network.ip("-n", node.namespace, "route", "show").splitlines()
        assert not [route for route in routes if route.startswith("default")]
        with pytest.raises(ClusterError, match="Network is unreachable"):
            network.ip("-n", node.namespace, "route", "get", "203.0.113.1")
    for unused in (layout.services, layout.pods, layout.links):
        with pytest.raises(ClusterError, match="Invalid argument"):
            network.ip("route", "get", unused.replace("0.0/16", "250.1"))


@pytest.mark.xdist_group("GPUs of node2")
def test_an_extended_resource_is_given_out_as_a_device_would_be(
    two_nodes: Cluster, namespace: str
) -> None:
    path = "/status/capacity/nvidia.com~1gpu"

    def patch(operation: str, **value: str) -> None:
        text = json.dumps([{"op": operation, "path": path, **value}])
        two_nodes.kubectl("patch", "node", "node2", "--subresource=status", "--type=json", "-p", text)  # fmt: skip

    patch("add", value="1")
    try:
        wait_until(
            lambda: two_nodes.get("node", "node2")["status"]["allocatable"].get(GPU) == "1",
            "the node offers a GPU",
            30,
        )
        asked: dict[str, Any] = {"resources": {"limits": {GPU: "1"}}}
        two_nodes.apply(pod("first", "serve", "x", **asked), namespace)
        first = wait_for(two_nodes, namespace, "first", is_running)
        assert first["spec"]["nodeName"] == "node2"
        two_nodes.apply(pod("second", "serve", "x", **asked), namespace)
        second = wait_for(two_nodes, namespace, "second", is_unschedulable)
        (message,) = [
            item["message"]
            for item in second["status"]["conditions"]
            if item.get("reason") == "Unschedulable"
        ]
        assert f"2 Insufficient {GPU}" in message
    finally:
        patch("remove")


def test_a_container_over_its_limit_is_killed_for_it(two_nodes: Cluster, namespace: str) -> None:
    limits = {"limits": {"memory": "64Mi"}}
    two_nodes.apply([pod("much", "eat", "256", resources=limits), pod("little", "eat", "8", resources=limits)], namespace)  # fmt: skip
    much = wait_for(two_nodes, namespace, "much", has_ended)
    (container,) = much["status"]["containerStatuses"]
    ended = container["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)
    wait_for(two_nodes, namespace, "little", is_running)


def test_commands_can_be_run_in_a_container(two_nodes: Cluster, namespace: str) -> None:
    two_nodes.apply(pod("server", "serve", "inside"), namespace)
    wait_for(two_nodes, namespace, "server", is_running)
    command = ("/program", "get", "http://127.0.0.1:8080", "5")
    assert two_nodes.kubectl("exec", "server", "-n", namespace, "--", *command) == "inside"


def test_a_loaded_image_runs_on_both_nodes(
    two_nodes: Cluster, namespace: str, tmp_path: Path
) -> None:
    layout = two_nodes.rig.layout
    reference = f"docker.io/sparksweep-test/{namespace}:1"
    archive = tmp_path / "image.tar"
    archive.write_bytes(program_image(own_program("probe", layout).read_bytes(), reference))
    two_nodes.load(archive)
    assert reference in two_nodes.images()
    for node in ("node1", "node2"):
        two_nodes.apply(pod(node, "serve", "x", node=node, image=reference), namespace)
        wait_for(two_nodes, namespace, node, is_running)


def test_what_is_no_archive_is_refused_with_its_name(two_nodes: Cluster, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    with pytest.raises(ClusterError, match=r"image.tar: no such file"):
        two_nodes.load(archive)
    archive.write_text("no archive")
    with pytest.raises(ClusterError, match=r"image.tar failed"):
        two_nodes.load(archive)


def test_an_image_that_no_node_has_is_told_by_the_pod(two_nodes: Cluster, namespace: str) -> None:
    def cannot_pull(status: dict[str, Any]) -> bool:
        reasons = {
            container["state"].get("waiting", {}).get("reason")
            for container in status.get("containerStatuses", ())
        }
        return bool(reasons & {"ErrImagePull", "ImagePullBackOff"})

    two_nodes.apply(pod("absent", "serve", "x", image="absent.invalid/x:1"), namespace)
    wait_for(two_nodes, namespace, "absent", cannot_pull)


@pytest.mark.alone
def test_a_lost_node_is_noticed_its_pods_are_evicted_and_it_comes_back(
    two_nodes: Cluster, namespace: str
) -> None:
    impatient = [
        {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}
        for key in ("unreachable", "not-ready")
    ]  # fmt: skip
    for node in ("node1", "node2"):
        served = pod(f"on-{node}", "serve", node, node=node)
        served["spec"]["tolerations"] = impatient
        two_nodes.apply(served, namespace)
        wait_for(two_nodes, namespace, f"on-{node}", is_running)
    faults = two_nodes.faults
    faults.lose_node("node2")
    try:
        wait_until(lambda: two_nodes.nodes() == ["node1"], "the loss is noticed", 60, 1)
        wait_until(
            lambda: "deletionTimestamp" in two_nodes.get("pod", "on-node2", namespace)["metadata"],
            "its pod is evicted",
            30,
            1,
        )
        assert two_nodes.kubectl("exec", "on-node1", "-n", namespace, "--", "/program", "get", "http://127.0.0.1:8080", "5") == "node1"  # fmt: skip
    finally:
        faults.start("node2")
    assert two_nodes.nodes() == ["node1", "node2"]
    wait_until(lambda: not is_there(two_nodes, "on-node2", namespace), "it is gone at last", 60)
    two_nodes.apply(pod("again", "serve", "x", node="node2"), namespace)
    wait_for(two_nodes, namespace, "again", is_running)


@pytest.mark.alone
def test_a_lost_node_leaves_no_process_behind(two_nodes: Cluster, namespace: str) -> None:
    two_nodes.apply(pod("server", "serve", "lost", node="node1"), namespace)
    wait_for(two_nodes, namespace, "server", is_running)
    node = Node(1, two_nodes.rig.layout)
    two_nodes.faults.lose_node("node1")
    try:
        left = run("ip", "netns", "pids", node.namespace).split()
        assert left == []
        assert processes_that_say(b"\0serve\0lost") == []
    finally:
        two_nodes.faults.start("node1")


def is_there(cluster: Cluster, name: str, namespace: str) -> bool:
    return name in {item["metadata"]["name"] for item in cluster.items("pod", namespace)}


def processes_that_say(words: bytes) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if words in (entry / "cmdline").read_bytes():
                found.append(entry.name)
        except OSError:
            continue
    return found
