"""The run directory on the driver's side: takes in parts of trials' files, as slots send them.

Nothing in them is looked at, but for what a trial reports (`listen`). A part may come twice, when the answer to the
first was lost: a growing file is written at the offset given, and one that is replaced as a whole takes its place only
when it is complete. An attempt later than the one known begins its logs anew, and from then on nothing of an earlier
one is taken.
"""

from __future__ import annotations

import logging
import os
import threading
import time
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
from sparksweep_trainer.files.quotas import Bounds
from sparksweep_trainer.protocol import Chunk, ChunkTaken

log = logging.getLogger(__name__)

MAX_NOTES = 100
"""Lines that are written about one trial's files."""

Listener = Callable[[int, bytes], None]


def _hear_nothing(_: int, __: bytes) -> None:
    """Nobody wants to know."""


@dataclass
class _Trial:
    """What is known of one trial's files. Its lock is held while one of them is written."""

    attempt: int
    lock: threading.Lock = field(default_factory=threading.Lock)
    sizes: dict[str, int] = field(default_factory=dict)
    """Every file."""
    begun: set[str] = field(default_factory=set)
    """Growing files that this attempt has begun."""
    parts: dict[str, int] = field(default_factory=dict)
    """Files that are to be replaced as a whole: how much of them is there."""
    refused: set[str] = field(default_factory=set)
    notes: int = 0

    @property
    def saved(self) -> int:
        """Bytes of the files without the logs."""
        return sum(size for path, size in self.sizes.items() if path not in OF_ATTEMPT)


