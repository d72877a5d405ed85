"""The run directory of an experiment on a cluster, as the driver keeps it: trials' files, and what became of them.

Files come in on the slots' own threads. The table is written by a thread of its own, which nobody waits for.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from sparksweep.api.columns import Described
from sparksweep.api.reasons import TrialReason, TrialState
from sparksweep.api.status import TrialStatus
from sparksweep.api.trials import Trial
from sparksweep_trainer.cluster.settings import ClusterSettings
from sparksweep_trainer.files.room import Bounds
from sparksweep_trainer.files.store import FileStore
from sparksweep_trainer.results import write_results

log = logging.getLogger(__name__)

RESULTS_FILE = "results.parquet"
RESULTS_S = 30.0
"""Seconds between two times that the table is written, if anything has changed."""

_UNSEEN = (TrialReason.EXECUTOR_LOST.value, TrialReason.OOM_KILLED.value)
"""Reasons of ends after which no slot may have been there to send the last files."""


class RunFiles:
    """Keeps the run directory. For many threads."""

    def __init__(
        self,
        directory: Path,
        described: Described,
        *,
        bounds: Bounds | None = None,
        results_s: float = RESULTS_S,
    ) -> None:
        """
        Args:
            directory: the run directory.
            described: which parameters and metrics there are.
            bounds: how much of trials' files is kept.
            results_s: seconds between two times that the table is written.
        """
        self.files = FileStore(directory, bounds=bounds)
        self._directory = directory
        self._described = described
        self._results_s = results_s
        self._trials: Callable[[], list[Trial]] = list
        self._changed = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="run-files", daemon=True)

    @classmethod
    def of(cls, settings: ClusterSettings) -> RunFiles | None:
        """The run directory that the pod was given; None without one."""
        if settings.run_directory is None:
            return None
        bounds = Bounds(run_bytes=settings.run_bytes)
        return cls(settings.run_directory, settings.program, bounds=bounds)

    def start(self, trials: Callable[[], list[Trial]]) -> None:
        """Begin to write the table of the trials that there are."""
        self._trials = trials
        self._changed.set()
        self._thread.start()

    def close(self, *, flush_s: float) -> None:
        """Write the table for the last time, for at most that long."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(timeout=flush_s)

    def record(self, changed: Sequence[TrialStatus]) -> None:
        """Take in what became of trials; called before anyone gets to see it."""
        self._changed.set()
        for status in changed:
            if status.state is TrialState.RUNNING and status.attempt > 1:
                self.files.begin(status.number, status.attempt)
            if status.reason in _UNSEEN and status.message:
                self.files.note(
                    status.number, f"attempt {status.attempt}: {status.reason}: {status.message}"
                )

    def _run(self) -> None:
        while not self._over.wait(self._results_s):
            self._write_results()
        self._write_results()

    def _write_results(self) -> None:
        if not self._changed.is_set():
            return
        self._changed.clear()
        try:
            write_results(self._directory / RESULTS_FILE, self._described, self._trials())
        except OSError as error:
            log.warning("%s is not written: %s", RESULTS_FILE, error)
            self._changed.set()
