"""Where things are: folders, addresses and names. Every other module takes a ``Layout``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PARTS = Path(__file__).parent / "parts"
"""One folder for each Go module that programs are compiled from."""

PROGRAMS = Path(__file__).parent / "programs"
"""The sources of our own small programs, which run in containers."""

# Neither the addresses nor the ports are those that other clusters take by default: one of them may be here, too.

LINKS = "10.199.0.0/16"
"""The links between the host and its nodes."""

API_ADDRESS = "10.199.0.1"
"""The API server's address for the nodes, on the host's loopback device."""

PODS = "10.188.0.0/16"
SERVICES = "10.196.0.0/16"

API_SERVICE = "10.196.0.1"
"""The API server's address for pods."""

API_PORT = 26443
ETCD_PORTS = (26379, 26380)
CONTROLLER_MANAGER_PORT = 26257
SCHEDULER_PORT = 26259

NODE_PREFIX = "sparksweep-test-node"
"""What the names of nodes' network namespaces and cgroups begin with."""

LINK_PREFIX = "sst"
"""What the names of the links to nodes begin with, of which the kernel takes 15 characters."""


@dataclass(frozen=True)
class Layout:
    """The folders of one cluster."""

    run: Path
    """What dies with the cluster: logs, keys, sockets, the state."""

    data: Path
    """Images and containers: a real file system, because overlayfs needs one."""

    cache: Path
    """What takes minutes to make, and is kept."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Layout:
        """The folders that the environment names, or those of the machine."""
        caches = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        name = "sparksweep-test-cluster"
        return cls(
            run=Path(environment.get("SPARKSWEEP_CLUSTER_RUN") or f"/run/{name}"),
            data=Path(environment.get("SPARKSWEEP_CLUSTER_DATA") or f"/var/lib/{name}"),
            cache=Path(environment.get("SPARKSWEEP_CLUSTER_CACHE") or Path(caches) / name),
        )

    @property
    def bin(self) -> Path:
        """The compiled programs of exactly these versions."""
        return self.cache / f"bin-{fingerprint(PARTS)}"

    @property
    def pki(self) -> Path:
        return self.run / "pki"

    @property
    def logs(self) -> Path:
        return self.run / "log"

    @property
    def audit_log(self) -> Path:
        """One JSON object a line for each request that the API server has answered."""
        return self.logs / "audit"

    @property
    def parts(self) -> Path:
        """One file for each process that was started."""
        return self.run / "parts"

    @property
    def lock(self) -> Path:
        return self.run.with_name(f"{self.run.name}.lock")

    @property
    def archives(self) -> Path:
        """Archives of the images that the rig itself brings."""
        return self.run / "images"

    def kubeconfig(self, user: str = "admin") -> Path:
        return self.run / f"{user}.kubeconfig"


@dataclass(frozen=True)
class Node:
    """The names and addresses of the node with a number."""

    number: int
    layout: Layout

    @classmethod
    def named(cls, name: str, layout: Layout) -> Node:
        """The node with a name.

        Raises:
            ValueError: A node can not have this name.
        """
        digits = name.removeprefix("node")
        if f"node{digits}" != name or not digits.isdigit():
            raise ValueError(f"{name} is no node's name: they are node1, node2, ...")
        return cls(int(digits), layout)

    @property
    def name(self) -> str:
        return f"node{self.number}"

    @property
    def namespace(self) -> str:
        """Of its network namespace and of its cgroups."""
        return f"{NODE_PREFIX}{self.number}"

    @property
    def link(self) -> str:
        """The host's end of its only cable."""
        return f"{LINK_PREFIX}{self.number}"

    @property
    def address(self) -> str:
        return f"10.199.{self.number}.2"

    @property
    def gateway(self) -> str:
        return f"10.199.{self.number}.1"

    @property
    def pods(self) -> str:
        return f"10.188.{self.number}.0/24"

    @property
    def run(self) -> Path:
        return self.layout.run / self.name

    @property
    def data(self) -> Path:
        return self.layout.data / self.name

    @property
    def socket(self) -> Path:
        """What containerd listens on."""
        return self.run / "containerd.sock"

    def part(self, program: str) -> str:
        """The name of one of its processes."""
        return f"{self.name}-{program}"


def fingerprint(parts: Path) -> str:
    """Twelve hexadecimal digits that stand for the versions of everything compiled."""
    digest = hashlib.sha256()
    for module in sorted(parts.glob("*/go.mod")):
        digest.update(module.read_bytes())
    return digest.hexdigest()[:12]
