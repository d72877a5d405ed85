"""The `RunReader` of a run directory on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from sparksweep._listing import Listing
from sparksweep._local.run_directory import RunDirectory
from sparksweep_core.api import Experiment, Trial, TrialState
from sparksweep_core.contract.run_layout import METRICS_FILE
from sparksweep_trainer.files import openat
from sparksweep_trainer.files.reports import TAIL_BYTES, newest_in

PART_BYTES = 2**20


class LocalRunReader:
    """Reads the run directory of a finished or a running run."""

    def __init__(self, path: Path) -> None:
        """Open the run directory.

        Raises:
            RunDirectoryError: The path holds no run.
        """
        self._directory = RunDirectory.open(path)
        self.title = str(path)

    def experiment(self) -> Experiment:
        """See `RunReader`."""
        return self._directory.read_experiment()

    def trials(self) -> Listing[Trial]:
        """See `RunReader`. A running trial has its newest report, which only its own file holds."""
        return Listing(
            self._with_report(trial) if trial.state is TrialState.RUNNING else trial
            for trial in self._directory.read_trials()
        )

    def trial(self, number: int) -> Trial | None:
        """See `RunReader`. An attempt counts once it has renamed the logs of the one before."""
        trial = next((trial for trial in self.trials() if trial.number == number), None)
        if trial is None or self._directory.has_begun(trial.status):
            return trial
        before = trial.status.attempt - 1
        return Trial(trial.spec, trial.status.model_copy(update={"attempt": before}))

    def is_live(self) -> bool:
        """See `RunReader`. The process of a run holds the directory's lock."""
        return self._directory.is_locked()

    def read(self, path: str, offset: int) -> bytes | None:
        """See `RunReader`."""
        *parts, name = path.split("/")
        try:
            with (
                openat.directory(self._directory.path.resolve(), parts) as parent,
                openat.regular_file(parent, name, os.O_RDONLY) as file,
            ):
                return openat.read_at(file, offset, PART_BYTES)
        except OSError:
            return None

    def _with_report(self, trial: Trial) -> Trial:
        """Return a running trial with its newest report, if it has made one."""
        if not self._directory.has_begun(trial.status):
            return trial
        try:
            with (
                openat.directory(self._directory.trial(trial.number)) as parent,
                openat.regular_file(parent, METRICS_FILE, os.O_RDONLY) as file,
            ):
                start = max(0, os.fstat(file).st_size - TAIL_BYTES)
                reported = newest_in(openat.read_at(file, start, TAIL_BYTES))
        except OSError:
            return trial
        return Trial(trial.spec, trial.status.model_copy(update={"reported": reported}))

    def location(self, number: int) -> str:
        """See `RunReader`."""
        return str(self._directory.trial(number))

    def absence(self, _: Trial) -> str:
        """See `RunReader`."""
        return ""
