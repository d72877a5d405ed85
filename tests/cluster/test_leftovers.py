"""A cluster of its own, killed in every way, comes up again; removed, it leaves nothing.

It is another instance, so that it disturbs neither the other tests nor a cluster that stays.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cluster import leftovers, network, state
from cluster.client import Cluster
from cluster.control_plane import kubectl
from cluster.layout import Layout
from cluster.processes import kill, marked
from cluster.rig import Rig
from cluster.shell import run, wait_until
from support.cluster_fixtures import start_of
from support.cluster_run import Part

pytestmark = [pytest.mark.nodes, pytest.mark.xdist_group("second cluster")]

INSTANCE = {"SPARKSWEEP_CLUSTER_INSTANCE": "9"}
TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def layout(pytestconfig: pytest.Config) -> Layout:
    """Use the usual folders, so that the next run finds the remains of a killed one."""
    start = start_of(pytestconfig)
    if start is None:
        pytest.skip("SPARKSWEEP_TEST_KUBECONFIG names a cluster: none is started")
    start.check(Part.PROGRAMS)
    cache = Layout.from_environment().cache
    return Layout.from_environment({**INSTANCE, "SPARKSWEEP_CLUSTER_CACHE": str(cache)})


@pytest.fixture(scope="module")
def rig(layout: Layout) -> Iterator[Rig]:
    rig = Rig(layout)
    # The command takes the lock of the instance itself: this one is against another run of these tests.
    tests = replace(layout, run=layout.run.with_name(f"{layout.run.name}-tests"))
    with state.lock(tests, 240):
        yield rig
        rig.down(images=True)


def start(layout: Layout) -> subprocess.Popen[bytes]:
    """Start the command as a process that can be killed, without variables that name other folders."""
    environment = {
        **INSTANCE,
        "SPARKSWEEP_CLUSTER_CACHE": str(layout.cache),
        "PYTHONPATH": str(TESTS),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "cluster", "up", "--nodes", "1"],
        env={**without_settings(), **environment},
        stderr=subprocess.PIPE,
    )


def traces(layout: Layout) -> list[str]:
    """Return the traces of a cluster on the machine apart from its files."""
    found = [f"process {pid}" for pid in marked(layout.run)]
    found += [
        f"mount {it}"
        for it in leftovers.mounted(leftovers.MOUNTS.read_text(), [layout.run, layout.data])
    ]
    found += [f"cgroup {node.namespace}" for node in leftovers.nodes_with_cgroups(layout)]
    found += network.routes(network.ip("route", "show"), layout)
    for words in (("netns",), ("-brief", "link"), ("-brief", "address", "show", "dev", "lo")):
        for own in (layout.node_prefix, layout.link_prefix, layout.api_address):
            found += [line for line in network.ip(*words).splitlines() if own in line]
    return found


def is_ready(layout: Layout) -> bool:
    wanted = "condition=Ready"
    return "condition met" in run(
        *kubectl(layout), "wait", "node/node1", f"--for={wanted}", "--timeout=5s"
    )


@pytest.mark.parametrize("part", ["etcd", "apiserver", "node1-containerd"])
def test_a_start_that_is_killed_in_the_middle_is_made_good_by_the_next(
    part: str, rig: Rig, layout: Layout
) -> None:
    rig.down()
    starting = start(layout)
    with starting:
        wait_until(lambda: rig.processes.alive(part), f"{part} has been started", 60, 0.01)
        starting.send_signal(signal.SIGKILL)
    assert starting.returncode == -signal.SIGKILL
    assert not rig.is_up()
    if part != "node1-containerd":
        return
    rig.up(1)
    assert is_ready(layout)


def test_a_cluster_whose_processes_were_killed_comes_up_anew(rig: Rig, layout: Layout) -> None:
    """Containers are still running, with mounts, namespaces and an old etcd without a record."""
    rig.up(1)
    cluster = Cluster.own(layout)
    name = cluster.namespace()
    cluster.kubectl("run", "pod", "-n", name, "--image=sparksweep-test/probe:1", "--command", "--", "/program", "serve", "x")  # fmt: skip
    cluster.kubectl("wait", "pod/pod", "-n", name, "--for=condition=Ready", "--timeout=30s")
    kill([rig.processes.part(part).pid for part in ("apiserver", "node1-kubelet")])
    (layout.parts / "etcd.json").unlink()
    (layout.parts / "node1-containerd.json").write_text("{")

    rig.up(1)

    assert is_ready(layout)
    assert cluster.items("pod") == []
    assert name not in {item["metadata"]["name"] for item in cluster.items("namespace")}
    assert len([pid for pid in marked(layout.run) if is_etcd(pid)]) == 1


def test_a_sound_cluster_is_kept_with_what_is_in_it(rig: Rig, layout: Layout) -> None:
    rig.up(1)
    cluster = Cluster.own(layout)
    name = cluster.namespace()
    before = [part.pid for part in rig.processes.all()]
    rig.up(0)
    assert [part.pid for part in rig.processes.all()] == before
    assert name in {item["metadata"]["name"] for item in cluster.items("namespace")}


def test_nothing_is_left_of_a_cluster_that_was_taken_down(rig: Rig, layout: Layout) -> None:
    rig.up(1)
    assert len(traces(layout)) > 10
    rig.down(images=True)
    assert traces(layout) == []
    assert not layout.run.exists()
    assert not layout.data.exists()
    rig.down()


def is_etcd(pid: int) -> bool:
    return b"--listen-peer-urls" in Path(f"/proc/{pid}/cmdline").read_bytes()


def without_settings() -> dict[str, str]:
    return {name: it for name, it in os.environ.items() if not name.startswith("SPARKSWEEP_")}
