"""Figures of this container's cgroup, in both versions of cgroups: OOM kills, the limit of processes, files in memory.

A SIGKILL does not name its sender: only the kernel's count distinguishes an OOM kill from a user's ``kill -9``. A fork that
the limit of processes refuses looks like any lack of resources.

A container may see its own cgroup as the root of the hierarchy (a cgroup namespace, or only its own part mounted) or
under the path of the host's; and a cgroup of version 2 has the files of a controller only if its parent enabled that.
So a figure is read from the nearest cgroup that has it, from this process's own upwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path("/")


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Figures at one moment. None where the kernel does not have them."""

    oom_kills: int | None = None
    """Processes that the OOM killer has ended in the cgroup and below it; without a cgroup, on the machine."""
    oom_kills_are_own: bool = False
    """True if that count is a cgroup's, False if it is the machine's."""
    process_limit: int | None = None
    """Lowest limit of processes and threads that can be seen. A pod's is not visible inside its containers."""
    refused_forks: int | None = None
    """Forks that a limit of processes has refused. Linux 6.11 and later count those of a pod's limit out of sight."""
    file_bytes: int | None = None
    """Memory of files that are in memory only: tmpfs, /dev/shm, memfd, shared anonymous mappings."""


def read_figures(root: Path = ROOT) -> Figures:
    """Read the figures of this process's cgroup; `root` is where the file system begins."""
    memory = _Controller(root, "memory")
    pids = _Controller(root, "pids")
    kills = memory.figure("memory.events", "memory.oom_control", key="oom_kill")
    limits = list(pids.numbers("pids.max"))
    return Figures(
        oom_kills=_figure(root / "proc/vmstat", "oom_kill") if kills is None else kills,
        oom_kills_are_own=kills is not None,
        process_limit=min(limits, default=None),
        refused_forks=pids.figure("pids.events", "pids.events", key="max"),
        file_bytes=memory.figure("memory.stat", "memory.stat", key="shmem", key_1="total_shmem"),
    )


class _Controller:
    """A controller's hierarchy, as this process sees it."""

    def __init__(self, root: Path, name: str) -> None:
        self._groups: list[tuple[Path, int]] = []
        hierarchies = root / "sys/fs/cgroup"
        for controllers, group in _groups(root):
            if controllers == "":
                self._groups += [(folder, 2) for folder in _upwards(hierarchies, group)]
            elif name in controllers.split(","):
                self._groups += [(folder, 1) for folder in _upwards(hierarchies / name, group)]

    def figure(self, file: str, file_1: str, *, key: str, key_1: str | None = None) -> int | None:
        """Return the figure of the nearest cgroup that has it; `file_1` and `key_1` are its names in version 1."""
        for folder, version in self._groups:
            value = (
                _figure(folder / file, key)
                if version == 2
                else _figure(folder / file_1, key_1 or key)
            )
            if value is not None:
                return value
        return None

    def numbers(self, file: str) -> Iterator[int]:
        """Yield the numbers in a file of each cgroup that has it; "max" is none."""
        for folder, _ in self._groups:
            text = _read(folder / file).strip()
            if text.isdigit():
                yield int(text)


def _groups(root: Path) -> list[tuple[str, str]]:
    """Return the controllers and the path of each hierarchy; version 2 lists no controllers."""
    fields = [line.split(":", 2) for line in _read(root / "proc/self/cgroup").splitlines()]
    return [(field[1], field[2]) for field in fields if len(field) == 3]


def _upwards(hierarchy: Path, group: str) -> list[Path]:
    """Return the folders of a cgroup and of those above it."""
    path = PurePosixPath(group.lstrip("/"))
    if ".." in path.parts:
        # A cgroup outside of the namespace that the hierarchy was mounted in can't be seen.
        return [hierarchy]
    return [hierarchy / folder for folder in (path, *path.parents)]


def _figure(path: Path, key: str) -> int | None:
    for line in _read(path).splitlines():
        name, _, value = line.partition(" ")
        if name == key and value.strip().isdigit():
            return int(value)
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
