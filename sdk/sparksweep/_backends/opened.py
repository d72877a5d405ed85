"""A run directory that this program did not start: the run has ended, was interrupted, or goes on in another process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from sparksweep._backends.base import Run
from sparksweep._local.changes import Changes
from sparksweep._local.doors import Door
from sparksweep._local.run_directory import RunDirectory
from sparksweep._runs.local_run import LocalRunReader
from sparksweep.errors import SparksweepError
from sparksweep_core.api import ConditionType, Experiment

END_PATIENCE_S = 60.0
"""Seconds that the process of a run may take to stop its trials and Spark."""
POLL_S = 0.2


class OpenedRun:
    """The run in a run directory. Nothing is written there."""

    is_local = True

    def __init__(
        self, path: Path, resume: Callable[[Path, Changes], tuple[Experiment, Run]]
    ) -> None:
        """
        Args:
            path: The run directory.
            resume: Goes on with the run in a directory; see `local.resume_run`.
        """
        self._path = path
        self._resume = resume
        self._directory = RunDirectory(path)
        self.reader = LocalRunReader(path)

    @property
    def where(self) -> str:
        """The run directory."""
        return str(self._path)

    @property
    def logdir(self) -> str | None:
        """The run directory."""
        return str(self._path)

    @property
    def phase(self) -> str:
        """Nothing: the work before the first trial is not recorded."""
        return ""

    def experiment(self) -> Experiment:
        """Return the Experiment with its newest status."""
        return self.reader.experiment()

    def pause(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def standstill(self) -> str:
        """See `Run`: the words that continue it, unless a process runs it."""
        if self._directory.is_locked():
            return ""
        # Read after the lock: an end that the process wrote before it released the lock counts.
        if self.experiment().holds(ConditionType.COMPLETE, ConditionType.FAILED):
            return ""
        return f"{self._path} was interrupted, and nothing runs it: {Door.PYTHON.resume(self._path)} goes on"

    def resume(self, changes: Changes) -> tuple[Experiment, Run]:
        """See `Run`: a process of this program goes on."""
        return self._resume(self._path, changes)

    def cancel(self) -> None:
        """Interrupt the process that runs it, and wait until that has ended.

        Raises:
            SparksweepError: The process does not end.
        """
        holder = self._directory.holder()
        if holder is None or not self._directory.is_locked():
            return
        os.kill(holder, signal.SIGTERM)
        deadline = time.monotonic() + END_PATIENCE_S
        while self._directory.is_locked():
            if time.monotonic() >= deadline:
                raise SparksweepError(f"process {holder}, which runs {self._path}, does not end")
            time.sleep(POLL_S)

    def leave(self) -> str:
        """Return the words that wait again: the run goes on in its own process."""
        name = self.experiment().metadata.name
        return (
            f"{name} goes on in process {self._directory.holder()}: {Door.PYTHON.watch(self._path)}"
        )


def finished_text(experiment: Experiment) -> str:
    """Return the number of trials that have ended by themselves, of all that there are to be: ``12 of 40``."""
    if experiment.status is None:
        return "no"
    counts = experiment.status.trials
    ended = counts.succeeded + counts.failed
    return str(ended) if counts.expected is None else f"{ended} of {counts.expected}"
