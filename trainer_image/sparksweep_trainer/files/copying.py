"""Copy of the run directory in an object store or another file system, made as trials end.

A trial's files are copied when it has ended, the table whenever it was written, and at the driver's end all files that
have changed since. A copy that failed is retried with the next one; nothing but the driver's end waits for it.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyarrow import fs

from sparksweep_core.contract.run_layout import TRIALS, trial_directory_name
from sparksweep_trainer.files import openat

log = logging.getLogger(__name__)

MOST_FILES = 1_000_000
BLOCK_BYTES = 2**20
DEPTH = 20
AWAY = 3
"""Failures in a row after which the store counts as away, and a copy is given up until the next one."""
PAUSE_S = 10.0
"""Seconds until a copy that failed is retried."""

_Version = tuple[int, int]


class Copier:
    """Copies files below a directory that have changed. Not thread-safe, but for `stop`."""

    def __init__(self, directory: Path, uri: str) -> None:
        """Set the target: a directory in ``uri`` of the same name as `directory`. The store is not contacted yet."""
        self._directory = directory
        self._uri = uri
        self._store: Any = None
        self._base = ""
        self._copied: dict[str, _Version] = {}
        self._refused: set[str] = set()
        self._stopped = threading.Event()
        self._warned = ""

    def trial(self, number: int) -> bool:
        """Copy those of a trial's files that have changed; False if not all of them could be copied."""
        return self._copy([TRIALS, trial_directory_name(number)])

    def everything(self) -> bool:
        """Copy all files that have changed; False if not all of them could be copied."""
        return self._copy([])

    def file(self, name: str) -> bool:
        """Copy a file of the directory itself; False if it could not be copied."""
        return self._copy([], only=name)

    def stop(self) -> None:
        """End a copy under way after its current file; may be called from any thread."""
        self._stopped.set()

    def _copy(self, parts: list[str], *, only: str | None = None) -> bool:
        prefix = "".join(f"{part}/" for part in parts)
        try:
            with openat.directory(self._directory, parts) as root:
                depth = 1 if only is not None else DEPTH
                listed = openat.listing(root, most=MOST_FILES, depth=depth)
        except FileNotFoundError:
            # The trial has sent nothing.
            return True
        except OSError as error:
            self._warn(error)
            return False
        changed = []
        for entry in listed:
            path, version = f"{prefix}{entry.path}", (entry.size, entry.modified_ns)
            # Hidden files are incomplete.
            is_hidden = any(part.startswith(".") for part in entry.path.split("/"))
            if only in (None, entry.path) and self._copied.get(path) != version and not is_hidden:
                changed.append((path, version))
        # A file that the store never takes, for its name for instance, must keep no other waiting.
        changed.sort(key=lambda item: item[0] in self._refused)
        return self._send_all(changed)

    def _send_all(self, changed: list[tuple[str, _Version]]) -> bool:
        """Send files; False unless all were sent. Give up after `AWAY` failures in a row."""
        whole, in_a_row = True, 0
        for path, version in changed:
            if self._stopped.is_set():
                return False
            try:
                self._send(path)
            except Exception as error:
                # Each store raises errors of its own types; any of them may be transient.
                self._warn(error, path)
                self._refused.add(path)
                whole, in_a_row = False, in_a_row + 1
                if in_a_row == AWAY:
                    return False
            else:
                in_a_row = 0
                self._refused.discard(path)
                self._copied[path] = version
        if whole:
            self._warned = ""
        return whole

    def _send(self, path: str) -> None:
        store, base = self._opened()
        target = f"{base}/{path}"
        # First the file: opening the target may empty an earlier copy.
        with _opened_file(self._directory, path) as file:
            if not isinstance(store, fs.S3FileSystem | fs.GcsFileSystem):
                store.create_dir(target.rpartition("/")[0], recursive=True)
            with store.open_output_stream(target) as sink:
                for block in _blocks(file):
                    sink.write(block)

    def _opened(self) -> tuple[Any, str]:
        if self._store is None:
            store, base = fs.FileSystem.from_uri(self._uri)
            base = f"{base.rstrip('/')}/{self._directory.name}"
            if isinstance(store, fs.LocalFileSystem):
                own = self._directory.resolve()
                if own in (Path(base).resolve(), *Path(base).resolve().parents):
                    # Opening a copy for writing would empty the file that is to be copied.
                    raise ValueError("the copy would be in the run directory itself")
            self._store, self._base = store, base
        return self._store, self._base

    def _warn(self, error: Exception, path: str = "") -> None:
        kind = type(error).__name__
        if kind != self._warned:
            # Once for each type of error: the messages of many files differ by their names alone.
            self._warned = kind
            # A URI may hold credentials, although they belong in the Secret.
            shown = re.sub("//[^/@]*@", "//", self._uri.partition("?")[0])
            # The name may be no text that a stream can encode.
            text = f"{path!r}: {kind}: {error}" if path else f"{kind}: {error}"
            log.warning(
                "the run directory can't be copied to %s: %s",
                shown,
                text.encode(errors="backslashreplace").decode(),
            )


@contextmanager
def _opened_file(root: Path, path: str) -> Iterator[int]:
    *parts, name = path.split("/")
    with (
        openat.directory(root, parts) as parent,
        openat.regular_file(parent, name, os.O_RDONLY) as file,
    ):
        yield file


def _blocks(file: int) -> Iterator[bytes]:
    offset = 0
    while block := openat.read_at(file, offset, BLOCK_BYTES):
        yield block
        offset += len(block)


class CopyThread:
    """A thread that copies each trial when it has ended, and the table when it was written."""

    def __init__(self, copier: Copier, *, table: str, pause_s: float = PAUSE_S) -> None:
        self._copier = copier
        self._table = table
        self._pause_s = pause_s
        self._ended: set[int] = set()
        self._table_changed = False
        self._closing = False
        self._whole = False
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="copy-files", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def trial_ended(self, number: int) -> None:
        """Copy a trial, which has sent its last file."""
        with self._condition:
            self._ended.add(number)
            self._condition.notify_all()

    def table_written(self) -> None:
        """Copy the table, which has changed."""
        with self._condition:
            self._table_changed = True
            self._condition.notify_all()

    def close(self, *, flush_s: float) -> bool:
        """Copy all that is left, for at most `flush_s` seconds; False if that was too short, or the store refused."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=flush_s)
        self._copier.stop()
        if not self._whole:
            log.error("not all of the run directory is copied")
        return self._whole

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(
                    lambda: self._closing or self._ended or self._table_changed
                )
                if self._closing:
                    break
                ended, self._ended = self._ended, set()
                table, self._table_changed = self._table_changed, False
            failed = {number for number in sorted(ended) if not self._copier.trial(number)}
            if table and not self._copier.file(self._table):
                self._table_changed = True
            with self._condition:
                self._ended |= failed
                if failed or self._table_changed:
                    # The store may be unavailable for a while.
                    self._condition.wait_for(lambda: self._closing, self._pause_s)
        self._whole = self._copier.everything()
