"""Record of a cluster for later processes: whether it is complete, its programs, and its owner."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cluster.layout import Layout
from cluster.processes import Processes, described, started
from cluster.shell import ClusterError, say

BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Owner:
    """A process that removes the cluster when it ends."""

    pid: int
    started: int | None

    @classmethod
    def this_process(cls) -> Owner:
        return cls(os.getpid(), started(os.getpid()))

    @property
    def alive(self) -> bool:
        return self.started is not None and started(self.pid) == self.started


@dataclass(frozen=True)
class State:
    """State of a complete cluster."""

    bin: str
    """Folder of its programs."""

    boot: str
    """The kernel's identifier of the time since the machine's start."""

    owner: Owner | None = None
    """Owner of the cluster; None if it stays until it is removed by hand."""


def write(layout: Layout, owner: Owner | None) -> None:
    """Record that the cluster is complete."""
    new = layout.run / "state.new"
    new.write_text(json.dumps(asdict(State(str(layout.bin), BOOT.read_text().strip(), owner))))
    new.replace(_path(layout))


def read(layout: Layout) -> State | None:
    """Return the state; None if there is no cluster, or an incomplete one."""
    try:
        fields: dict[str, Any] = json.loads(_path(layout).read_text())
        owner = fields.pop("owner")
        return State(**fields, owner=None if owner is None else Owner(**owner))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def forget(layout: Layout) -> None:
    """Mark the cluster as incomplete, until the state is written again."""
    _path(layout).unlink(missing_ok=True)


def is_sound(layout: Layout) -> bool:
    """Return True if there is a complete cluster of these programs, whose owner lives and whose processes all run.

    One that was killed on purpose, by a command of ours, is not missed.
    """
    state = read(layout)
    return (
        state is not None
        and state.bin == str(layout.bin)
        and state.boot == BOOT.read_text().strip()
        and (state.owner is None or state.owner.alive)
        and all(part.alive for part in Processes(layout).all() if part.wanted)
    )


@contextmanager
def lock(layout: Layout, patience_s: float) -> Iterator[None]:
    """Hold the cluster exclusively. The kernel releases the lock when the process ends, for any reason.

    Raises:
        ClusterError: Another process has it for longer than that; the text says which.
    """
    layout.lock.parent.mkdir(parents=True, exist_ok=True)
    with layout.lock.open("a+") as file:
        _wait_for(file.fileno(), layout.lock, patience_s)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _wait_for(descriptor: int, path: Path, patience_s: float) -> None:
    end = time.monotonic() + patience_s
    said = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(path)
            if time.monotonic() > end:
                hint = "to share it all the same, set SPARKSWEEP_TEST_KUBECONFIG"
                raise ClusterError(f"the cluster is in use by {holder}; {hint}") from None
            if not said:
                say(f"waiting for the cluster: it is in use by {holder}")
                said = True
            time.sleep(0.2)
        else:
            return


def _holder(path: Path) -> str:
    text = path.read_text().strip()
    if not text.isdigit():
        return "another process"
    process = described(int(text))
    return f"process {process['pid']} ({process['command']})"


def _path(layout: Layout) -> Path:
    return layout.run / "state.json"
