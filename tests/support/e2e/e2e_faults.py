"""Faults made on this machine: the rig's nodes run in its processes, so a pod's processes can be killed directly."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any


def processes_of(pod: dict[str, Any]) -> list[int]:
    """Return the processes of a pod's containers, without the one that holds its network."""
    uid = pod["metadata"]["uid"]
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            in_pod = f"pod{uid}" in (entry / "cgroup").read_text()
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if in_pod and not command.startswith(b"/pause"):
            found.append(int(entry.name))
    return found


def kill_pod(pod: dict[str, Any]) -> None:
    """Send SIGKILL to all processes of the pod's containers, as after a crash or out of memory."""
    victims = processes_of(pod)
    assert victims, f"{pod['metadata']['name']} has no process on this machine"
    for pid in victims:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
