"""Processes as the kernel shows them: who descends from whom, how much memory they hold, and their certain end.

Used by the fork server and by the slot. Standard library only: the fork server imports nothing that a trial would
then find imported.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Collection, Iterable
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_KIB = 1024
_FREEZE_ROUNDS = 1000

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


def live_without_parent() -> None:
    """Take `die_with_parent` back."""
    _prctl(_PR_SET_PDEATHSIG, 0)


def signal_name(number: int) -> str:
    """SIGSEGV for 11; "signal 40" for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _read(path: str) -> bytes:
    """A file of /proc; nothing when its process is gone or not ours to look at."""
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


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def descendants(ancestor: int) -> dict[int, int]:
    """Each process that descends from `ancestor`, zombies included, with its parent."""
    children: dict[int, list[int]] = {}
    for pid in _pids():
        # The name, in brackets, may hold anything, brackets too: what follows the last one is numbers.
        fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        if len(fields) > 1:
            children.setdefault(int(fields[1]), []).append(pid)
    found: dict[int, int] = {}
    waiting = [ancestor]
    while waiting:
        parent = waiting.pop()
        for pid in children.get(parent, ()):
            if pid not in found:
                found[pid] = parent
                waiting.append(pid)
    return found


def all_but(processes: Collection[int]) -> dict[int, int]:
    """Every other process of this container, or machine, with its parent."""
    found: dict[int, int] = {}
    for pid in _pids():
        fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        if len(fields) > 1 and pid not in processes:
            found[pid] = int(fields[1])
    return found


def _kib(text: bytes, *names: bytes) -> tuple[int, ...] | None:
    """The KiB after each of the names in a file of `Name:  value kB` lines; None when one is missing."""
    values = dict(line.split(b":", 1) for line in text.splitlines() if b":" in line)
    try:
        return tuple(int(values[name].split()[0]) for name in names)
    except KeyError:
        return None


def _waits_for_vfork(parent: int) -> bool:
    """Whether a process seems to wait for a child to execute a program: it sleeps and nothing but a kill wakes it.

    Between vfork and exec the child has its parent's memory, and shows it as its own. That the figures are the same
    does not tell: a forked child may have allocated just as much as its parent did.
    """
    try:
        threads = os.listdir(f"/proc/{parent}/task")
    except OSError:
        return False
    states = (_read(f"/proc/{parent}/task/{thread}/stat").rpartition(b")")[2] for thread in threads)
    return any(state.split()[:1] == [b"D"] for state in states)


def held_bytes(processes: dict[int, int]) -> int:
    """Memory that the processes hold and the kernel can't take back: anonymous and shared, pages of files not.

    Cheap, and never too little: pages that processes share since a fork count once for each. `processes` maps each
    to its parent.
    """
    figures = {
        pid: _kib(_read(f"/proc/{pid}/status"), b"VmSize", b"RssAnon", b"RssShmem", b"RssFile")
        for pid in processes
    }
    return _KIB * sum(
        figure[1] + figure[2]
        for pid, figure in figures.items()
        if figure is not None
        and not (figure == figures.get(processes[pid]) and _waits_for_vfork(processes[pid]))
    )


def exactly_held_bytes(processes: dict[int, int]) -> int:
    """The same with shared pages divided among those who share them, outsiders included. Walks page tables: slow.

    A process whose map can't be read counts as in `held_bytes`.
    """
    total = 0
    unreadable: dict[int, int] = {}
    sizes = {pid: _kib(_read(f"/proc/{pid}/status"), b"VmSize", b"RssAnon") for pid in processes}
    for pid, parent in processes.items():
        if sizes[pid] is None:
            continue
        if sizes[pid] == sizes.get(parent) and _waits_for_vfork(parent):
            continue
        held = _kib(_read(f"/proc/{pid}/smaps_rollup"), b"Pss_Anon", b"Pss_Shmem")
        if held is None:
            unreadable[pid] = parent
        else:
            total += _KIB * sum(held)
    return total + held_bytes(unreadable)


def send_signal(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each process that still is."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _freeze_descendants(ancestor: int) -> set[int]:
    """Stop all descendants, those too that they fork meanwhile."""
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
    """Stop the subreaper's own children, and note them in `frozen`.

    A process that forks and ends, again and again, is another one by the time all of /proc has been read. As an orphan
    it comes to the subreaper, and the kernel lists one process's children in no time.
    """
    for _ in range(_FREEZE_ROUNDS):
        new = {int(pid) for pid in _read(f"/proc/{subreaper}/task/{subreaper}/children").split()}
        new -= frozen
        if not new:
            return
        send_signal(new, signal.SIGSTOP)
        frozen |= new


def reap_children() -> bool:
    """Reap children that have ended; False when this process has no child left."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True


def kill_descendants() -> None:
    """Kill and reap everything that descends from this process, which must be a subreaper.

    Having no child left is proof: an orphan of any descendant would be one. All are stopped before any is killed,
    or a fork bomb would fork faster than it dies.
    """
    pause_s = 0.0005
    while reap_children():
        send_signal(_freeze_descendants(os.getpid()), signal.SIGKILL)
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, 0.05)


def kill_marked(marker: str, *, patience_s: float) -> None:
    """Kill every process that was started with `marker` in its environment, for at most `patience_s` seconds.

    For when the fork server is gone, and its trial's processes are nobody's descendants any more. A forked process
    shows the environment that its forebear was started with.
    """
    needle = marker.encode()
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        found = [pid for pid in _pids() if needle in _read(f"/proc/{pid}/environ")]
        found = [pid for pid in found if pid != os.getpid()]
        if not found:
            return
        send_signal(found, signal.SIGSTOP)
        send_signal(found, signal.SIGKILL)
        time.sleep(0.005)
