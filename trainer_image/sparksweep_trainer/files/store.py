"""The driver's store of trials' files: writes the chunks that slots send into the run directory.

Contents are not parsed; the metrics that a trial reports are passed on to `listen`. A chunk may come twice, if the
answer to the first one was lost: a growing file is written at the chunk's offset, and a file that is replaced as a
whole appears under its name only when it is complete. A later attempt starts new logs, and from then on chunks of
earlier attempts are refused.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sparksweep_core.contract.line_formats import note_line
from sparksweep_core.contract.run_layout import (
    METRICS_FILE,
    NOTES_FILE,
    OF_ATTEMPT,
    TRIALS,
    earlier_name,
    grows,
    segments,
    trial_directory_name,
)
from sparksweep_trainer.files import openat
from sparksweep_trainer.files.quotas import Quotas
from sparksweep_trainer.protocol import Chunk, ChunkTaken

log = logging.getLogger(__name__)

MAX_REFUSED = 2000
"""Names of a trial's refused files that are remembered; others are checked again. Slots list no more of them at once."""
MAX_NOTES = 100
"""Lines that are written about one trial's files, at most."""

MAX_WAITING_NOTES = 1000
"""Lines that wait for room on a full disk, at most."""
TROUBLE_S = 60.0
"""Seconds after a failed write for which the disk counts as in trouble, if none has failed since."""
_OF_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})

Listener = Callable[[int, bytes], None]


def _ignore(_: int, __: bytes) -> None:
    """Ignore reports."""


@dataclass
class _Trial:
    """State of one trial's files. Its lock is held while one of them is written."""

    attempt: int
    lock: threading.Lock = field(default_factory=threading.Lock)
    sizes: dict[str, int] = field(default_factory=dict)
    """Size of each file."""
    begun: set[str] = field(default_factory=set)
    """Growing files of which this attempt has sent a chunk."""
    parts: dict[str, int] = field(default_factory=dict)
    """Incomplete files that will be replaced as a whole, with the bytes received."""
    refused: set[str] = field(default_factory=set)
    notes: int = 0

    @property
    def saved(self) -> int:
        """Bytes of the trial's files without its logs."""
        return sum(size for path, size in self.sizes.items() if path not in OF_ATTEMPT)


