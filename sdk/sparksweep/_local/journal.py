"""The journal of a run: the state that must survive a crash, as one JSON object a line, append-only.

There are three kinds of records, each with one key: ``batch`` (a TrialBatch's spec, new or changed), ``trial`` (a trial's
newest status) and ``status`` (the Experiment's status, when a condition changed). The last record of a batch, a trial or
the status is the valid one.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sparksweep.errors import FieldError, RunDirectoryError, Unreadable
from sparksweep_core.api import ExperimentStatus, TrialBatch, TrialStatus
from sparksweep_core.validation.reading import check_notes, own_version, read_object


@dataclass
class Recorded:
    """The contents of a journal."""

    batches: dict[int, TrialBatch] = field(default_factory=dict)
    """Batches by index, without status."""
    trials: dict[int, TrialStatus] = field(default_factory=dict)
    """Trials' statuses by number."""
    status: ExperimentStatus | None = None
    """The Experiment's status."""


class JournalNotWritten(RunDirectoryError, OSError):
    """A record could not be appended; the journal ends with the record before it."""

    __str__ = Exception.__str__


class Journal:
    """An open journal. Thread-safe.

    A record that can't be written whole is cut off again, so that each line stays a record, and may be appended again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._size = os.fstat(self._file).st_size
        self._is_torn = False
        self._lock = threading.Lock()

    def append_batch(self, batch: TrialBatch) -> None:
        """Append a batch's spec, and sync the file.

        Raises:
            JournalNotWritten: the disk is full, or fails. So do all that append.
        """
        self._append([("batch", batch.model_copy(update={"status": None}).to_json())], durable=True)

    def append_trials(self, statuses: Sequence[TrialStatus]) -> None:
        """Append trials' statuses, and sync the file if one of them is final.

        The start of a trial need not survive a loss of power: at worst one attempt too few is counted.
        """
        durable = any(status.state.is_finished for status in statuses)
        self._append([("trial", status.to_json()) for status in statuses], durable=durable)

    def append_status(self, status: ExperimentStatus) -> None:
        """Append the Experiment's status, and sync the file."""
        self._append([("status", status.to_json())], durable=True)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _append(self, records: Iterable[tuple[str, str]], *, durable: bool) -> None:
        # One write, so that a crash leaves at most one incomplete line, the last.
        lines = "".join(f'{{"{kind}":{text}}}\n' for kind, text in records).encode()
        with self._lock:
            try:
                self._cut()
                self._is_torn = True
                rest = memoryview(lines)
                while rest:
                    rest = rest[os.write(self._file, rest) :]
                if durable:
                    os.fdatasync(self._file)
            except OSError as error:
                with suppress(OSError):
                    self._cut()
                text = f"{self._path} can't be written: {error.strerror or error}"
                raise JournalNotWritten(text) from error
            self._is_torn = False
            self._size += len(lines)

    def _cut(self) -> None:
        """Cut off what is left of a record that was not written whole."""
        if self._is_torn:
            os.ftruncate(self._file, self._size)
            self._is_torn = False


def read_journal(path: Path, *, writer: str = "") -> Recorded:
    """Read a journal. An incomplete last line, which a crash leaves, is ignored.

    Args:
        path: The journal.
        writer: The version that wrote it; empty if it is unknown.

    Raises:
        RunDirectoryError: Another line is damaged, or of a version that this one does not understand.
    """
    recorded = Recorded()
    whole, _ = _split_torn(path.read_bytes())
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            _take(recorded, json.loads(line), f"{path}, line {number}", writer)
        except Unreadable as error:
            raise RunDirectoryError(str(error)) from error
        except (ValueError, RecursionError) as error:
            # JSON that is nested a thousand times is read by recursion.
            raise RunDirectoryError(f"{path}, line {number} is damaged: {error}") from error
    # Of the last record of each batch: an end that a later record takes back binds nobody.
    for index, batch in recorded.batches.items():
        try:
            check_notes(batch, f"{path}, batch {index}", writer=writer)
        except Unreadable as error:
            raise RunDirectoryError(str(error)) from error
    return recorded


def mend_journal(path: Path) -> None:
    """Cut off an incomplete last line, so that the next record starts a new line."""
    whole, torn = _split_torn(path.read_bytes())
    if torn:
        os.truncate(path, len(whole))


def _split_torn(content: bytes) -> tuple[bytes, bytes]:
    end = content.rfind(b"\n") + 1
    return content[:end], content[end:]


def _take(recorded: Recorded, record: object, subject: str, writer: str) -> None:
    if not isinstance(record, dict) or len(record) != 1:
        raise ValueError("it is no object of one key")
    ((kind, value),) = record.items()
    if kind == "batch":
        batch = read_object(TrialBatch, value, subject, writer=writer)
        recorded.batches[batch.spec.index] = batch
    elif kind == "trial":
        status = read_object(TrialStatus, value, subject, writer=writer)
        recorded.trials[status.number] = status
    elif kind == "status":
        recorded.status = read_object(ExperimentStatus, value, subject, writer=writer)
    else:
        known = FieldError(str(kind), "is no kind of record: there are batch, trial and status")
        raise Unreadable(subject, [known], reader=own_version(), writer=writer)
