"""What a cluster's maker leaves for the next: whether it was finished, of which programs, and for whom it is there."""

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
    """A process that takes the cluster down when it ends."""

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
    """Of a cluster that came up."""

    bin: str
    """The folder of its programs."""

    boot: str
    """The kernel's name for the time since the machine's start."""

    owner: Owner | None = None
    """None: it stays until somebody takes it down."""


def write(layout: Layout, owner: Owner | None) -> None:
    """Note that the cluster is complete."""
    new = layout.run / "state.new"
    new.write_text(json.dumps(asdict(State(str(layout.bin), BOOT.read_text().strip(), owner))))
    new.replace(_path(layout))


def read(layout: Layout) -> State | None:
    """The state; None when there is no cluster, or one that was never complete."""
    try:
        fields: dict[str, Any] = json.loads(_path(layout).read_text())
        owner = fields.pop("owner")
        return State(**fields, owner=None if owner is None else Owner(**owner))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def forget(layout: Layout) -> None:
    """From now on the cluster is incomplete, until it is written again."""
    _path(layout).unlink(missing_ok=True)


def is_sound(layout: Layout) -> bool:
    """Whether there is a complete cluster of these programs, whose owner lives and whose processes all run.

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
    """Have the cluster for oneself. The kernel gives it back when the process ends, however it does.

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
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(path)
            if time.monotonic() > end:
                hint = "to share it all the same, set SPARKSWEEP_TEST_KUBECONFIG"
                raise ClusterError(f"the cluster is in use by {holder}; {hint}") from None
            if not told:
                say(f"waiting for the cluster: it is in use by {holder}")
                told = True
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
