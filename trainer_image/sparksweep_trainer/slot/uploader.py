"""A slot's side of the files: a thread beside each running trial that sends the driver what is new, once a second.

A file that grows is sent piece by piece, from where the driver has it to. Any other is sent as a whole, when it has not
changed for a turn, and at the end. What the driver does not want, or has no room for, is not sent again; that it does
not answer is the slot's business, which asks it for work.
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

TURN_S = 1.0
"""Seconds between two looks at a running trial's files."""
TURN_BYTES = 4 * 2**20
"""Bytes of one growing file that are sent in one turn: a flood must not keep the others back."""
FINISH_S = 60.0
"""Seconds that the last files of an attempt may take, before its outcome is reported without them."""
MAX_FILES = 2000
"""Files that are looked at."""

_FIRST = (TIMES_FILE, *LOG_FILES)


class FileClient(Protocol):
    """Where files are sent."""

    def send_file(self, chunk: Chunk, data: bytes) -> ChunkTaken:
        """Send a part of a file.

        Raises:
            DriverGone: there is no answer.
        """


@dataclass
class _Growing:
    inode: int
    sent: int = 0


class _Enough(Exception):
    """Nothing of this attempt is wanted any more, or there is nobody to send it to."""


class FileSender:
    """Sends one attempt's files while the block lasts, and at its end what is left. Never raises."""

    def __init__(
        self,
        client: FileClient,
        directory: Path,
        *,
        slot: int,
        assignment: Assignment,
        turn_s: float = TURN_S,
        finish_s: float = FINISH_S,
    ) -> None:
        self._client = client
        self._directory = directory
        self._slot = slot
        self._assignment = assignment
        self._turn_s = turn_s
        self._finish_s = finish_s
        self._growing: dict[str, _Growing] = {}
        self._seen: dict[str, tuple[int, int, int]] = {}
        self._sent: dict[str, tuple[int, int, int]] = {}
        self._full: set[str] = set()
        self._over = threading.Event()
        self._give_up_at = float("inf")
        self._thread = threading.Thread(target=self._run, name=f"slot-{slot}-files", daemon=True)

    def __enter__(self) -> FileSender:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._give_up_at = time.monotonic() + self._finish_s
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._over.wait(self._turn_s):
                self._turn(final=False)
            self._turn(final=True)
        except _Enough as reason:
            if str(reason):
                log.warning("trial %d: %s", self._assignment.number, reason)
        except DriverGone as error:
            log.warning("trial %d: its files are not sent: %s", self._assignment.number, error)

    def _turn(self, *, final: bool) -> None:
        try:
            with openat.directory(self._directory) as root:
                entries = openat.listing(root, most=MAX_FILES, depth=MAX_DEPTH)
        except FileNotFoundError:
            # The trial has not begun.
            return
        wanted = [e for e in entries if is_sendable(e.path) and e.path not in self._full]
        for entry in sorted(wanted, key=lambda entry: (entry.path not in _FIRST, entry.path)):
            try:
                if grows(entry.path):
                    self._send_growth(entry, final=final)
                else:
                    self._send_whole(entry, final=final)
            except OSError as error:
                # Removed, or replaced by something else, since it was seen.
                log.debug("%s: %s", entry.path, error)

    def _send_growth(self, entry: openat.Entry, *, final: bool) -> None:
        known = self._growing.get(entry.path)
        # Only its size tells: an empty file that nothing was sent of is no news.
        if known is None and not entry.size:
            return
        if known is not None and (known.inode, known.sent) == (entry.inode, entry.size):
            return
        with self._open(entry.path) as file:
            found = os.fstat(file)
            restart = known is not None and (
                known.inode != found.st_ino or found.st_size < known.sent
            )
            if known is None or restart:
                known = self._growing[entry.path] = _Growing(found.st_ino)
            most = found.st_size if final else min(found.st_size, known.sent + TURN_BYTES)
            while known.sent < most:
                data = openat.read_at(file, known.sent, min(MAX_CHUNK_BYTES, most - known.sent))
                if not data:
                    return
                answer = self._post(entry.path, known.sent, data, restart=restart)
                if answer.full or (answer.size == known.sent and not restart):
                    self._full.add(entry.path)
                    return
                known.sent, restart = answer.size, False

    def _send_whole(self, entry: openat.Entry, *, final: bool) -> None:
        looks = (entry.inode, entry.size, entry.modified_ns)
        settled = final or self._seen.get(entry.path) == looks
        self._seen[entry.path] = looks
        if self._sent.get(entry.path) == looks or not settled:
            return
        with self._open(entry.path) as file:
            total = os.fstat(file).st_size
            offset = 0
            while True:
                data = openat.read_at(file, offset, min(MAX_CHUNK_BYTES, total - offset))
                if offset + len(data) < total and len(data) < MAX_CHUNK_BYTES:
                    # It shrinks while it is read: the next turn sees what it is then.
                    return
                answer = self._post(entry.path, offset, data, total=total)
                if answer.full:
                    self._full.add(entry.path)
                    return
                offset += len(data)
                if answer.size != offset:
                    return
                if offset >= total:
                    break
        self._sent[entry.path] = looks

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
            raise _Enough(f"its last files take longer than {self._finish_s:g} s and are not kept")
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
            raise _Enough
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
