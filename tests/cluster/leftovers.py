"""Removal of a cluster: at its end, or after a killed run in any state."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from cluster import cgroups, network
from cluster.layout import Layout, Node
from cluster.processes import Processes, kill, marked
from cluster.shell import ClusterError, succeeds

MOUNTS = Path("/proc/mounts")


def remove(layout: Layout, *, images: bool = False) -> None:
    """Remove the cluster's processes, namespaces, mounts, cgroups, routes and files.

    Args:
        images: Also those loaded on nodes, which the next cluster would find there.

    Raises:
        ClusterError: Something is mounted in our folders that cannot be unmounted; nothing was deleted then.
    """
    # Before the containers, or it would start them again.
    _kill_parts(layout)
    for node in nodes_with_cgroups(layout):
        cgroups.kill_containers(node)
    unmount((layout.run, layout.data))
    network.remove(layout)
    cgroups.remove(layout)
    shutil.rmtree(layout.run, ignore_errors=True)
    if images:
        shutil.rmtree(layout.data, ignore_errors=True)
    for data in layout.data.glob("node*"):
        for folder in (data / "kubelet", data / "pod-logs"):
            shutil.rmtree(folder, ignore_errors=True)


def nodes_with_cgroups(layout: Layout) -> list[Node]:
    """Return the nodes that have left cgroups on this machine."""
    names = {
        path.name
        for root in cgroups.hierarchies(cgroups.MOUNTS.read_text())
        for path in root.glob(f"{layout.node_prefix}[0-9]*")
    }
    return [Node(int(name.removeprefix(layout.node_prefix)), layout) for name in sorted(names)]


def unmount(folders: Sequence[Path]) -> None:
    """Unmount everything below the folders.

    Raises:
        ClusterError: Something is still mounted.
    """
    for place in mounted(MOUNTS.read_text(), folders):
        succeeds("umount", "--lazy", place)
    left = mounted(MOUNTS.read_text(), folders)
    if left:
        raise ClusterError(f"cannot unmount {', '.join(map(str, left))}")


def mounted(mounts: str, folders: Sequence[Path]) -> list[Path]:
    """Return the mount points below the folders, from the text of /proc/mounts; the innermost first."""
    places = [Path(_unescaped(line.split()[1])) for line in mounts.splitlines()]
    below = [place for place in places if any(folder in place.parents for folder in folders)]
    return sorted(below, reverse=True)


def _kill_parts(layout: Layout) -> None:
    recorded = [part.pid for part in Processes(layout).all() if part.alive]
    kill(recorded)
    # Those without a record, and containers' shims; a few may have been started meanwhile.
    for _ in range(5):
        found = marked(layout.run)
        if not found:
            return
        kill(found)


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), field)
