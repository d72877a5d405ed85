"""Upload of a running trial's files: a thread of the slot scans them once a second, and sends new parts to the driver.

A growing file is sent piece by piece, from the size that the driver has. Any other file is sent as a whole once it has
not changed between two scans, and at the end. A file that the driver refuses is not sent again. A driver that does not
answer costs the files; the slot learns of it when it asks for work.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sparksweep_core.contract.run_layout import LOG_FILES, MAX_DEPTH, TIMES_FILE, grows, is_sendable
from sparksweep_trainer.files import openat
from sparksweep_trainer.protocol import MAX_CHUNK_BYTES, Assignment, Chunk, ChunkTaken
from sparksweep_trainer.slot.trial_client import DriverGone

log = logging.getLogger(__name__)

SCAN_INTERVAL_S = 1.0
"""Seconds between two scans of a running trial's files."""
SCAN_BYTES = 4 * 2**20
"""Bytes of one growing file that are sent after one scan: a flood must not delay the other files."""
DISK_PATIENCE_S = 3.0
"""Seconds after a trial's end for which its last files are sent again to a driver whose disk is full."""
FINISH_S = 60.0
"""Seconds for the last files of an attempt, after which its outcome is reported without them."""
MAX_FILES = 2000
"""Files that one scan lists."""

_FIRST = (TIMES_FILE, *LOG_FILES)


class FileClient(Protocol):
    """Receiver of files: the trial client, or a stand-in."""

    def send_file(self, chunk: Chunk, data: bytes) -> ChunkTaken:
        """Send a part of a file.

        Raises:
            DriverGone: the driver does not answer.
        """


@dataclass
class _Growing:
    inode: int
    sent: int = 0


class _UploadEnded(Exception):
    """The driver takes no more files of this attempt, or their time is up; the message says so."""


