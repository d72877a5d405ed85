"""A cache of remote data on this node, shared by all its processes: fetched once, bounded, never changed in use.

A copy is a folder whose name is a hash of the URI and the version, so that a new version never replaces a copy that is
being read. There are two locks, which the kernel releases however a process ends:

    KEY.fetch    exclusive, while the copy is being made
    KEY.use      shared, for the life of every process that uses the path; exclusive, to remove the copy
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sparksweep.data._stores import Remote
from sparksweep_core.api.quantities import format_bytes, memory_bytes
from sparksweep_core.contract.environment import DATA_CACHE_ENV, DATA_CACHE_SIZE_ENV

DEFAULT_SIZE = "10Gi"

_in_use: list[IO[bytes]] = []
"""Locks that this process holds until it ends."""


class Cache:
    """The copies in one directory."""

    def __init__(self, directory: Path, most_bytes: int) -> None:
        self._directory = directory
        self._most_bytes = most_bytes

    @classmethod
    def of_this_node(cls) -> Cache:
        """Return the cache in the directory that the environment names, by default one in the temporary directory."""
        directory = os.environ.get(DATA_CACHE_ENV)
        if not directory:
            directory = os.path.join(tempfile.gettempdir(), f"sparksweep-data-{os.getuid()}")
        return cls(Path(directory), memory_bytes(os.environ.get(DATA_CACHE_SIZE_ENV, DEFAULT_SIZE)))

    def fetch(self, remote: Remote) -> str:
        """Return the path of a copy, which is not removed while this process runs.

        Raises:
            OSError: It does not fit, or can't be read or written.
        """
        key = _key(remote)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            use = self._lock_file(key, "use").open("a+b")
            fcntl.flock(use, fcntl.LOCK_SH)
            if self._is_complete(key):
                os.utime(self._lock_file(key, "use"))
                _in_use.append(use)
                return str(self._content(key, remote))
            use.close()
            with self._locked(key, "fetch"):
                # Another process may have made it while this one waited.
                if not self._is_complete(key):
                    self._make_room(remote)
                    self._copy(key, remote)

    def _copy(self, key: str, remote: Remote) -> None:
        unfinished = Path(tempfile.mkdtemp(prefix=f"{key}.new-", dir=self._directory))
        try:
            for file in remote.files:
                target = unfinished / (file.name or _name(remote))
                target.parent.mkdir(parents=True, exist_ok=True)
                remote.download(file, str(target))
            with self._locked(key, "use"):
                (self._directory / f"{key}.json").write_text(
                    json.dumps({"uri": remote.uri, "size": remote.size})
                )
                unfinished.rename(self._directory / key)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _make_room(self, remote: Remote) -> None:
        """Remove the least recently used copies until this one fits."""
        if remote.size > self._most_bytes:
            raise OSError(
                errno.ENOSPC,
                f"{remote.uri} has {format_bytes(remote.size)}, more than the {format_bytes(self._most_bytes)} that copies "
                f"may take on a node: raise {DATA_CACHE_SIZE_ENV}",
            )
        copies = [
            path.name
            for path in self._directory.iterdir()
            if path.is_dir() and "." not in path.name
        ]
        sizes = {key: self._size(key) for key in copies}
        by_use = sorted(copies, key=lambda key: self._lock_file(key, "use").stat().st_mtime)
        for key in by_use:
            if sum(sizes.values()) + remote.size <= self._most_bytes:
                return
            if self._remove(key):
                del sizes[key]
        if sum(sizes.values()) + remote.size > self._most_bytes:
            raise OSError(
                errno.ENOSPC,
                f"{remote.uri} has {format_bytes(remote.size)}, and copies that are in use take "
                f"{format_bytes(sum(sizes.values()))} of {format_bytes(self._most_bytes)}: raise {DATA_CACHE_SIZE_ENV}",
            )

    def _remove(self, key: str) -> bool:
        """Remove a copy unless a process uses it; return whether it was removed."""
        with self._lock_file(key, "use").open("a+b") as use:
            try:
                fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            shutil.rmtree(self._directory / key, ignore_errors=True)
            (self._directory / f"{key}.json").unlink(missing_ok=True)
        return True

    @contextmanager
    def _locked(self, key: str, kind: str) -> Iterator[None]:
        with self._lock_file(key, kind).open("a+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _lock_file(self, key: str, kind: str) -> Path:
        return self._directory / f"{key}.{kind}"

    def _is_complete(self, key: str) -> bool:
        return (self._directory / key).is_dir()

    def _content(self, key: str, remote: Remote) -> Path:
        folder = self._directory / key
        return folder if remote.is_folder else folder / _name(remote)

    def _size(self, key: str) -> int:
        try:
            return int(json.loads((self._directory / f"{key}.json").read_text())["size"])
        except (OSError, ValueError, KeyError):
            return 0


def _key(remote: Remote) -> str:
    version = [[file.name, file.size, file.changed] for file in remote.files]
    return hashlib.sha256(json.dumps([remote.uri, version]).encode()).hexdigest()[:32]


def _name(remote: Remote) -> str:
    """Return the name of a file's copy: the file's own, since its suffix may matter."""
    return os.path.basename(remote.uri.partition("?")[0].rstrip("/")) or "data"
