"""Layout of a cluster: folders, addresses and names. Every other module takes a ``Layout``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

NAME = "sparksweep-test-cluster"

PARTS = Path(__file__).parent / "parts"
"""One folder for each Go module from which programs are compiled."""

TOOLS = Path(__file__).parent / "tools"
"""Go modules of tools outside the cluster: a new Helm must not recompile Kubernetes."""

PROGRAMS = Path(__file__).parent / "programs"
"""Sources of the rig's small programs, which run in containers."""


@dataclass(frozen=True)
class Layout:
    """Folders of one cluster."""

    run: Path
    """Files that end with the cluster: logs, keys, sockets, the state."""

    data: Path
    """Images and containers: a real file system, because overlayfs needs one."""

    cache: Path
    """Results of compilations and downloads, which are kept."""

    instance: int = 0
    """Number from 0 to 9: clusters of different instances can be up at once, with addresses and ports of their own."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Layout:
        """Return the layout with the folders from the environment, or the machine's default ones."""
        caches = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        cache = environment.get("SPARKSWEEP_CLUSTER_CACHE") or Path(caches) / NAME
        instance = int(environment.get("SPARKSWEEP_CLUSTER_INSTANCE") or 0)
        own = f"{NAME}-{instance}" if instance else NAME
        return cls(
            run=Path(environment.get("SPARKSWEEP_CLUSTER_RUN") or f"/run/{own}"),
            data=Path(environment.get("SPARKSWEEP_CLUSTER_DATA") or f"/var/lib/{own}"),
            cache=Path(cache),
            instance=instance,
        )

    @property
    def bin(self) -> Path:
        """The folder of the compiled programs of exactly these versions."""
        return self.cache / f"bin-{fingerprint(PARTS)}"

    @property
    def helm(self) -> Path:
        """The compiled Helm of exactly this version."""
        return self.tool("helm")

    def tool(self, name: str) -> Path:
        """Return the path of a compiled tool of exactly this version."""
        version = hashlib.sha256((TOOLS / name / "go.mod").read_bytes()).hexdigest()[:12]
        return self.cache / f"{name}-{version}" / name

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

    # Neither the addresses nor the ports are the defaults of other clusters: one may be on this machine, too.

    @property
    def services(self) -> str:
        return f"10.{140 + self.instance}.0.0/16"

    @property
    def pods(self) -> str:
        return f"10.{150 + self.instance}.0.0/16"

    @property
    def links(self) -> str:
        """The network of the links between the host and its nodes."""
        return f"10.{160 + self.instance}.0.0/16"

    @property
    def api_address(self) -> str:
        """The API server's address for nodes, on the host's loopback device."""
        return _address(self.links, 0, 1)

    @property
    def api_service(self) -> str:
        """The API server's address for pods."""
        return _address(self.services, 0, 1)

    @property
    def api_port(self) -> int:
        return 26440 + self.instance

    @property
    def etcd_ports(self) -> tuple[int, int]:
        """The ports for clients and for other members, of which there are none."""
        return 26370 + self.instance, 26380 + self.instance

    @property
    def controller_manager_port(self) -> int:
        return 26250 + self.instance

    @property
    def scheduler_port(self) -> int:
        return 26260 + self.instance

    @property
    def node_prefix(self) -> str:
        """Beginning of the names of nodes' network namespaces and cgroups."""
        return f"sparksweep-test-{self.instance}-node"

    @property
    def link_prefix(self) -> str:
        """Beginning of the names of nodes' links; the kernel allows 15 characters."""
        return f"sst{self.instance}-"

    def kubeconfig(self, user: str = "admin") -> Path:
        return self.run / f"{user}.kubeconfig"


@dataclass(frozen=True)
class Node:
    """Names and addresses of the node with a number."""

    number: int
    layout: Layout

    @classmethod
    def named(cls, name: str, layout: Layout) -> Node:
        """Return the node with a name.

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
        """The name of its network namespace and of its cgroups."""
        return f"{self.layout.node_prefix}{self.number}"

    @property
    def link(self) -> str:
        """The host's end of its only link."""
        return f"{self.layout.link_prefix}{self.number}"

    @property
    def address(self) -> str:
        return _address(self.layout.links, self.number, 2)

    @property
    def gateway(self) -> str:
        return _address(self.layout.links, self.number, 1)

    @property
    def pods(self) -> str:
        return f"{_address(self.layout.pods, self.number, 0)}/24"

    @property
    def run(self) -> Path:
        return self.layout.run / self.name

    @property
    def data(self) -> Path:
        return self.layout.data / self.name

    @property
    def socket(self) -> Path:
        """The socket of containerd."""
        return self.run / "containerd.sock"

    def part(self, program: str) -> str:
        """Return the name of one of its processes."""
        return f"{self.name}-{program}"


def fingerprint(parts: Path) -> str:
    """Return twelve hexadecimal digits for the versions of everything compiled."""
    digest = hashlib.sha256()
    for module in sorted(parts.glob("*/go.mod")):
        digest.update(module.read_bytes())
    return digest.hexdigest()[:12]


def _address(network: str, third: int, fourth: int) -> str:
    """Return an address in a network of 16 bits."""
    return network.removesuffix("0.0/16") + f"{third}.{fourth}"
