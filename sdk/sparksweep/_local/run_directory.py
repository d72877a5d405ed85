"""The run directory of a local run: its state, its trials' files and its results. See ``contract.run_layout`` for the files."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from sparksweep._local.doors import Door
from sparksweep._local.journal import Journal, Recorded, mend_journal, read_journal
from sparksweep._local.record import RunRecord, recorded_version
from sparksweep._local.state import recorded_trials
from sparksweep.errors import RunDirectoryError
from sparksweep_core.api import Experiment, Trial, TrialStatus
from sparksweep_core.contract.run_layout import (
    EXPERIMENT_FILE,
    JOURNAL_FILE,
    LOCK_FILE,
    LOG_FILES,
    RESULTS_FILE,
    RUN_FILE,
    SPARK_LOG,
    TRIALS,
    earlier_name,
    trial_directory_name,
)
from sparksweep_core.contract.sealed_files import sha256
from sparksweep_core.kubernetes_yaml import dump_yaml
from sparksweep_core.validation.document import read_recorded

READERS_S = 0.2
"""Longest wait for a reader, which holds the lock for a moment and must not refuse a run."""
LOCK_PAUSE_S = 0.05
"""Pause between two tries to lock."""
_CODE = "code"


class RunDirectory:
    """A run directory, for reading; `lock` it before writing."""

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.abspath(path))
        self._lock: IO[str] | None = None

    @classmethod
    def create(cls, path: Path, *, door: Door = Door.COMMAND_LINE) -> RunDirectory:
        """Make a new run directory, and lock it.

        Args:
            path: The directory.
            door: The interface in whose words an error speaks.

        Raises:
            RunDirectoryError: The path exists and is not an empty directory, or it can't be made.
        """
        directory = cls(path)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            way_on = f", or go on with {door.resume(path)}" if directory.holds_run else ""
            raise RunDirectoryError(f"{path} exists already: {door.new_directory()}{way_on}")
        try:
            directory.trials.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunDirectoryError(f"{path} can't be made: {error.strerror}") from error
        directory.lock(door=door)
        return directory

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """Open the run directory of an earlier or running run.

        Raises:
            RunDirectoryError: The path holds no run.
        """
        directory = cls(path)
        if not directory.holds_run:
            raise RunDirectoryError(
                f"{path} is not a run directory: {_way_on(path)}"
                if path.exists()
                else f"{path} does not exist"
            )
        return directory

    @property
    def holds_run(self) -> bool:
        """True if there is a run in the directory."""
        return self.journal.is_file() and self.experiment.is_file()

    @property
    def experiment(self) -> Path:
        """The file of the Experiment with its status."""
        return self.path / EXPERIMENT_FILE

    @property
    def journal(self) -> Path:
        """The file of the journal."""
        return self.path / JOURNAL_FILE

    @property
    def results(self) -> Path:
        """The file of the results, with a row for each trial."""
        return self.path / RESULTS_FILE

    @property
    def spark_log(self) -> Path:
        """The file of Spark's own output."""
        return self.path / SPARK_LOG

    @property
    def code(self) -> Path:
        """The directory of code that is too long for the Experiment, if there is any."""
        return self.path / _CODE

    @property
    def trials(self) -> Path:
        """The directory of the trials' directories."""
        return self.path / TRIALS

    def trial(self, number: int) -> Path:
        """Return the directory of a trial."""
        return self.trials / trial_directory_name(number)

    def has_begun(self, status: TrialStatus) -> bool:
        """Return True if the files of the trial's directory are the current attempt's.

        An attempt begins by renaming the logs of the one before.
        """
        before = status.attempt - 1
        return (
            before < 1 or (self.trial(status.number) / earlier_name(LOG_FILES[0], before)).exists()
        )

    def lock(self, *, door: Door = Door.COMMAND_LINE, patience_s: float = 0.0) -> None:
        """Lock the directory against other processes, until `unlock` or the end of this process.

        Args:
            door: The interface in whose words an error speaks.
            patience_s: Seconds to wait for another process that ends.

        Raises:
            RunDirectoryError: Another process holds the lock.
        """
        try:
            lock = (self.path / LOCK_FILE).open("a+")
        except OSError as error:
            raise RunDirectoryError(f"{self.path} can't be written: {error.strerror}") from error
        deadline = time.monotonic() + max(patience_s, READERS_S)
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() < deadline:
                    time.sleep(LOCK_PAUSE_S)
                    continue
                lock.close()
                holder = self.holder()
                who = "another process" if holder is None else f"process {holder}"
                raise RunDirectoryError(
                    f"{self.path} is in use by {who}: {door.watch(self.path)}"
                ) from error
        self._hold(lock)

    def hand_over(self) -> int:
        """Return the descriptor of the lock, for a process that inherits it and calls `take_over`."""
        assert self._lock is not None
        return self._lock.fileno()

    def take_over(self, descriptor: int) -> None:
        """Hold the lock whose descriptor this process has inherited."""
        # Not inherited further: a trial that outlives its run must not hold the lock.
        os.set_inheritable(descriptor, False)
        self._hold(os.fdopen(descriptor, "a+"))

    def _hold(self, lock: IO[str]) -> None:
        lock.truncate(0)
        lock.write(f"process {os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def is_locked(self) -> bool:
        """Return True if a process holds the lock: the run goes on."""
        try:
            with (self.path / LOCK_FILE).open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def holder(self) -> int | None:
        """Return the number of the process that locked the directory last; None if it is unknown."""
        try:
            word, _, number = (self.path / LOCK_FILE).read_text().strip().partition(" ")
        except OSError:
            return None
        return int(number) if word == "process" and number.isdigit() else None

    def unlock(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def begin(
        self, experiment: Experiment, record: RunRecord, code: Mapping[str, bytes] | None = None
    ) -> None:
        """Write the files of a new run, so that it can be read and resumed from now on.

        Args:
            experiment: The Experiment.
            record: The facts that its document lacks.
            code: Files of code that is too long for the Experiment, by their names.

        Raises:
            RunDirectoryError: The directory can't be written.
        """
        try:
            if code:
                self._write_code(code)
            hashes = {name: sha256(content) for name, content in (code or {}).items()}
            self.write_record(record.model_copy(update={"code": hashes}))
            self.write_experiment(experiment)
            self.journal.touch()
        except OSError as error:
            raise RunDirectoryError(
                f"{self.path} can't be written: {error.strerror or error}"
            ) from error

    def _write_code(self, code: Mapping[str, bytes]) -> None:
        """Write files of code, which no trial is to change: a resumed run and all its trials run them."""
        self.code.mkdir(exist_ok=True)
        for name, content in code.items():
            (self.code / name).write_bytes(content)
            # Not the directory: its owner could not remove the run any more.
            (self.code / name).chmod(0o444)

    def code_seals(self, record: RunRecord) -> dict[str, dict[str, str]]:
        """Return the seals of the run's own code for its `Program`; of an earlier version's run, as the code is now."""
        if not self.code.is_dir():
            return {}
        hashes = record.code
        if hashes is None:
            files = (path for path in self.code.iterdir() if path.is_file())
            hashes = {path.name: sha256(path.read_bytes()) for path in files}
        return {str(self.code.absolute()): hashes}

    def write_record(self, record: RunRecord) -> None:
        """Replace ``run.json`` atomically."""
        _replace(self.path / RUN_FILE, record.to_json())

    @property
    def _version(self) -> str:
        return recorded_version(self.path / RUN_FILE)

    def read_record(self) -> RunRecord:
        """Return the facts that the Experiment's document lacks."""
        return RunRecord.read(self.path / RUN_FILE)

    def open_journal(self) -> Journal:
        """Open the journal to append to.

        Raises:
            RunDirectoryError: It can't be written.
        """
        try:
            if self.journal.exists():
                mend_journal(self.journal)
            return Journal(self.journal)
        except OSError as error:
            raise RunDirectoryError(
                f"{self.journal} can't be written: {error.strerror or error}"
            ) from error

    def write_experiment(self, experiment: Experiment) -> None:
        """Replace ``experiment.yaml`` atomically."""
        text = dump_yaml(experiment.to_dict())
        _replace(self.experiment, text)

    def read_experiment(self) -> Experiment:
        """Return the Experiment with its status as last written; fields of a later version are left out.

        Raises:
            InvalidExperiment: It was changed, and is invalid now.
            Unreadable: A later version wrote a value that this one does not understand.
        """
        return read_recorded(self.experiment, writer=self._version)[0]

    def unknown_fields(self) -> list[str]:
        """Return the paths of the Experiment's fields that this version does not know."""
        return read_recorded(self.experiment, writer=self._version)[1]

    def read_journal(self) -> Recorded:
        """Return the contents of the journal."""
        if not self.journal.exists():
            return Recorded()
        return read_journal(self.journal, writer=self._version)

    def read_trials(self) -> list[Trial]:
        """Return every trial, sorted by number."""
        return recorded_trials(self.read_journal())


def _replace(path: Path, text: str) -> None:
    """Replace a file atomically; nothing is left of one that can't be written."""
    unfinished = path.with_name(f".{path.name}.new")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
        raise


def _way_on(path: Path) -> str:
    """Return the reason why a path is no run directory, or a run directory that is in it."""
    try:
        run = next(
            (child for child in sorted(path.iterdir()) if RunDirectory(child).holds_run), None
        )
    except OSError:
        run = None
    if run is not None:
        return f"name one of those in it, such as {run}"
    return f"it has no {EXPERIMENT_FILE} or no {JOURNAL_FILE}"
