"""An Experiment whose trial runs out of memory, on a whole node with cgroup v2: kubelet, containerd and runc as anywhere.

The control plane and the operator run on this machine, the driver and the executors on a node in a virtual machine, where
Java takes minutes to start. So these tests are for a person to run: ``make test-vm-node``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from cluster import binaries
from cluster.client import Cluster
from cluster.helm import Helm
from cluster.layout import Layout, Node
from support.control_plane.operator_processes import OperatorProcess
from support.e2e.e2e_cluster import REPOSITORY, SYSTEM, Installed, Namespace, restricted_namespace
from support.e2e.e2e_experiments import experiment
from support.figures import FIGURE
from vm.node import VirtualNode

pytestmark = [pytest.mark.vm, pytest.mark.vm_node, pytest.mark.timeout(2700)]

NUMBER = 9
"""Number of the node: the highest, so that it is none of the test cluster's own."""
START_S = 900
"""Seconds within which a pod of Spark's may start."""

SOURCE = """
import os

FOUND = {
    "memory.max": str(768 * 2**20),
    "memory.oom.group": "%d",
    "memory.swap.max": "0",
    "cpu.max": "max 100000",
}

def read(name):
    with open(f"/sys/fs/cgroup/{name}") as file:
        return file.read().strip()

def training(x):
    with open("/proc/self/cgroup") as file:
        assert file.read() == "0::/\\n"
    found = {name: read(name) for name in FOUND}
    assert found == FOUND, found
    held = []
    while x == 2:
        held.append(os.urandom(1) * 2**24)
    anonymous = dict(line.split() for line in read("memory.stat").splitlines())["anon"]
    return {"score": x, "tasks": int(read("pids.current")), "mebibytes": int(anonymous) / 2**20}
"""
"""Trials in a container as the kubelet makes it; the second one eats memory."""


@pytest.fixture(scope="module")
def installed(
    control_plane: Cluster, helm: Helm, crds: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    """Install the chart but for the operator's pod, whose place a process on this machine takes."""
    installed = Installed(control_plane, helm, audit_from=0)
    control_plane.apply(restricted_namespace(SYSTEM))
    for template in ("serviceaccount", "operator-rbac", "driver-rbac", "admission-policy"):
        control_plane.apply(helm.template(only=f"{template}.yaml"))
    kubeconfig = control_plane.kubeconfig_as("sparksweep-operator", SYSTEM)
    log = tmp_path_factory.mktemp("operator") / "log"
    operator = OperatorProcess(kubeconfig, log, driver_cpu="200m")
    try:
        operator.start()
        yield installed
        assert operator.stop() == 0, operator.output()
        assert operator.troubles() == []
    finally:
        operator.kill()


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Return a function that adds a line to the run's summary."""
    return partial(record_property, FIGURE)


@pytest.mark.parametrize("alone", [False, True], ids=["container", "process"])
def test_a_trial_out_of_memory_ends_oom_killed_on_a_node_with_cgroup_v2(
    installed: Installed, figure: Callable[[str], None], alone: bool
) -> None:
    layout = Layout.from_environment()
    binaries.prepare(layout)
    began = time.monotonic()

    def passed(event: str) -> None:
        figure(f"{time.monotonic() - began:5.0f} s: {event}")

    namespace = installed.make_namespace(f"vm-{time.time_ns() % 10**6}".lower())
    archive = REPOSITORY / "dist/images/trainer.tar"
    settings = {"singleProcessOOMKill": True} if alone else {}
    with VirtualNode(Node(NUMBER, layout), [archive], settings):
        passed("the node is Ready")
        namespace.apply(
            experiment(
                "greedy",
                trials=3,
                parallel=1,
                source=SOURCE % (not alone),
                spec={"tensorboard": {"enabled": False}},
            )
        )
        for role in ("driver", "executor"):
            namespace.wait_for(
                partial(namespace.running, "greedy", role), f"its {role} runs", timeout_s=START_S
            )
            passed(f"the container of the {role} runs")
        for number in (1, 2, 3):
            namespace.wait_for(
                partial(has_ended, namespace, number), f"trial {number} ends", timeout_s=START_S
            )
            passed(f"trial {number} has ended")
        namespace.wait_until_finished("greedy")
        passed("the experiment has ended")
        assert_only_the_second_failed(namespace, alone=alone)
        trials = namespace.trials("greedy")
        figure(f"in an executor's container: {trials[1]['metrics']}")
        figure(trials[2]["message"])


def has_ended(namespace: Namespace, number: int) -> bool:
    """Return True if so many trials have ended."""
    return namespace.ended("greedy") >= number


def assert_only_the_second_failed(namespace: Namespace, *, alone: bool) -> None:
    """Assert that it was killed for memory, once, with its executor or without it."""
    trials = namespace.trials("greedy")
    failed = trials.pop(2)
    assert (failed["state"], failed["reason"]) == ("Failed", "OOMKilled"), namespace.describe()
    assert failed["attempt"] == 1
    for text in ("used", "limit 768Mi", "spec.trialTemplate.resources.memory"):
        assert text in failed["message"]
    assert {trial["state"] for trial in trials.values()} == {"Succeeded"}, namespace.describe()
    assert {trial["attempt"] for trial in trials.values()} == {1}
    assert namespace.condition("greedy", "Complete").get("status") == "True"
    # docs/operations.md names both figures of an executor itself.
    assert 300 < trials[1]["metrics"]["mebibytes"] < 400
    assert trials[1]["metrics"]["tasks"] < 100
    assert trials[1]["node"] == failed["node"]
    if alone:
        assert "the kernel killed it because memory ran out" in failed["message"]
        assert trials[3]["node"] == failed["node"]
    else:
        assert "killed its executor" in failed["message"]
        assert trials[3]["node"] != failed["node"]
