"""Memory of files that exist in memory only: memfd, and files in /dev/shm, mapped or not.

Where the kernel limits a container, it counts them. In a local run the slot does: by the descriptors of the trial's processes,
and by the files that come to /dev/shm while it runs. A file counts once, however many processes have it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress

from sparksweep_trainer.trial.processes import process_ids, read_whole_proc

SHARED_MEMORY = "/dev/shm"
JUDGE_SHARE = 20
"""Looking for makers takes at most one part in this many of the time."""
_MEMFD = "/memfd:"
_BLOCK = 512

File = tuple[int, int]
"""Device and inode of a file."""
IsAlone = Callable[[], bool]


class MemoryFiles:
    """The files in memory of one trial, from its start to its end."""

    def __init__(
        self, directory: str = SHARED_MEMORY, *, is_alone: IsAlone = lambda: False
    ) -> None:
        """
        Args:
            directory: where files in memory have names.
            is_alone: returns True if no other trial of the run runs now: a new file that no other process uses is then
                this trial's, even if no process of the trial was ever seen to have it open.
        """
        self._directory = directory
        self._prefixes = (_MEMFD, f"{directory}/")
        self._is_alone = is_alone
        self._others = {file for file, _ in self._named()}
        self._own: set[File] = set()
        self._judge_at = 0.0
        self.judging_s = 0.0
        """Seconds that the last `held` has looked for makers of files."""

    def held(self, processes: Collection[int], *, spare: int = 0) -> dict[File, int]:
        """Return the bytes of each file that the trial holds.

        Args:
            processes: the trial's processes.
            spare: bytes that the trial may hold besides. The maker of new files that nobody of the trial has open is
                looked for only where they take more.
        """
        held: dict[File, int] = {}
        self.judging_s = 0.0
        for path in _descriptors(processes):
            with suppress(OSError):
                if os.readlink(path).startswith(self._prefixes):
                    status = os.stat(path)
                    file = status.st_dev, status.st_ino
                    if file not in self._others:
                        held[file] = status.st_blocks * _BLOCK
        # A file that the trial has made stays its own when it is closed.
        self._own |= held.keys()
        named = {file: status for file, status in self._named() if file not in self._others}
        spare -= sum(held.values())
        self._judge([file for file in named if file not in self._own], named, processes, spare)
        for file in self._own & named.keys():
            held[file] = named[file].st_blocks * _BLOCK
        return held

    def _judge(
        self,
        files: Collection[File],
        statuses: Mapping[File, os.stat_result],
        processes: Collection[int],
        spare: int,
    ) -> None:
        """Decide once for each new file that no process of the trial has open whether the trial has made it."""
        user = os.geteuid()
        new = {file for file in files if statuses[file].st_uid == user}
        size = sum(statuses[file].st_blocks * _BLOCK for file in new)
        began = time.monotonic()
        if not 0 <= spare < size or began < self._judge_at or not self._is_alone():
            return
        # This takes a look at every process of the machine.
        used = self._used_by(pid for pid in process_ids() if pid not in processes)
        self._others |= new & used
        self._own |= new - used
        self.judging_s = time.monotonic() - began
        self._judge_at = time.monotonic() + JUDGE_SHARE * self.judging_s

    def _used_by(self, processes: Iterable[int]) -> set[File]:
        """Return the files that processes have open or mapped, as far as this user may know."""
        used: set[File] = set()
        for pid in processes:
            for path in _descriptors([pid]):
                with suppress(OSError):
                    if os.readlink(path).startswith(f"{self._directory}/"):
                        status = os.stat(path)
                        used.add((status.st_dev, status.st_ino))
            used.update(file for file, _ in _mappings(pid, "maps"))
        return used

    def _named(self) -> Iterator[tuple[File, os.stat_result]]:
        waiting = [self._directory]
        while waiting:
            try:
                with os.scandir(waiting.pop()) as listing:
                    entries = list(listing)
            except OSError:
                continue
            for entry in entries:
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        yield (status.st_dev, status.st_ino), status


def mapped_bytes(processes: Iterable[int], files: Collection[File]) -> int:
    """Return the bytes of files that count as memory of the processes which map them.

    Slow: the kernel walks page tables.
    """
    if not files:
        return 0
    return sum(size for pid in processes for file, size in _mappings(pid, "smaps") if file in files)


def _descriptors(processes: Iterable[int]) -> Iterator[str]:
    for pid in processes:
        folder = f"/proc/{pid}/fd"
        with suppress(OSError):
            yield from (f"{folder}/{name}" for name in os.listdir(folder))


def _mappings(pid: int, name: str) -> Iterator[tuple[File, int]]:
    """Yield each file that a process maps and, from its ``smaps``, the share of its pages that count for the process."""
    file: File | None = None
    proportional = 0
    for line in read_whole_proc(f"/proc/{pid}/{name}").splitlines():
        fields = line.split(maxsplit=5)
        if not fields[0].endswith(b":"):
            major, _, minor = fields[3].partition(b":")
            file = os.makedev(int(major, 16), int(minor, 16)), int(fields[4])
            proportional = 0
            if name == "maps":
                yield file, 0
        elif fields[0] == b"Pss:":
            proportional = int(fields[1]) * 1024
        elif fields[0] == b"Anonymous:" and file is not None:
            # Pages of a private mapping that were written to are no longer the file's.
            yield file, max(0, proportional - int(fields[1]) * 1024)
