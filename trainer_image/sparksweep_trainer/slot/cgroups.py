"""Count of processes that the kernel's OOM killer has ended, in both versions of cgroups.

A SIGKILL does not name its sender: only this count distinguishes an OOM kill from a user's ``kill -9``.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/")


def oom_kills(root: Path = ROOT) -> int | None:
    """Count OOM kills so far in this process's memory cgroup and below it; None if the kernel does not count them.

    Without a memory cgroup (a laptop's session) the count is the machine's.
    """
    for path, name in _counters(root):
        count = _count(path, name)
        if count is not None:
            return count
    return None


def _counters(root: Path) -> list[tuple[Path, str]]:
    """List files that may hold the counter, each with the counter's name, the most specific first."""
    hierarchies = root / "sys/fs/cgroup"
    candidates = []
    for controllers, group in _groups(root):
        # In a container the path may be the host's, while its own group is what is mounted.
        groups = [group.lstrip("/"), ""]
        if controllers == "":
            candidates += [(hierarchies / name / "memory.events", "oom_kill") for name in groups]
        elif "memory" in controllers.split(","):
            candidates += [
                (hierarchies / "memory" / name / "memory.oom_control", "oom_kill")
                for name in groups
            ]
    candidates.append((root / "proc/vmstat", "oom_kill"))
    return candidates


def _groups(root: Path) -> list[tuple[str, str]]:
    """Return the controllers and the path of each hierarchy; version 2 lists no controllers."""
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
