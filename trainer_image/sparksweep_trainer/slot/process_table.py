"""The process table as a slot reads it from /proc: memory of a trial's processes, and processes found by a marker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Iterator

from sparksweep_trainer.trial.processes import parents, process_ids, read_proc, send_signal

_KIB = 1024


def other_processes(processes: Collection[int]) -> dict[int, int]:
    """Map the pid of every process of this container, or machine, but the given ones to its parent's."""
    return {pid: parent for pid, parent in parents().items() if pid not in processes}


def held_bytes(processes: dict[int, int]) -> int:
    """Return an upper bound of the memory that processes hold: anonymous and shared pages, without pages of files.

    Cheap. Pages that processes share since a fork count once for each of them. Anonymous pages that the kernel has moved
    to swap count, too: a trial is no smaller for that.

    Args:
        processes: each process with its parent.
    """
    figures = {
        pid: _kib(
            read_proc(f"/proc/{pid}/status"),
            *(b"VmSize", b"RssFile", b"RssAnon", b"RssShmem"),
            swapped=b"VmSwap",
        )
        for pid in processes
    }
    return _KIB * sum(
        sum(figure[2:])
        for pid, figure in figures.items()
        if figure is not None
        and not (figure == figures.get(processes[pid]) and _waits_for_vfork(processes[pid]))
    )


def exactly_held_bytes(processes: dict[int, int]) -> int:
    """Return the memory that processes hold, with shared pages divided among all that share them, those in swap included.

    Slow: the kernel walks page tables. A process whose map can't be read counts as in `held_bytes`.

    Args:
        processes: each process with its parent.
    """
    total = 0
    unreadable: dict[int, int] = {}
    sizes = {
        pid: _kib(read_proc(f"/proc/{pid}/status"), b"VmSize", b"RssAnon", swapped=b"VmSwap")
        for pid in processes
    }
    for pid, parent in processes.items():
        if sizes[pid] is None:
            continue
        if sizes[pid] == sizes.get(parent) and _waits_for_vfork(parent):
            continue
        rollup = read_proc(f"/proc/{pid}/smaps_rollup")
        held = _kib(rollup, b"Pss_Anon", b"Pss_Shmem", swapped=b"SwapPss")
        if held is None:
            unreadable[pid] = parent
        else:
            total += _KIB * sum(held)
    return total + held_bytes(unreadable)


def kill_marked(marker: str, *, patience_s: float) -> None:
    """Kill every process that was started with `marker` in its environment, for at most `patience_s` seconds.

    For use after the fork server is gone, when its trial's processes are no longer its descendants. A forked process
    shows the environment that its ancestor was started with.
    """
    needle = marker.encode()
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        marked = [pid for pid in process_ids() if needle in read_proc(f"/proc/{pid}/environ")]
        marked = [pid for pid in marked if pid != os.getpid()]
        if not marked:
            return
        send_signal(marked, signal.SIGSTOP)
        send_signal(marked, signal.SIGKILL)
        time.sleep(0.005)


def _kib(text: bytes, *names: bytes, swapped: bytes) -> tuple[int, ...] | None:
    """Return the KiB after each of the names in a file of `Name:  value kB` lines; None if one is missing.

    Those after `swapped` come last, 0 where the kernel does not count pages in swap.
    """
    values = {swapped: b"0", **dict(_fields(text))}
    try:
        return tuple(int(values[name].split()[0]) for name in (*names, swapped))
    except KeyError:
        return None


def _fields(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    for line in text.splitlines():
        name, colon, value = line.partition(b":")
        if colon:
            yield name, value


def _waits_for_vfork(parent: int) -> bool:
    """Return True if a process seems to wait for a child to execute a program: a thread is in uninterruptible sleep.

    Between vfork and exec the child has its parent's memory, and shows it as its own. Equal figures alone prove
    nothing: a forked child may have allocated just as much as its parent did.
    """
    try:
        threads = os.listdir(f"/proc/{parent}/task")
    except OSError:
        return False
    states = (
        read_proc(f"/proc/{parent}/task/{thread}/stat").rpartition(b")")[2] for thread in threads
    )
    return any(state.split()[:1] == [b"D"] for state in states)