class FileStore:
    """Writes trials' files below a directory. Thread-safe. A full disk costs files, never a trial.

    While the disk takes nothing, slots are told to send a file later, and `problem` says why.
    """

    def __init__(
        self,
        directory: Path,
        *,
        quotas: Quotas | None = None,
        listen: Listener = _ignore,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the run directory, and create it if it does not exist; files of an earlier driver stay.

        Args:
            directory: the run directory.
            quotas: the most that is kept.
            listen: receives reports as they come: the trial's number and more of its metrics file.
            clock: returns seconds since 1970.
            monotonic: returns seconds of a clock that nobody sets.
        """
        directory.mkdir(parents=True, exist_ok=True)
        with openat.directory(directory, [TRIALS], make=True):
            pass
        self._root = directory
        self._quotas = quotas or Quotas()
        self._listen = listen
        self._clock = clock
        self._monotonic = monotonic
        self._trouble: tuple[float, str] | None = None
        self._waiting_notes: deque[tuple[int, bytes]] = deque(maxlen=MAX_WAITING_NOTES)
        self._lock = threading.Lock()
        self._trials: dict[int, _Trial] = {}
        self._ended: array[int] = array("I")
        with openat.directory(directory, [TRIALS]) as trials:
            self._used = sum(entry.size for entry in openat.listing(trials, most=10**7, depth=20))

    @property
    def used(self) -> int:
        """Bytes of all files."""
        with self._lock:
            return self._used

    @property
    def problem(self) -> str | None:
        """Reason why files are not stored, as text for the user; None if the disk takes them."""
        trouble = self._trouble
        if trouble is None or self._monotonic() - trouble[0] > TROUBLE_S:
            return None
        return f"files of trials can't be stored: {trouble[1]}"

    def take(self, chunk: Chunk, data: bytes) -> ChunkTaken:
        """Write a chunk of a file.

        Raises:
            ValueError: the file's name is not allowed.
        """
        parts = segments(chunk.path)
        try:
            trial = self._trial(chunk.number, chunk.attempt)
            with trial.lock:
                if trial.attempt != chunk.attempt:
                    return ChunkTaken(taken=False)
                if chunk.path in trial.refused:
                    return ChunkTaken(taken=True, full=True)
                directory = [TRIALS, trial_directory_name(chunk.number), *parts[:-1]]
                try:
                    if chunk.total is None or grows(chunk.path):
                        answer = self._grow(trial, chunk, data, directory, parts[-1])
                    else:
                        answer = self._replace(
                            trial, chunk, chunk.total, data, directory, parts[-1]
                        )
                except OSError:
                    self._count_anew(trial, chunk.path, directory, parts[-1])
                    raise
        except OSError as error:
            if error.errno in _OF_DISK:
                self._note_trouble(error)
                return ChunkTaken(taken=True, later=True)
            log.warning("%s of trial %d is not kept: %s", chunk.path, chunk.number, error)
            return ChunkTaken(taken=True, full=True)
        if self._waiting_notes:
            self._write_waiting_notes()
        return answer

    def begin(self, number: int, attempt: int) -> None:
        """Rename the logs of the attempt before the one that is assigned now, before its status can be read."""
        try:
            self._trial(number, attempt)
        except OSError as error:
            log.warning("the logs of trial %d are not put aside: %s", number, error)

    def end(self, number: int) -> None:
        """Forget a trial that has ended, but for its attempt: a late part of its files must not begin it anew."""
        with self._lock:
            trial = self._trials.pop(number, None)
            if trial is None:
                return
            if number >= len(self._ended):
                self._ended.extend([0] * (max(number + 1, 2 * len(self._ended)) - len(self._ended)))
            self._ended[number] = trial.attempt

    def note(self, number: int, text: str) -> None:
        """Write a line about a trial's files, which is shown with its log."""
        line = note_line(self._clock(), text)
        try:
            self._write_note(number, line)
        except OSError as error:
            log.warning("trial %d: %s (which could not be noted: %s)", number, text, error)
            if error.errno in _OF_DISK:
                self._note_trouble(error)
                with self._lock:
                    self._waiting_notes.append((number, line))

    def _write_waiting_notes(self) -> None:
        """Write the lines that the disk had no room for."""
        with self._lock:
            waiting = list(self._waiting_notes)
            self._waiting_notes.clear()
        for index, (number, line) in enumerate(waiting):
            try:
                self._write_note(number, line)
            except OSError:
                with self._lock:
                    self._waiting_notes.extendleft(reversed(waiting[index:]))
                return

    def _write_note(self, number: int, line: bytes) -> None:
        directory = [TRIALS, trial_directory_name(number)]
        with (
            openat.directory(self._root, directory, make=True) as parent,
            openat.regular_file(parent, NOTES_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND) as file,
        ):
            os.write(file, line)

    def _note_trouble(self, error: OSError) -> None:
        words = error.strerror or str(error)
        before, self._trouble = self._trouble, (self._monotonic(), words)
        if before is None or before[1] != words:
            log.warning("files of trials can't be stored: %s", words)

    def _count_anew(self, trial: _Trial, path: str, directory: list[str], name: str) -> None:
        """Count a file that could not be written by what is on the disk, and give the room of an unfinished one back."""
        size = 0
        with suppress(OSError), openat.directory(self._root, directory) as parent:
            with suppress(OSError):
                os.unlink(f".{name}.part", dir_fd=parent)
            with suppress(OSError):
                size = os.stat(name, dir_fd=parent, follow_symlinks=False).st_size
        trial.parts.pop(path, None)
        with self._lock:
            self._used += size - trial.sizes.get(path, 0)
            trial.sizes[path] = size

    # ------------------------------------------------------------------ under a trial's lock

    def _trial(self, number: int, attempt: int) -> _Trial:
        with self._lock:
            trial = self._trials.get(number)
            if trial is None:
                ended = self._ended[number] if number < len(self._ended) else 0
                if attempt <= ended:
                    raise OSError(f"attempt {attempt} has ended")
                trial = self._trials[number] = _Trial(attempt=ended)
        with trial.lock:
            if attempt > trial.attempt:
                self._begin(trial, number, attempt)
        return trial

    def _begin(self, trial: _Trial, number: int, attempt: int) -> None:
        """Rename the logs of earlier attempts, and count the trial's files."""
        with openat.directory(
            self._root, [TRIALS, trial_directory_name(number)], make=True
        ) as parent:
            for name in OF_ATTEMPT:
                with suppress(FileNotFoundError):
                    earlier = earlier_name(name, trial.attempt or attempt - 1)
                    os.rename(name, earlier, src_dir_fd=parent, dst_dir_fd=parent)
            entries = openat.listing(parent, most=10**5, depth=20)
        trial.sizes = {entry.path: entry.size for entry in entries}
        trial.attempt = attempt
        trial.begun.clear()
        trial.parts.clear()
        trial.refused.clear()

    def _grow(
        self, trial: _Trial, chunk: Chunk, data: bytes, directory: list[str], name: str
    ) -> ChunkTaken:
        path, end = chunk.path, chunk.offset + len(data)
        begins = chunk.restart or path not in trial.begun
        size = 0 if begins else trial.sizes.get(path, 0)
        if chunk.offset > size or end <= size:
            return ChunkTaken(taken=True, size=size)
        if not self._reserve(trial, chunk, path, end):
            return ChunkTaken(taken=True, full=True)
        truncate = os.O_TRUNC if begins else 0
        with (
            openat.directory(self._root, directory, make=True) as parent,
            openat.regular_file(parent, name, os.O_WRONLY | os.O_CREAT | truncate) as file,
        ):
            openat.write_at(file, data, chunk.offset)
        trial.begun.add(path)
        if path == METRICS_FILE:
            self._listen(chunk.number, data[size - chunk.offset :])
        return ChunkTaken(taken=True, size=end)

    def _replace(
        self, trial: _Trial, chunk: Chunk, total: int, data: bytes, directory: list[str], name: str
    ) -> ChunkTaken:
        path, end = chunk.path, chunk.offset + len(data)
        received = trial.parts.get(path, 0)
        if end > total or (chunk.offset and chunk.offset != received):
            return ChunkTaken(taken=True, size=0)
        if not chunk.offset and not self._reserve(trial, chunk, path, total):
            return ChunkTaken(taken=True, full=True)
        unfinished = f".{name}.part"
        truncate = 0 if chunk.offset else os.O_TRUNC
        with openat.directory(self._root, directory, make=True) as parent:
            with openat.regular_file(
                parent, unfinished, os.O_WRONLY | os.O_CREAT | truncate
            ) as file:
                openat.write_at(file, data, chunk.offset)
            trial.parts[path] = end
            if end == total:
                os.rename(unfinished, name, src_dir_fd=parent, dst_dir_fd=parent)
                del trial.parts[path]
        return ChunkTaken(taken=True, size=end)

    def _reserve(self, trial: _Trial, chunk: Chunk, path: str, size: int) -> bool:
        """Count a file with its new size; False, and a note, if that exceeds a quota."""
        before = trial.sizes.get(path, 0)
        with self._lock:
            reason = self._quotas.refusal(
                path,
                size=size,
                before=before,
                others=trial.saved - (0 if path in OF_ATTEMPT else before),
                files=len(trial.sizes),
                run=self._used,
            )
            if reason is None:
                self._used += size - before
                trial.sizes[path] = size
                return True
        if len(trial.refused) < MAX_REFUSED:
            trial.refused.add(path)
        if trial.notes < MAX_NOTES:
            trial.notes += 1
            effect = f"{before} bytes of {path} are kept, and no more" if before else f"{path} is not kept"  # fmt: skip
            self.note(chunk.number, f"{effect}: {reason}")
        return False
