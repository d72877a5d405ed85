"""Files that trials leave in directories of their executor: found by comparison with what was there before, and removed.

An executor runs a hundred trials in one pod, whose `/tmp`, `/dev/shm` and data directory are emptied by nobody else:
what each trial leaves would evict the pod, or fill the memory of the trials after it. The operator names these
directories in the pod's environment; without the variable, as in a local run, nothing is removed.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sparksweep_core.contract.environment import CLEARED_ENV
from sparksweep_trainer.trial.processes import process_ids, read_whole_proc
from sparksweep_trainer.trial.removal import remove_tree

log = logging.getLogger(__name__)

MAX_ENTRIES = 100_000
"""Entries that are remembered. Where there are more, nothing is removed."""
PATIENCE_S = 5.0
"""Seconds to wait for another slot of the executor that removes what its trial has left."""

_NOT_OF_TRIALS = re.compile(
    r"hsperfdata_.*|\.(java|attach)_pid\d+|(spark|blockmgr)-[0-9a-f-]{36}|sparksweep-slot-.*"
)
"""Names of entries that Java, Spark and slots make whenever they need them."""


def cleared_directories(environment: Mapping[str, str]) -> list[Path]:
    """Return the directories that the operator has named in the executor's environment."""
    return [Path(path) for path in environment.get(CLEARED_ENV, "").split(os.pathsep) if path]


@dataclass(frozen=True, slots=True)
class _Entry:
    path: str
    identity: tuple[int, int]
    """Device and inode."""
    user: int
    holds_kept: bool
    """True if an entry below it is left alone."""


class Leftovers:
    """The entries that one trial after another leaves in some directories.

    Slots of the same executor hold a lock while their trial runs. Nothing is removed while another one's trial does, since
    it can't be told whose an entry is.
    """

    def __init__(self, roots: Sequence[Path], *, kept: Sequence[Path] = ()) -> None:
        """
        Args:
            roots: the directories; none: nothing is ever removed.
            kept: entries below them that are left alone, with all that is in them.
        """
        self._roots = [Path(os.path.realpath(root)) for root in roots if root.is_dir()]
        self._kept = kept
        self._lock: int | None = None
        self._before: dict[str, tuple[int, int]] | None = None

    def begin(self) -> None:
        """Remember the entries that are there before a trial starts."""
        if not self._roots:
            return
        self._before = self._snapshot() if self._take_lock() else None

    def clear(self, kept: Sequence[Path] = ()) -> list[str]:
        """Remove the entries that have come since `begin`, after the last process of the trial has ended.

        Entries of other users, and those that a process still uses, stay.

        Args:
            kept: entries to leave alone, too.

        Returns:
            The entries that were removed.
        """
        if self._lock is None:
            return []
        try:
            return self._clear(self._lock, [*self._kept, *kept])
        finally:
            self._before = None
            os.close(self._lock)
            self._lock = None

    def _clear(self, lock: int, kept: Sequence[Path]) -> list[str]:
        before = self._before
        if before is None:
            return []
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            log.info("another trial of this executor runs: files that this one has left stay")
            return []
        user = os.geteuid()
        new = [
            item.path
            for item in self._walk(kept, lambda item: before.get(item.path) == item.identity)
            if before.get(item.path) != item.identity and item.user == user and not item.holds_kept
        ]
        if not new:
            return []
        used = _used_paths()
        removed = []
        for path in new:
            if any(item == path or item.startswith(f"{path}/") for item in used):
                log.info("%s stays: a process uses it", path)
            elif remove_tree(Path(path)):
                removed.append(path)
            else:
                log.warning("%s, which a trial has left, can't be removed", path)
        return removed

    # ------------------------------------------------------------------ reading

    def _snapshot(self) -> dict[str, tuple[int, int]] | None:
        entries = {}
        for item in self._walk(self._kept, lambda _: True):
            entries[item.path] = item.identity
            if len(entries) > MAX_ENTRIES:
                log.warning("more than %d files in %s: none is removed", MAX_ENTRIES, self._roots)
                return None
        return entries

    def _walk(self, kept: Sequence[Path], descend: Callable[[_Entry], bool]) -> Iterator[_Entry]:
        """Yield each entry, and those in a directory that holds a kept one or for which `descend` returns True."""
        skipped = {os.path.realpath(path) for path in kept}
        waiting = [os.fspath(root) for root in self._roots]
        devices = {os.stat(root).st_dev for root in self._roots}
        while waiting:
            for entry in _scan(waiting.pop()):
                if entry.path in skipped or _NOT_OF_TRIALS.fullmatch(entry.name):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                # A volume that is mounted further down is the user's.
                if status.st_dev not in devices:
                    continue
                item = _Entry(
                    entry.path,
                    identity=(status.st_dev, status.st_ino),
                    user=status.st_uid,
                    holds_kept=any(path.startswith(f"{entry.path}/") for path in skipped),
                )
                yield item
                if stat.S_ISDIR(status.st_mode) and (item.holds_kept or descend(item)):
                    waiting.append(entry.path)

    def _take_lock(self) -> bool:
        """Share the lock of this executor's trials; False if another slot keeps it to itself."""
        if self._lock is None:
            self._lock = os.open(self._roots[0], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return True
            except OSError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.02)


def _scan(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except OSError:
        return []


def _used_paths() -> Collection[str]:
    """Return the paths that processes of this user have open or mapped, or work in."""
    used: set[str] = set()
    for pid in process_ids():
        folder = f"/proc/{pid}"
        links = [f"{folder}/cwd", *(entry.path for entry in _scan(f"{folder}/fd"))]
        for link in links:
            with suppress(OSError):
                used.add(os.readlink(link))
        for line in read_whole_proc(f"{folder}/maps").splitlines():
            path = line.split(maxsplit=5)[5:]
            if path:
                used.add(os.fsdecode(path[0]))
    return used
