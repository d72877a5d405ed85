"""A node of the test cluster in a virtual machine, with cgroup v2: its programs are those of `cluster.node`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from cluster import network, node
from cluster.control_plane import kubectl
from cluster.layout import Node
from cluster.processes import Processes
from cluster.shell import ClusterError, run, wait_until
from vm import node_disks, packages
from vm.machine import Hardware, Machine

MEMORY_MIB = 4096
READY_S = 300.0
MODULES = (
    "iptable_nat", "iptable_filter", "iptable_mangle", "ipt_REJECT", "nf_conntrack_netlink", "xt_MASQUERADE",
    "xt_REDIRECT", "xt_addrtype", "xt_comment", "xt_conntrack", "xt_limit", "xt_mark", "xt_multiport", "xt_nat",
    "xt_statistic", "xt_tcpudp",
)  # fmt: skip
"""Modules for the rules of kube-proxy and of the network plugins, which nothing in the machine would load."""


class VirtualNode:
    """A running node of a cluster whose control plane runs on this machine. A context manager.

    Args:
        it: name, addresses and folders of the node.
        archives: archives of the images that it has.
        settings: settings of the kubelet in addition to those of every node.
    """

    def __init__(
        self, it: Node, archives: Sequence[Path], settings: dict[str, Any] | None = None
    ) -> None:
        self.node = it
        self._settings = settings or {}
        images = node_disks.images_disk(it, archives)
        network.create_tap(it)
        hardware = Hardware(
            memory_mib=MEMORY_MIB,
            processors=1,
            system=node_disks.system_disk(it.layout, packages.fetch(it.layout)),
            disks=[images],
            link=it.link,
            modules=MODULES,
        )
        self.machine = Machine(it.layout, hardware)
        try:
            self.machine.run_json("node", self._plan(), timeout_s=120)
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> VirtualNode:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the machine; the cluster forgets the node, and its pods are deleted."""
        self.machine.close()
        network.ip("link", "delete", self.node.link)
        shutil.rmtree(self.node.run)
        run(*kubectl(self.node.layout), "delete", "node", self.node.name, "--ignore-not-found")

    def log(self, program: str) -> str:
        """Return the end of what a program of the node has printed."""
        return self.machine.run("busybox", "tail", "-n", "40", f"/run/log/{program}").stdout

    def _plan(self) -> dict[str, Any]:
        it = self.node
        layout = it.layout
        pki = [layout.pki / name for name in ("ca.crt", f"{it.name}.crt", f"{it.name}.key")]
        kubeconfigs = [layout.kubeconfig(name) for name in (it.name, "proxy", "dns")]
        settings = [
            it.run / name for name in ("containerd.toml", "Corefile", "cni/10-ptp.conflist")
        ]
        kubelet = {**node.kubelet_configuration(it), **self._settings}
        commands = {
            "containerd": node.containerd(it),
            "dns": node.dns(it),
            "proxy": node.proxy(it),
            "kubelet": node.kubelet(it),
        }
        return {
            "data": str(it.data),
            "address": f"{it.address}/30",
            "routes": [
                [layout.links, "via", it.gateway],
                [layout.pods, "via", it.gateway],
                [layout.services, "dev", "lo", "src", it.address],
            ],
            "cgroup": it.namespace,
            "files": {
                **{str(path): path.read_text() for path in (*pki, *kubeconfigs, *settings)},
                str(it.run / "kubelet.yaml"): json.dumps(kubelet),
            },
            "socket": str(it.socket),
            "programs": {name: [str(word) for word in words] for name, words in commands.items()},
            "path": Processes(layout).environment()["PATH"],
        }

    def _wait_until_ready(self) -> None:
        """Wait until the node is Ready.

        Raises:
            ClusterError: It is not in time; with the end of the kubelet's log.
        """
        path = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
        command = (*kubectl(self.node.layout), "get", "node", self.node.name, "-o", path)

        def is_ready() -> bool:
            try:
                return run(*command) == "True"
            except ClusterError:
                return False

        try:
            wait_until(is_ready, f"{self.node.name} is Ready", READY_S, 1.0)
        except ClusterError as error:
            raise ClusterError(
                f"{error}\n{self.log('kubelet')}\n{self.log('containerd')}"
            ) from None
