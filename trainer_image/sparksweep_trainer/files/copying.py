"""Copies the run directory to an object store or another file system, as trials end.

A trial's files are copied when it has ended, the table whenever it was written, and at the driver's end all that has
changed since. What could not be copied is tried again with the next; nothing waits for it, but for the driver's end.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyarrow import fs

from sparksweep_core.contract.run_layout import TRIALS, trial_directory_name
from sparksweep_trainer.files import openat

log = logging.getLogger(__name__)

MOST_FILES = 1_000_000
BLOCK_BYTES = 2**20
DEPTH = 20
PAUSE_S = 10.0
"""Seconds until what could not be copied is tried again."""

_Looks = tuple[int, int]


class Copier:
    """Copies files below a directory that have changed. Belongs to one thread, but for `close`."""

    def __init__(self, directory: Path, uri: str) -> None:
        """Nothing is asked of the store yet; ``uri`` is where the directory goes, by its own name."""
        self._directory = directory
        self._uri = uri
        self._store: Any = None
        self._base = ""
        self._copied: dict[str, _Looks] = {}
        self._over = threading.Event()
        self._complaint = ""

    def trial(self, number: int) -> bool:
        """Copy what has changed of a trial's files; False when not all of it could be."""
        return self._copy([TRIALS, trial_directory_name(number)])

    def everything(self) -> bool:
        """Copy whatever has changed; False when not all of it could be."""
        return self._copy([])

    def file(self, name: str) -> bool:
        """Copy a file of the directory itself; False when it could not be."""
        return self._copy([], only=name)

    def stop(self) -> None:
        """Have a copy under way end after the file that it is at; from any thread."""
        self._over.set()

    def _copy(self, parts: list[str], *, only: str | None = None) -> bool:
        prefix = "".join(f"{part}/" for part in parts)
        whole = True
        try:
            with openat.directory(self._directory, parts) as root:
                depth = 1 if only is not None else DEPTH
                for entry in openat.listing(root, most=MOST_FILES, depth=depth):
                    looks = (entry.size, entry.modified_ns)
                    path = f"{prefix}{entry.path}"
                    if only not in (None, entry.path) or self._copied.get(path) == looks:
                        continue
                    if any(part.startswith(".") for part in entry.path.split("/")):
                        # Not whole yet.
                        continue
                    if self._over.is_set():
                        return False
                    self._send(path)
                    self._copied[path] = looks
        except FileNotFoundError:
            # The trial has sent nothing.
            return True
        except Exception as error:
            # Each store raises errors of its own kinds; whichever it is, later may be better.
            self._complain(error)
            whole = False
        else:
            self._complaint = ""
        return whole

    def _send(self, path: str) -> None:
        store, base = self._opened()
        target = f"{base}/{path}"
        if not isinstance(store, fs.S3FileSystem | fs.GcsFileSystem):
            store.create_dir(target.rpartition("/")[0], recursive=True)
        with store.open_output_stream(target) as sink:
            for block in _blocks(self._directory, path):
                sink.write(block)

    def _opened(self) -> tuple[Any, str]:
        if self._store is None:
            self._store, base = fs.FileSystem.from_uri(self._uri)
            self._base = f"{base.rstrip('/')}/{self._directory.name}"
        return self._store, self._base

    def _complain(self, error: Exception) -> None:
        kind = type(error).__name__
        if kind != self._complaint:
            # Once, not for each file: the messages differ by their names alone.
            self._complaint = kind
            # A URI may hold credentials, though they belong into the Secret.
            shown = re.sub("//[^/@]*@", "//", self._uri.partition("?")[0])
            log.warning("the run directory can't be copied to %s: %s: %s", shown, kind, error)


def _blocks(root: Path, path: str) -> Iterator[bytes]:
    *parts, name = path.split("/")
    with (
        openat.directory(root, parts) as parent,
        openat.regular_file(parent, name, os.O_RDONLY) as file,
    ):
        offset = 0
        while block := openat.read_at(file, offset, BLOCK_BYTES):
            yield block
            offset += len(block)


class Copying:
    """A thread that copies each trial when it has ended, and the table now and then."""

    def __init__(self, copier: Copier, *, table: str, pause_s: float = PAUSE_S) -> None:
        self._copier = copier
        self._table = table
        self._pause_s = pause_s
        self._ended: set[int] = set()
        self._table_changed = False
        self._closing = False
        self._whole = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="copy-files", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def trial_ended(self, number: int) -> None:
        """A trial has sent its last file."""
        with self._news:
            self._ended.add(number)
            self._news.notify_all()

    def table_written(self) -> None:
        """The table is another one."""
        with self._news:
            self._table_changed = True
            self._news.notify_all()

    def close(self, *, flush_s: float) -> bool:
        """Copy what is left, for at most that long; False when that was too short, or the store refused."""
        with self._news:
            self._closing = True
            self._news.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=flush_s)
        self._copier.stop()
        if not self._whole:
            log.error("not all of the run directory is copied")
        return self._whole

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._closing or self._ended or self._table_changed)
                if self._closing:
                    break
                ended, self._ended = self._ended, set()
                table, self._table_changed = self._table_changed, False
            failed = {number for number in sorted(ended) if not self._copier.trial(number)}
            if table and not self._copier.file(self._table):
                self._table_changed = True
            with self._news:
                self._ended |= failed
                if failed or self._table_changed:
                    # Not at once again: the store may be away for a while.
                    self._news.wait_for(lambda: self._closing, self._pause_s)
        self._whole = self._copier.everything()