class FileStore:
    """Writes trials' files below a directory, for many threads. A disk that is full loses files, never a trial."""

    def __init__(
        self,
        directory: Path,
        *,
        bounds: Bounds | None = None,
        listen: Listener = _hear_nothing,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            directory: the run directory, which is made if need be; what an earlier driver left there stays.
            bounds: how much is kept.
            listen: gets what trials report, as it comes: the trial's number and more of its metrics file.
            clock: seconds since 1970.
        """
        directory.joinpath(TRIALS).mkdir(parents=True, exist_ok=True)
        self._root = directory
        self._bounds = bounds or Bounds()
        self._listen = listen
        self._clock = clock
        self._lock = threading.Lock()
        self._trials: dict[int, _Trial] = {}
        with openat.directory(directory, [TRIALS]) as trials:
            self._used = sum(entry.size for entry in openat.listing(trials, most=10**7, depth=20))

    @property
    def used(self) -> int:
        """Bytes of all files."""
        with self._lock:
            return self._used

    def take(self, chunk: Chunk, data: bytes) -> ChunkTaken:
        """Take in a part of a file.

        Raises:
            ValueError: the file has a name that none may have.
        """
        parts = segments(chunk.path)
        try:
            trial = self._trial(chunk.number, chunk.attempt)
            with trial.lock:
                if trial.attempt != chunk.attempt:
                    return ChunkTaken(taken=False)
                if chunk.path in trial.refused:
                    return ChunkTaken(taken=True, full=True)
                where = [TRIALS, trial_directory_name(chunk.number), *parts[:-1]]
                with openat.directory(self._root, where, make=True) as parent:
                    if chunk.total is None or grows(chunk.path):
                        return self._grow(trial, chunk, data, parent, parts[-1])
                    return self._replace(trial, chunk, chunk.total, data, parent, parts[-1])
        except OSError as error:
            log.warning("%s of trial %d is not kept: %s", chunk.path, chunk.number, error)
            return ChunkTaken(taken=True, full=True)

    def begin(self, number: int, attempt: int) -> None:
        """An attempt is assigned: put the logs of the one before aside, before anyone reads of it."""
        try:
            self._trial(number, attempt)
        except OSError as error:
            log.warning("the logs of trial %d are not put aside: %s", number, error)

    def note(self, number: int, text: str) -> None:
        """Write a line about a trial's files, for whoever reads its log."""
        line = note_line(self._clock(), text)
        try:
            where = [TRIALS, trial_directory_name(number)]
            with (
                openat.directory(self._root, where, make=True) as parent,
                openat.regular_file(
                    parent, NOTES_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND
                ) as file,
            ):
                os.write(file, line)
        except OSError as error:
            log.warning("trial %d: %s (which could not be noted: %s)", number, text, error)

    # ------------------------------------------------------------------ under a trial's lock

    def _trial(self, number: int, attempt: int) -> _Trial:
        with self._lock:
            trial = self._trials.get(number)
            if trial is None:
                trial = self._trials[number] = _Trial(attempt=0)
        with trial.lock:
            if attempt > trial.attempt:
                self._begin(trial, number, attempt)
        return trial

    def _begin(self, trial: _Trial, number: int, attempt: int) -> None:
        """Put the logs of earlier attempts aside, and count what is there."""
        with openat.directory(
            self._root, [TRIALS, trial_directory_name(number)], make=True
        ) as parent:
            for name in OF_ATTEMPT:
                with suppress(FileNotFoundError):
                    kept = earlier_name(name, trial.attempt or attempt - 1)
                    os.rename(name, kept, src_dir_fd=parent, dst_dir_fd=parent)
            entries = openat.listing(parent, most=10**5, depth=20)
        trial.sizes = {entry.path: entry.size for entry in entries}
        trial.attempt = attempt
        trial.begun.clear()
        trial.parts.clear()
        trial.refused.clear()

    def _grow(self, trial: _Trial, chunk: Chunk, data: bytes, parent: int, name: str) -> ChunkTaken:
        path, end = chunk.path, chunk.offset + len(data)
        begins = chunk.restart or path not in trial.begun
        known = 0 if begins else trial.sizes.get(path, 0)
        if chunk.offset > known:
            return ChunkTaken(taken=True, size=known)
        if end <= known:
            return ChunkTaken(taken=True, size=known)
        if not self._make_room(trial, chunk, path, end):
            return ChunkTaken(taken=True, full=True)
        truncate = os.O_TRUNC if begins else 0
        with openat.regular_file(parent, name, os.O_WRONLY | os.O_CREAT | truncate) as file:
            openat.write_at(file, data, chunk.offset)
        trial.begun.add(path)
        if path == METRICS_FILE:
            self._listen(chunk.number, data[known - chunk.offset :])
        return ChunkTaken(taken=True, size=end)

    def _replace(
        self, trial: _Trial, chunk: Chunk, total: int, data: bytes, parent: int, name: str
    ) -> ChunkTaken:
        path, end = chunk.path, chunk.offset + len(data)
        there = trial.parts.get(path, 0)
        if end > total or (chunk.offset and chunk.offset != there):
            return ChunkTaken(taken=True, size=0)
        if not chunk.offset and not self._make_room(trial, chunk, path, total):
            return ChunkTaken(taken=True, full=True)
        unfinished = f".{name}.part"
        truncate = 0 if chunk.offset else os.O_TRUNC
        with openat.regular_file(parent, unfinished, os.O_WRONLY | os.O_CREAT | truncate) as file:
            openat.write_at(file, data, chunk.offset)
        trial.parts[path] = end
        if end == total:
            os.rename(unfinished, name, src_dir_fd=parent, dst_dir_fd=parent)
            del trial.parts[path]
        return ChunkTaken(taken=True, size=end)

    def _make_room(self, trial: _Trial, chunk: Chunk, path: str, size: int) -> bool:
        """Count a file with the size that it is to have; False, and a note, if that is too much."""
        before = trial.sizes.get(path, 0)
        with self._lock:
            why = self._bounds.refusal(
                path,
                size=size,
                before=before,
                others=trial.saved - (0 if path in OF_ATTEMPT else before),
                files=len(trial.sizes),
                run=self._used,
            )
            if why is None:
                self._used += size - before
                trial.sizes[path] = size
                return True
        trial.refused.add(path)
        if trial.notes < MAX_NOTES:
            trial.notes += 1
            kept = f"{before} bytes of {path} are kept, and no more" if before else f"{path} is not kept"  # fmt: skip
            self.note(chunk.number, f"{kept}: {why}")
        return False
