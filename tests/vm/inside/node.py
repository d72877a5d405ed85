"""Makes this machine a node: disks, network, cgroups, files, and programs that stay.

Reads `Plan`'s fields as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vm.inside.container import CGROUPS

LOGS = Path("/run/log")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Parts of the node."""

    data: str
    """Folder on which the disk with containerd's images is mounted."""
    address: str
    """Address of this machine, with the length of its network."""
    routes: Sequence[Sequence[str]]
    """Arguments of ``ip route add``."""
    cgroup: str
    """Name of the cgroup of all pods."""
    files: dict[str, str]
    """Texts of files by their paths."""
    socket: str
    """Socket of containerd, which the other programs need."""
    programs: dict[str, Sequence[str]]
    """Command lines by name, in the order in which they are started; containerd's is the first one."""
    path: str
    """PATH of the programs."""


def set_up(plan: Plan) -> None:
    """Make the node, up to the start of its programs."""
    _run("mount", "-o", "remount,rw", "/")
    _run("mount", "-t", "tmpfs", "tmpfs", "/var")
    Path(plan.data).mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "ext4", "/dev/vde", plan.data)
    _run("mount", "--make-rshared", "/")
    _run("ip", "address", "add", plan.address, "dev", "eth0")
    _run("ip", "link", "set", "eth0", "up")
    for route in plan.routes:
        _run("ip", "route", "add", *route)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    controllers = (CGROUPS / "cgroup.controllers").read_text().split()
    wanted = " ".join(f"+{name}" for name in controllers)
    (CGROUPS / "cgroup.subtree_control").write_text(wanted)
    (CGROUPS / plan.cgroup).mkdir()
    for path, text in plan.files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
    LOGS.mkdir()
    for name, command in plan.programs.items():
        start(name, command, plan.path)
        while not Path(plan.socket).exists():
            time.sleep(0.1)


def start(name: str, command: Sequence[str], path: str) -> None:
    """Start a program that outlives this one, in a cgroup of its own.

    As a service would be: in the root, where there is no memory.swap.max, kubelet and containerd limit no swap.
    """
    cgroup = CGROUPS / f"system-{name}"
    cgroup.mkdir()
    with (LOGS / name).open("ab") as log:
        process = subprocess.Popen(
            ["sh", "-c", f'echo $$ >{cgroup}/cgroup.procs; exec "$@"', "sh", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={"PATH": path, "HOME": "/var"},
        )
    (LOGS / f"{name}.pid").write_text(str(process.pid))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


if __name__ == "__main__":
    set_up(Plan(**json.load(sys.stdin)))
    sys.stdout.write(json.dumps({"processes": os.cpu_count()}) + "\n")
