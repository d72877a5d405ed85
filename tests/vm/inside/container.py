"""Containers as a kubelet and runc make them on a node with cgroup v2: limits, namespaces, mounts and rights."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

USER = 10001
CGROUPS = Path("/sys/fs/cgroup")
PODS = "kubepods"
"""Cgroup of the pods, each of which has its limit of processes; a container's is below it."""
_CONTROLLERS = "+cpu +memory +pids"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a container's cgroup, and of its pod's."""

    memory: int | None = None
    """Bytes: memory.max."""
    oom_group: bool = False
    """memory.oom.group: the kernel kills all processes of the container, not one."""
    swap: int = 0
    """Bytes: memory.swap.max."""
    pod_pids: int | None = None
    """pids.max of the pod, as with the kubelet's podPidsLimit."""
    pids: int | None = None
    """pids.max of the container, as with a runtime's own limit."""
    cpu: float | None = None
    """Processors: cpu.max, with a period of 100 ms."""
    cgroup_namespace: bool = True
    tmp_in_memory: bool = True
    """True if /tmp is an emptyDir with medium Memory, False if it is a disk's folder."""
    variables: Mapping[str, str] = field(default_factory=dict)


def config(name: str, limits: Limits, command: Sequence[str]) -> dict[str, Any]:
    """Return runc's configuration of a container."""
    resources: dict[str, Any] = {"unified": {"memory.oom.group": str(int(limits.oom_group))}}
    if limits.memory is not None:
        # Memory and swap together, as in version 1.
        resources["memory"] = {"limit": limits.memory, "swap": limits.memory + limits.swap}
    if limits.pids is not None:
        resources["pids"] = {"limit": limits.pids}
    if limits.cpu is not None:
        resources["cpu"] = {"quota": int(limits.cpu * 100_000), "period": 100_000}
    namespaces = ["pid", "mount", "ipc", "uts"] + ["cgroup"] * limits.cgroup_namespace
    variables = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "PYTHONPATH": "/code", **limits.variables}
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": USER, "gid": USER},
            "args": list(command),
            "env": [f"{key}={value}" for key, value in variables.items()],
            "cwd": "/tmp",
            "capabilities": {},
            "noNewPrivileges": True,
            "oomScoreAdj": 500,
        },
        "root": {"path": "/run/rootfs", "readonly": True},
        "hostname": name,
        "mounts": _mounts(limits),
        "linux": {
            "cgroupsPath": f"/{PODS}/pod-{name}/{name}",
            "namespaces": [{"type": kind} for kind in namespaces],
            "resources": resources,
            "readonlyPaths": ["/proc/sys", "/proc/sysrq-trigger"],
        },
    }


def _mounts(limits: Limits) -> list[dict[str, Any]]:
    def mount(where: str, kind: str, source: str, *options: str) -> dict[str, Any]:
        return {"destination": where, "type": kind, "source": source, "options": list(options)}

    temporary = (
        mount("/tmp", "tmpfs", "tmpfs", "mode=1777")
        if limits.tmp_in_memory
        else mount("/tmp", "bind", "/run/scratch", "bind")
    )
    return [
        mount("/proc", "proc", "proc"),
        mount("/dev", "tmpfs", "tmpfs", "nosuid", "mode=755", "size=65536k"),
        mount("/dev/shm", "tmpfs", "shm", "nosuid", "nodev", "mode=1777", "size=65536k"),
        mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro"),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro"),
        mount("/code", "bind", "/code", "bind", "ro"),
        temporary,
    ]


def prepare(name: str, limits: Limits) -> Path:
    """Make the root file system, and the pod's cgroup with the controllers for what is below it; return the cgroup."""
    root = Path("/run/rootfs")
    if not root.exists():
        root.mkdir()
        subprocess.run(["mount", "-o", "bind", "/", root], check=True)
    folder = CGROUPS
    for part in ("", PODS, f"pod-{name}"):
        folder /= part
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.subtree_control").write_text(_CONTROLLERS)
    (folder / "pids.max").write_text("max" if limits.pod_pids is None else str(limits.pod_pids))
    return folder


class Container:
    """A container that runs a command."""

    def __init__(self, name: str, limits: Limits, command: Sequence[str]) -> None:
        self.pod = prepare(name, limits)
        """The pod's cgroup. That of the container, and its counters, runc removes at the end."""
        self.cgroup = self.pod / name
        self._name = name
        bundle = Path("/run/bundles") / name
        bundle.mkdir(parents=True)
        (bundle / "config.json").write_text(json.dumps(config(name, limits, command)))
        self._log = (bundle / "log").open("w+b")
        self._process = subprocess.Popen(
            ["runc", "run", "--bundle", bundle, name],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, "TMPDIR": "/run"},
        )

    def poll(self) -> int | None:
        """Return the exit code of the container's first process as a shell would; None while it runs."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> int:
        """Wait for the end, which is forced once the time is over; return the exit code."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            subprocess.run(["runc", "delete", "--force", self._name], check=False)
            return self._process.wait()

    @property
    def output(self) -> str:
        """Everything that was printed in the container."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")


def read_figures(path: Path) -> dict[str, int]:
    """Return a cgroup's file of lines with a name and a number; empty if it is not there."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    return {name: int(value) for name, value in (line.split() for line in lines)}
