"""The kernel's own count of processes it killed for want of memory, in both layouts of cgroups.

A SIGKILL says nothing about its sender: only this count tells an OOM kill from somebody's ``kill -9``.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/")


def oom_kills(root: Path = ROOT) -> int | None:
    """OOM kills so far in this process's memory cgroup and below it; None where the kernel doesn't tell.

    Without a memory cgroup (a laptop's session) it is the machine's count.
    """
    for path, name in _counters(root):
        count = _count(path, name)
        if count is not None:
            return count
    return None


def _counters(root: Path) -> list[tuple[Path, str]]:
    """Files to look into with the counter's name, the most specific first."""
    hierarchies = root / "sys/fs/cgroup"
    found = []
    for controllers, group in _groups(root):
        # In a container the path may be the host's, while its own group is what is mounted.
        places = [group.lstrip("/"), ""]
        if controllers == "":
            found += [(hierarchies / place / "memory.events", "oom_kill") for place in places]
        elif "memory" in controllers.split(","):
            found += [
                (hierarchies / "memory" / place / "memory.oom_control", "oom_kill")
                for place in places
            ]
    found.append((root / "proc/vmstat", "oom_kill"))
    return found


def _groups(root: Path) -> list[tuple[str, str]]:
    """Controllers and path of each hierarchy; version 2 has no controllers there."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    fields = [line.split(":", 2) for line in lines]
    return [(field[1], field[2]) for field in fields if len(field) == 3]


def _count(path: Path, name: str) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdigit():
            return int(value)
    return None
