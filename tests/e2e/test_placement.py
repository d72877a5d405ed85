"""Placement and requests of executors: the real scheduler, with GPUs as an extended resource of a node."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from support.e2e.e2e_cluster import Installed, Namespace
from support.e2e.e2e_experiments import experiment, pausing

pytestmark = pytest.mark.nodes

GPU = "nvidia.com/gpu"
OTHER_GPU = "amd.com/gpu"
"""A resource that no node has: the kubelet takes its time to remove the other one."""


@pytest.fixture
def gpu_node(installed: Installed) -> Iterator[str]:
    """Provide a node with two GPUs and a label, as a device plugin would advertise them."""
    node = "node2"
    path = f"/status/capacity/{GPU.replace('/', '~1')}"

    def patch(*operations: object) -> None:
        installed.kubectl(
            "patch",
            "node",
            node,
            "--subresource=status",
            "--type=json",
            "-p",
            json.dumps(operations),
        )

    patch({"op": "add", "path": path, "value": "2"})
    installed.kubectl("label", "node", node, "accelerator=nvidia-a100", "--overwrite")
    yield node
    installed.kubectl("label", "node", node, "accelerator-")
    patch({"op": "remove", "path": path})


@pytest.mark.xdist_group("GPUs of node2")
def test_s04_an_experiment_that_asks_for_a_gpu_lands_where_there_is_one_and_holds_one_each(
    namespace: Namespace, gpu_node: str
) -> None:
    namespace.apply(
        experiment(
            "gpus",
            trials=6,
            source=pausing(1),
            template={
                "nodeSelector": {"accelerator": "nvidia-a100"},
                "resources": {"cpu": "200m", "memory": "768Mi", "gpu": {"count": 1}},
            },
        )
    )
    executors = namespace.wait_for(
        lambda: [p for p in namespace.pods("gpus", "executor") if p["spec"].get("nodeName")],
        "an executor is placed",
    )
    for pod in executors:
        assert pod["spec"]["nodeName"] == gpu_node
        (container,) = pod["spec"]["containers"]
        assert container["resources"]["limits"][GPU] == "1"
        assert container["resources"]["requests"][GPU] == "1"
    namespace.wait_until_finished("gpus")
    namespace.assert_complete("gpus", trials=6)
    namespace.wait_for(lambda: not namespace.pods("gpus", "executor"), "the GPUs are given back")


def test_an_experiment_waits_for_a_gpu_and_says_so_in_the_schedulers_words(
    namespace: Namespace,
) -> None:
    template = {
        "resources": {
            "cpu": "200m",
            "memory": "768Mi",
            "gpu": {"count": 1, "resourceName": OTHER_GPU},
        }
    }
    namespace.apply(experiment("waits", trials=2, template=template))
    condition = namespace.wait_for(
        lambda: (
            f"Insufficient {OTHER_GPU}"
            in (found := namespace.condition("waits", "Running")).get("message", "")
            and found
        ),
        "the condition says what is missing",
    )
    assert (condition["status"], condition["reason"]) == ("False", "WaitingForExecutors")
    assert "nodes are available" in condition["message"]


def test_no_gpu_is_asked_for_and_the_pod_has_what_was_asked_for(namespace: Namespace) -> None:
    namespace.kubectl("create", "secret", "generic", "login", "--from-literal=user=ada")
    namespace.kubectl("create", "configmap", "data", "--from-literal=digits=0123456789")
    source = """
import os, pathlib

def training(x):
    assert os.environ["LOGIN_USER"] == "ada"
    assert os.environ["PLAIN"] == "as it is"
    assert pathlib.Path("/inputs/data/digits").read_text() == "0123456789"
    assert not pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount/token").exists()
    assert os.getuid() != 0
    assert "_SPARK_AUTH_SECRET" not in os.environ
    return -abs(x - 7.5)
"""
    template = {
        "env": [
            {"name": "PLAIN", "value": "as it is"},
            {"name": "LOGIN_USER", "valueFrom": {"secretKeyRef": {"name": "login", "key": "user"}}},
        ],
        "volumes": [
            {
                "name": "inputs",
                "mountPath": "/inputs/data",
                "readOnly": True,
                "configMap": {"name": "data"},
            }
        ],
    }
    namespace.apply(experiment("plain", trials=2, source=source, memory="900Mi", template=template))
    (pod, *_) = namespace.wait_for(
        lambda: namespace.pods("plain", "executor"), "an executor is made"
    )
    (container,) = pod["spec"]["containers"]
    resources = container["resources"]
    assert GPU not in resources["limits"]
    assert resources["limits"]["memory"] == resources["requests"]["memory"] == "900Mi"
    assert resources["requests"]["cpu"] == "200m"
    assert pod["spec"]["automountServiceAccountToken"] is False
    owner = pod["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"]) == ("Pod", "plain-driver-0")
    namespace.wait_until_finished("plain")
    namespace.assert_complete("plain", trials=2)
