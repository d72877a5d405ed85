"""Processes below this one: ties to a parent, descendants as /proc shows them, and a kill that leaves none of them.

Used by the fork server and by trials; the slot builds `slot.process_table` on it. Standard library only: the fork
server imports nothing that a trial would then find imported.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_FREEZE_ROUNDS = 1000
_HELPERS = (
    b"multiprocessing.resource_tracker",
    b"multiprocessing.forkserver",
    b"loky.backend.resource_tracker",
)
"""Parts of the command lines of processes that end by themselves, a moment after the process that used them."""

_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, argument: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def become_subreaper() -> None:
    """Make this process the parent of its descendants' orphans, whatever session they are in."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; `parent` is the pid it had when it was forked."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def wake_with_parent() -> None:
    """Undo `die_with_parent`; have the kernel resume this process when its parent ends, should it be stopped then."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGCONT)


def is_stopped(pid: int) -> bool:
    """Return True if a signal has stopped a process; one that a debugger holds is not."""
    return _stat_fields(pid)[:1] == [b"T"]


def read_proc(path: str) -> bytes:
    """Read a file of /proc; empty if its process is gone or belongs to another user."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 1 << 17)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def read_whole_proc(path: str) -> bytes:
    """Read a file of /proc that the kernel hands out a page at a time; empty as for `read_proc`."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.readall()
    except OSError:
        return b""


def process_ids() -> list[int]:
    """Return the pid of every process in this container, or on this machine."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def parents() -> dict[int, int]:
    """Map the pid of every process, zombies included, to its parent's."""
    parent_of: dict[int, int] = {}
    for pid in process_ids():
        fields = _stat_fields(pid)
        if len(fields) > 1:
            parent_of[pid] = int(fields[1])
    return parent_of


def parent_of(pid: int) -> int:
    """Return the pid of a process's parent; 0 if there is none."""
    fields = _stat_fields(pid)
    return int(fields[1]) if len(fields) > 1 else 0


def _stat_fields(pid: int) -> list[bytes]:
    """Return what /proc says of a process after its name: the state, the parent's pid and more; nothing if it is gone."""
    # The name, in brackets, may hold anything, brackets too: what follows the last one is numbers.
    return read_proc(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def descendants(ancestor: int) -> dict[int, int]:
    """Map the pid of each descendant of `ancestor`, zombies included, to its parent's."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents().items():
        children.setdefault(parent, []).append(pid)
    parent_of: dict[int, int] = {}
    unvisited = [ancestor]
    while unvisited:
        parent = unvisited.pop()
        for pid in children.get(parent, ()):
            if pid not in parent_of:
                parent_of[pid] = parent
                unvisited.append(pid)
    return parent_of


def living_names(pids: Iterable[int]) -> list[str]:
    """Return the names of those processes that have not ended, without multiprocessing's own helpers."""
    names: list[str] = []
    for pid in sorted(pids):
        before, _, after = read_proc(f"/proc/{pid}/stat").rpartition(b")")
        if not after or after.split()[:1] in ([b"Z"], [b"X"]):
            continue
        arguments = read_proc(f"/proc/{pid}/cmdline")
        if not any(helper in arguments for helper in _HELPERS):
            names.append(before.partition(b"(")[2].decode(errors="replace"))
    return names


def send_signal(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each process that still exists."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _freeze_descendants(ancestor: int) -> set[int]:
    """Stop all descendants, including those that are forked meanwhile."""
    frozen: set[int] = set()
    for _ in range(_FREEZE_ROUNDS):
        new = descendants(ancestor).keys() - frozen
        if not new:
            break
        send_signal(new, signal.SIGSTOP)
        frozen |= new
        _freeze_orphans(ancestor, frozen)
    return frozen


def _freeze_orphans(subreaper: int, frozen: set[int]) -> None:
    """Stop the subreaper's own children, and add them to `frozen`.

    A process that forks and exits again and again has another pid by the time all of /proc has been read. As an orphan
    it becomes a child of the subreaper, and the kernel lists one process's children in no time.
    """
    for _ in range(_FREEZE_ROUNDS):
        children = read_proc(f"/proc/{subreaper}/task/{subreaper}/children").split()
        new = {int(pid) for pid in children} - frozen
        if not new:
            return
        send_signal(new, signal.SIGSTOP)
        frozen |= new


def reap_children() -> bool:
    """Reap children that have ended; False if this process has no child left."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True


def kill_descendants() -> None:
    """Kill and reap every descendant of this process, which must be a subreaper.

    Having no child left is proof: an orphan of any descendant would be one. All are stopped before any is killed,
    because a fork bomb forks faster than its processes can be killed.
    """
    pause_s = 0.0005
    while reap_children():
        send_signal(_freeze_descendants(os.getpid()), signal.SIGKILL)
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, 0.05)