class FileUploader:
    """Sends one attempt's files while the block lasts, and the rest at its end. Never raises."""

    def __init__(
        self,
        client: FileClient,
        directory: Path,
        *,
        slot: int,
        assignment: Assignment,
        scan_interval_s: float = SCAN_INTERVAL_S,
        finish_s: float = FINISH_S,
    ) -> None:
        self._client = client
        self._directory = directory
        self._slot = slot
        self._assignment = assignment
        self._scan_interval_s = scan_interval_s
        self._finish_s = finish_s
        self._growing: dict[str, _Growing] = {}
        self._scanned: dict[str, tuple[int, int, int]] = {}
        self._sent: dict[str, tuple[int, int, int]] = {}
        self._full: set[str] = set()
        self._put_off_paths: set[str] = set()
        self._over = threading.Event()
        self._give_up_at = float("inf")
        self._thread = threading.Thread(target=self._run, name=f"slot-{slot}-files", daemon=True)

    def __enter__(self) -> FileUploader:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._give_up_at = time.monotonic() + self._finish_s
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._over.wait(self._scan_interval_s):
                self._scan(final=False)
            self._scan(final=True)
            give_up_at = time.monotonic() + DISK_PATIENCE_S
            while self._put_off_paths and time.monotonic() < give_up_at:
                time.sleep(min(self._scan_interval_s, DISK_PATIENCE_S))
                self._scan(final=True)
            if self._put_off_paths:
                raise _UploadEnded(
                    f"not kept, because the driver's disk takes nothing: {', '.join(sorted(self._put_off_paths))}"
                )
        except _UploadEnded as reason:
            if str(reason):
                log.warning("trial %d: %s", self._assignment.number, reason)
        except DriverGone as error:
            log.warning("trial %d: its files are not sent: %s", self._assignment.number, error)

    def _put_off(self, path: str) -> None:
        """Note a file that the driver's disk does not take now: the next scan sends it again."""
        self._put_off_paths.add(path)

    def _scan(self, *, final: bool) -> None:
        self._put_off_paths.clear()
        try:
            with openat.directory(self._directory) as root:
                entries = openat.listing(root, most=MAX_FILES, depth=MAX_DEPTH)
        except FileNotFoundError:
            # The trial has not started.
            return
        sendable = [e for e in entries if is_sendable(e.path) and e.path not in self._full]
        for entry in sorted(sendable, key=lambda entry: (entry.path not in _FIRST, entry.path)):
            try:
                if grows(entry.path):
                    self._send_growth(entry, final=final)
                else:
                    self._send_whole(entry, final=final)
            except OSError as error:
                # Removed, or replaced by something else, since it was listed.
                log.debug("%s: %s", entry.path, error)

    def _send_growth(self, entry: openat.Entry, *, final: bool) -> None:
        growing = self._growing.get(entry.path)
        # A file of which nothing was sent is new only if it is not empty.
        if growing is None and not entry.size:
            return
        if growing is not None and (growing.inode, growing.sent) == (entry.inode, entry.size):
            return
        with self._open(entry.path) as file:
            status = os.fstat(file)
            restart = growing is not None and (
                growing.inode != status.st_ino or status.st_size < growing.sent
            )
            if growing is None or restart:
                growing = self._growing[entry.path] = _Growing(status.st_ino)
            end = status.st_size if final else min(status.st_size, growing.sent + SCAN_BYTES)
            while growing.sent < end:
                data = openat.read_at(file, growing.sent, min(MAX_CHUNK_BYTES, end - growing.sent))
                if not data:
                    return
                answer = self._post(entry.path, growing.sent, data, restart=restart)
                if answer.later:
                    self._put_off(entry.path)
                    if restart:
                        # The next scan takes it for another file again.
                        growing.inode = -1
                    return
                if answer.full or (answer.size == growing.sent and not restart):
                    self._full.add(entry.path)
                    return
                growing.sent, restart = answer.size, False

    def _send_whole(self, entry: openat.Entry, *, final: bool) -> None:
        version = (entry.inode, entry.size, entry.modified_ns)
        settled = final or self._scanned.get(entry.path) == version
        self._scanned[entry.path] = version
        if self._sent.get(entry.path) == version or not settled:
            return
        with self._open(entry.path) as file:
            total = os.fstat(file).st_size
            offset = 0
            while True:
                data = openat.read_at(file, offset, min(MAX_CHUNK_BYTES, total - offset))
                if offset + len(data) < total and len(data) < MAX_CHUNK_BYTES:
                    # The file shrank while it was read: the next scan sends it.
                    return
                answer = self._post(entry.path, offset, data, total=total)
                if answer.later:
                    self._put_off(entry.path)
                    return
                if answer.full:
                    self._full.add(entry.path)
                    return
                offset += len(data)
                if answer.size != offset:
                    return
                if offset >= total:
                    break
        self._sent[entry.path] = version

    def _open(self, path: str) -> _Opened:
        return _Opened(self._directory, path)

    def _post(
        self,
        path: str,
        offset: int,
        data: bytes,
        *,
        restart: bool = False,
        total: int | None = None,
    ) -> ChunkTaken:
        if time.monotonic() > self._give_up_at:
            raise _UploadEnded(
                f"its last files take longer than {self._finish_s:g} s and are not kept"
            )
        chunk = Chunk(
            slot=self._slot,
            number=self._assignment.number,
            attempt=self._assignment.attempt,
            path=path,
            offset=offset,
            restart=restart,
            total=total,
        )
        answer = self._client.send_file(chunk, data)
        if not answer.taken:
            raise _UploadEnded
        return answer


class _Opened:
    """A file below a directory, open for reading while the block lasts."""

    def __init__(self, directory: Path, path: str) -> None:
        self._directory = directory
        self._parts = path.split("/")

    def __enter__(self) -> int:
        with openat.directory(self._directory, self._parts[:-1]) as parent:
            self._context = openat.regular_file(parent, self._parts[-1], os.O_RDONLY)
            return self._context.__enter__()

    def __exit__(self, *exception: object) -> None:
        self._context.__exit__(None, None, None)
