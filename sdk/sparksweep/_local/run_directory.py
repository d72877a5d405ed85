"""The run directory of a local run: its state, its trials' files and its results. See ``contract.run_layout`` for the files."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from sparksweep._local.journal import Journal, Recorded, mend_journal, read_journal
from sparksweep._local.state import recorded_trials
from sparksweep.errors import RunDirectoryError
from sparksweep_core.api import Experiment, Trial, TrialStatus
from sparksweep_core.contract.run_layout import (
    CODE,
    EXPERIMENT_FILE,
    JOURNAL_FILE,
    LOCK_FILE,
    LOG_FILES,
    RESULTS_FILE,
    SPARK_LOG,
    TRIALS,
    earlier_name,
    trial_directory_name,
)
from sparksweep_core.kubernetes_yaml import dump_yaml
from sparksweep_core.validation.document import read_experiment


class RunDirectory:
    """A run directory, for reading; `lock` it before writing."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: IO[str] | None = None

    @classmethod
    def create(cls, path: Path) -> RunDirectory:
        """Make a new run directory, and lock it.

        Raises:
            RunDirectoryError: The path exists and is not an empty directory, or it can't be made.
        """
        directory = cls(path)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise RunDirectoryError(
                f"{path} exists already: name another directory with --dir, "
                "or continue the run in it with --resume"
            )
        try:
            directory.trials.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunDirectoryError(f"{path} can't be made: {error.strerror}") from error
        directory.lock()
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
                f"{path} is not a run directory: it has no {EXPERIMENT_FILE} or no {JOURNAL_FILE}"
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
        return self.path / CODE

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

    def lock(self) -> None:
        """Lock the directory against other processes, until `unlock` or the end of this process.

        Raises:
            RunDirectoryError: Another process holds the lock.
        """
        lock = (self.path / LOCK_FILE).open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().strip() or "another process"
            lock.close()
            raise RunDirectoryError(f"{self.path} is in use by {holder}") from error
        lock.truncate(0)
        lock.write(f"process {os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def unlock(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def open_journal(self) -> Journal:
        """Open the journal to append to."""
        if self.journal.exists():
            mend_journal(self.journal)
        return Journal(self.journal)

    def write_experiment(self, experiment: Experiment) -> None:
        """Replace ``experiment.yaml`` atomically."""
        text = dump_yaml(experiment.to_dict())
        unfinished = self.path / f".{EXPERIMENT_FILE}.new"
        unfinished.write_text(text)
        unfinished.replace(self.experiment)

    def read_experiment(self) -> Experiment:
        """Return the Experiment with its status as last written."""
        return read_experiment(self.experiment)

    def read_journal(self) -> Recorded:
        """Return the contents of the journal."""
        return read_journal(self.journal) if self.journal.exists() else Recorded()

    def read_trials(self) -> list[Trial]:
        """Return every trial, sorted by number."""
        return recorded_trials(self.read_journal())
