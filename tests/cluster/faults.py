"""Faults for tests: processes stopped, killed and started again, a node without power."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from cluster import cgroups, control_plane, network, node
from cluster.layout import Layout, Node
from cluster.processes import Processes, kill, shims


class Faults:
    """Faults of one cluster. Parts have the names of its status: ``apiserver``, ``etcd``, ``node1-kubelet``, ..."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.processes = Processes(layout)

    def freeze(self, part: str) -> None:
        """Stop a process: its connections stay open, but get no answer."""
        self.processes.signal(part, signal.SIGSTOP)

    def thaw(self, part: str) -> None:
        """Continue a stopped process."""
        self.processes.signal(part, signal.SIGCONT)

    @contextmanager
    def frozen(self, part: str) -> Iterator[None]:
        """Stop a process for the duration of a block."""
        self.freeze(part)
        try:
            yield
        finally:
            self.thaw(part)

    def kill(self, part: str) -> None:
        """Kill a process with SIGKILL. It stays dead until it is started."""
        self.processes.stop(part, on_purpose=True)

    def start(self, part: str) -> None:
        """Start a process again, or all of a node (``node1``); wait for the API server and nodes.

        Raises:
            ClusterError: It was never started, or does not come up.
        """
        if part in self.node_names():
            self._start_node(Node.named(part, self.layout))
            return
        self.processes.start_again(part)
        if part in ("etcd", "apiserver") and self.processes.alive("etcd"):
            control_plane.wait_for_api(self.layout, self.processes)

    @contextmanager
    def killed(self, part: str) -> Iterator[None]:
        """Kill a process for the duration of a block."""
        self.kill(part)
        try:
            yield
        finally:
            self.start(part)

    def lose_node(self, name: str) -> None:
        """Cut a node's power: first its cable goes dead, then its processes. ``start`` switches it on again.

        Connections to it are not closed, they fall silent, as when a machine dies.
        """
        lost = Node.named(name, self.layout)
        self.processes.part(lost.part("kubelet"))
        network.disconnect(lost)
        for program in reversed(node.PROGRAMS):
            self.kill(lost.part(program))
        kill(shims(lost.socket))
        cgroups.kill_containers(lost)

    def node_names(self) -> list[str]:
        """Return the names of all nodes that were ever started."""
        ends = "-kubelet"
        return [
            part.name.removesuffix(ends)
            for part in self.processes.all()
            if part.name.endswith(ends)
        ]

    def _start_node(self, back: Node) -> None:
        network.connect(back)
        node.start(back, self.processes)
        node.wait_until_ready(back, self.processes)
