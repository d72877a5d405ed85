"""The cluster as a whole: start, growth, removal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from cluster import (
    binaries,
    cgroups,
    control_plane,
    images,
    leftovers,
    machine,
    network,
    node,
    pki,
    state,
)
from cluster.layout import Layout, Node
from cluster.processes import Processes
from cluster.shell import ClusterError, say
from cluster.state import Owner


class Rig:
    """A cluster. A process that changes it holds ``state.lock`` meanwhile."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.processes = Processes(layout)

    def prepare(self) -> None:
        """Install packages and compile programs, which takes minutes.

        Raises:
            Unavailable: This machine cannot run the control plane.
            ClusterError: A compilation failed.
        """
        machine.check_user()
        binaries.install_packages()
        machine.check_network()
        binaries.prepare(self.layout)

    def is_up(self) -> bool:
        """Return True if there is a sound cluster, of any number of nodes."""
        return state.is_sound(self.layout)

    def is_up_for_good(self) -> bool:
        """Return True if there is a sound cluster that no process removes at its end."""
        found = state.read(self.layout)
        return self.is_up() and found is not None and found.owner is None

    def up(self, nodes: int, owner: Owner | None = None) -> None:
        """Start a control plane and at least so many nodes, unless they are up and Ready.

        A sound cluster is kept, and nodes are added to it; anything else that is there is removed first.

        Args:
            owner: Who takes it down, when it is not there yet. A cluster whose owner is dead is not sound.

        Raises:
            Unavailable: This machine cannot run it.
            ClusterError: Something does not come up.
        """
        self.prepare()
        if nodes:
            machine.check_containers()
        if self.is_up():
            found = state.read(self.layout)
            owner = found.owner if found else None
        else:
            self._clear()
        state.forget(self.layout)
        began = time.monotonic()
        self.layout.run.mkdir(parents=True, exist_ok=True)
        pki.create_authority(self.layout)
        network.create_host_side(self.layout)
        control_plane.start(self.layout, self.processes)
        added = [Node(number, self.layout) for number in range(1, nodes + 1)]
        for it in added:
            network.create_node(it)
            network.connect(it)
            node.start(it, self.processes)
        for it in added:
            node.wait_until_ready(it, self.processes)
        state.write(self.layout, owner)
        say(f"up with {len(self.nodes())} nodes after {time.monotonic() - began:.0f} s")

    def down(self, *, images: bool = False) -> None:
        """Remove the cluster in any state; with `images` also the images on the nodes."""
        machine.check_user()
        leftovers.remove(self.layout, images=images)

    def nodes(self) -> list[Node]:
        """Return the nodes of the running cluster."""
        names = (path.parent.name for path in self.layout.run.glob("node*/kubelet.yaml"))
        return sorted(
            (Node.named(name, self.layout) for name in names), key=lambda node: node.number
        )

    def load(self, archives: Sequence[Path]) -> None:
        """Load the images of archives on every node.

        Raises:
            ClusterError: There is no node, or a file is no archive of images.
        """
        if not self.nodes():
            raise ClusterError("there is no node to load images on: bring the cluster up with some")

        def load(archive: Path, it: Node) -> None:
            began = time.monotonic()
            names = images.load(it, archive)
            say(f"{', '.join(names)} on {it.name} after {time.monotonic() - began:.1f} s")

        nodes = self.nodes()
        with ThreadPoolExecutor(len(nodes)) as pool:
            for archive in archives:
                list(pool.map(partial(load, archive), nodes))

    def status(self) -> list[str]:
        """Return a line for each part, and the peculiarities of this machine."""
        if not self.processes.all():
            return ["no cluster"]
        found = state.read(self.layout)
        lines = [
            f"{part.name} {'up' if part.alive else 'killed' if not part.wanted else 'DOWN'}"
            for part in self.processes.all()
        ]
        if found is None:
            lines.append("incomplete: its start was interrupted, or goes on")
        elif found.owner is not None:
            lines.append(f"there for process {found.owner.pid}, which takes it down")
        return [*lines, f"containers' cgroups: version {cgroups.version()}"]

    def _clear(self) -> None:
        if self.layout.run.exists():
            say("removing what the last run has left")
        leftovers.remove(self.layout)
