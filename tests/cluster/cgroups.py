"""Cgroups of the nodes. Each node has a tree of its own: a kubelet kills every unknown process in its tree."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from cluster.layout import Layout, Node
from cluster.processes import kill

MOUNTS = Path("/proc/mounts")


def hierarchies(mounts: str) -> list[Path]:
    """Return the mount points of cgroups, from the text of /proc/mounts.

    Version 1 has one mount for each controller, version 2 one for all, and the hybrid layout those of version 1 and
    one of version 2 without controllers, in which runc leaves a trace, too.
    """
    lines = (line.split() for line in mounts.splitlines())
    return [Path(where) for _, where, kind, *_ in lines if kind in ("cgroup", "cgroup2")]


def roots(mounts: str) -> list[Path]:
    """Return the hierarchies that have controllers."""
    lines = (line.split() for line in mounts.splitlines())
    return [
        Path(where)
        for _, where, kind, *_ in lines
        if kind == "cgroup" or (kind == "cgroup2" and where == "/sys/fs/cgroup")
    ]


def version(mounts: str | None = None) -> int:
    """Return the cgroup version of containers on this machine, 1 or 2."""
    lines = (MOUNTS.read_text() if mounts is None else mounts).splitlines()
    return 2 if any(line.split()[1:3] == ["/sys/fs/cgroup", "cgroup2"] for line in lines) else 1


def create(node: Node) -> None:
    """Create a node's tree under each controller."""
    for root in roots(MOUNTS.read_text()):
        (root / node.namespace).mkdir(exist_ok=True)


def kill_containers(node: Node) -> None:
    """Kill every process in a node's tree, recorded or not."""
    end = time.monotonic() + 20
    while (pids := sorted(_pids(node))) and time.monotonic() < end:
        kill(pids)


def remove(layout: Layout) -> None:
    """Remove all nodes' trees, which have no processes left."""
    for root in hierarchies(MOUNTS.read_text()):
        for tree in root.glob(f"{layout.node_prefix}[0-9]*"):
            for folder in [*sorted(_folders(tree), reverse=True), tree]:
                _remove_folder(folder)


def _remove_folder(folder: Path) -> None:
    # A group whose last process has just died is busy for a moment.
    for _ in range(50):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.02)
        else:
            return


def _folders(tree: Path) -> Iterator[Path]:
    return (path for path in tree.rglob("*/") if path.is_dir())


def _pids(node: Node) -> set[int]:
    found: set[int] = set()
    for root in hierarchies(MOUNTS.read_text()):
        tree = root / node.namespace
        for processes in [tree / "cgroup.procs", *tree.rglob("cgroup.procs")]:
            try:
                found.update(int(pid) for pid in processes.read_text().split())
            except OSError:
                continue
    return found
