"""Long-lived processes of the cluster: started in the background, recorded, found by later processes, and ended.

A record holds the process's start time and its id, so that after a crash no stranger with a reused id is signalled.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cluster.layout import Layout
from cluster.shell import ClusterError, wait_until

MARKER = "TEST_CLUSTER_OF_SPARKSWEEP"
"""An environment variable that all of a cluster's processes carry: its value is the cluster's run folder.

Its name differs from the beginning of the trainer's marks of trials, whose processes are killed by their mark."""

_LAUNCH = 'log=$1; shift; setsid "$@" >>"$log" 2>&1 </dev/null & echo $!'


@dataclass(frozen=True)
class Part:
    """Record of a process."""

    name: str
    command: tuple[str, ...]
    pid: int
    started: int
    """Start of the process, in the kernel's ticks since the machine's start."""

    wanted: bool = True
    """False after it was killed on purpose."""

    @property
    def alive(self) -> bool:
        return started(self.pid) == self.started


class Processes:
    """Processes of one cluster, by name."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def start(self, name: str, command: Sequence[str | Path]) -> None:
        """Start a process that outlives this one, unless it is alive. Its output is appended to ``log/NAME``."""
        if self.alive(name):
            return
        self.layout.parts.mkdir(parents=True, exist_ok=True)
        self.layout.logs.mkdir(parents=True, exist_ok=True)
        words = tuple(str(word) for word in command)
        # A shell in between: this process is not the parent, so that no zombie is left.
        launched = subprocess.run(
            ["/bin/sh", "-c", _LAUNCH, "sh", str(self.log(name)), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            cwd="/",
            env=self.environment(),
            check=True,
            timeout=30,
        )
        pid = int(launched.stdout)
        began = started(pid)
        if began is None:
            raise ClusterError(f"{name} ended at once: {self.tail(name)}")
        self._write(Part(name, words, pid, began))

    def start_again(self, name: str) -> None:
        """Start a process with its recorded command."""
        self.start(name, self.part(name).command)

    def stop(self, name: str, *, on_purpose: bool = False) -> None:
        """Kill a process with SIGKILL and wait for its end; a stopped or dead one is no error."""
        part = self.part(name)
        if part.alive:
            os.kill(part.pid, signal.SIGKILL)
            wait_until(lambda: not part.alive, f"{name} is dead", 10, 0.02)
        if on_purpose:
            self._write(Part(name, part.command, part.pid, part.started, wanted=False))

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a living process.

        Raises:
            ClusterError: There is none of this name, or it is dead.
        """
        part = self.part(name)
        if not part.alive:
            raise ClusterError(f"{name} is not running")
        os.kill(part.pid, number)

    def alive(self, name: str) -> bool:
        return any(part.alive for part in self.all() if part.name == name)

    def part(self, name: str) -> Part:
        """Return the record of a process.

        Raises:
            ClusterError: None of this name was ever started; the text lists those that were.
        """
        parts = {part.name: part for part in self.all()}
        if name not in parts:
            raise ClusterError(f"there is no part {name}; there are: {', '.join(parts) or 'none'}")
        return parts[name]

    def all(self) -> list[Part]:
        """Return every process that was started, by name; skip a record cut short by a crash."""
        found = []
        for path in sorted(self.layout.parts.glob("*.json")):
            try:
                fields = json.loads(path.read_text())
                found.append(Part(**{**fields, "command": tuple(fields["command"])}))
            except (ValueError, TypeError, KeyError):
                continue
        return found

    def log(self, name: str) -> Path:
        return self.layout.logs / name

    def tail(self, name: str) -> str:
        """Return the end of a process's output."""
        path = self.log(name)
        text = path.read_text(errors="replace") if path.exists() else ""
        return text[-1500:].strip() or "it said nothing"

    def environment(self) -> dict[str, str]:
        """Return the environment of the processes: nothing of the caller's, so that no proxy and no setting gets in."""
        system = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
        return {"PATH": f"{self.layout.bin}:{system}", MARKER: str(self.layout.run)}

    def _write(self, part: Part) -> None:
        path = self.layout.parts / f"{part.name}.json"
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(part)))
        new.replace(path)


def started(pid: int) -> int | None:
    """Return the start of a process, in ticks since the machine's start; None if it is dead or a zombie.

    The first process of a container or small machine may not reap: what was killed stays a zombie there, and still
    takes signals.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return parse_stat(stat)


def parse_stat(stat: str) -> int | None:
    """Return the start time in a line of /proc/PID/stat; None for a zombie.

    The program's name, in brackets, may hold spaces and brackets itself.
    """
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


def marked(run: Path) -> list[int]:
    """Return the processes that carry a cluster's mark, recorded or not."""
    mark = f"{MARKER}={run}".encode()
    return [pid for pid in _pids() if mark in _read(pid, "environ") and started(pid) is not None]


def shims(socket: Path) -> list[int]:
    """Return the processes that hold containers for the containerd at a socket, and outlive it."""
    address = str(socket).encode()
    commands = {pid: _read(pid, "cmdline") for pid in _pids()}
    return [
        pid
        for pid, (program, *words) in ((pid, words) for pid, words in commands.items() if words)
        if program.endswith(b"containerd-shim-runc-v2") and address in words
    ]


def kill(pids: Sequence[int]) -> None:
    """Kill processes, and wait until they are gone."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    wait_until(
        lambda: all(started(pid) is None for pid in pids), f"processes {pids} are dead", 20, 0.02
    )


def _pids() -> list[int]:
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and int(entry.name) != os.getpid()
    ]


def _read(pid: int, name: str) -> Sequence[bytes]:
    """Return the words of a null-terminated file; none if the process is gone."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes().split(b"\0")
    except OSError:
        return ()


def described(pid: int) -> Mapping[str, str]:
    """Return a readable description of a process, for messages about foreign ones."""
    command = b" ".join(_read(pid, "cmdline")).decode(errors="replace").strip()
    return {"pid": str(pid), "command": command[:120] or "ended"}
