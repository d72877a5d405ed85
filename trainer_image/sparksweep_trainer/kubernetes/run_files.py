"""The run directory of an experiment on a cluster: trials' files, the table of results, TensorBoard's event files.

Files arrive on the slots' request threads. The table and the event files are written by a thread of their own, for
which nothing waits.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from sparksweep_core.api.columns import SearchDescription
from sparksweep_core.api.reasons import TrialReason, TrialState
from sparksweep_core.api.trials import Trial
from sparksweep_core.contract.run_layout import RESULTS_FILE, TRIALS
from sparksweep_trainer.files.copying import Copier, CopyThread
from sparksweep_trainer.files.quotas import Quotas
from sparksweep_trainer.files.results_table import ResultsTable
from sparksweep_trainer.files.store import FileStore
from sparksweep_trainer.kubernetes.settings import ClusterSettings
from sparksweep_trainer.tensorboard_events.recorder import OnReport, RunRecorder
from sparksweep_trainer.tensorboard_events.sessions import MAX_SESSIONS

log = logging.getLogger(__name__)

RESULTS_S = 30.0
"""Seconds between two writes of the table, if anything has changed."""

_UNSEEN = (TrialReason.EXECUTOR_LOST.value, TrialReason.OOM_KILLED.value)
"""Reasons of ends after which a slot may not have sent its last files."""


RESULTS_SHARE = 50
"""Writing the table takes at most one part in this many of the time, however many trials there are."""

_Event = Trial | tuple[int, bytes] | None
"""A new or changed trial, more bytes of the reports of a trial by its number, or None for the end."""


class RunFiles:
    """Writes the run directory. Thread-safe."""

    def __init__(
        self,
        directory: Path,
        described: SearchDescription,
        *,
        quotas: Quotas | None = None,
        tensorboard: bool = True,
        uri: str | None = None,
        results_s: float = RESULTS_S,
        on_report: OnReport | None = None,
    ) -> None:
        """
        Args:
            directory: the run directory.
            described: parameters and metrics of the experiment.
            quotas: limits on the size of trials' files.
            tensorboard: True to write each trial's session for TensorBoard.
            uri: destination of a copy of the directory; None for no copy.
            results_s: seconds between two writes of the table.
            on_report: receives the newest report of a running trial.
        """
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self.files = FileStore(directory, quotas=quotas, listen=self._receive)
        self._directory = directory
        self._described = described
        self._results_s = results_s
        self._table = ResultsTable(described)
        self._ended_before: list[Trial] = []
        self._started = False
        self._changed = True
        self._table_problem: str | None = None
        self._recorder = RunRecorder(
            directory / TRIALS,
            described,
            tensorboard=tensorboard,
            on_report=on_report,
        )
        self._copying: CopyThread | None = None
        if uri is not None:
            self._copying = CopyThread(Copier(directory, uri), table=RESULTS_FILE)
        self._thread = threading.Thread(target=self._run, name="run-files", daemon=True)

    @classmethod
    def of(cls, settings: ClusterSettings, on_report: OnReport) -> RunFiles | None:
        """Return the run directory named in the settings; None without one."""
        if settings.run_directory is None:
            return None
        quotas = Quotas(run_bytes=settings.run_bytes)
        return cls(
            settings.run_directory,
            settings.program,
            quotas=quotas,
            tensorboard=settings.tensorboard,
            uri=settings.storage_uri,
            on_report=on_report,
        )

    @property
    def problem(self) -> str | None:
        """Trouble with the disk or the copy's source, as text for the user; None without any."""
        return self._table_problem or self.files.problem

    def start(self) -> None:
        """Start writing."""
        self._started = True
        self._thread.start()
        if self._copying is not None:
            self._copying.start()

    def close(self, *, flush_s: float, copy_s: float) -> None:
        """Write for the last time, within `flush_s` seconds, and copy the rest, within `copy_s`."""
        self._events.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout=flush_s)
        if self._copying is not None:
            self._copying.close(flush_s=copy_s)

    def add(self, trials: Sequence[Trial]) -> None:
        """Add new trials, with the states that an earlier driver left them in."""
        for trial in trials:
            if self._started:
                self._events.put(trial)
                continue
            # A hundred thousand trials of an earlier driver must not wait in the queue as objects.
            self._table.put(trial)
            if trial.state.is_finished and len(self._ended_before) < MAX_SESSIONS:
                self._ended_before.append(trial)

    def record(self, changed: Sequence[Trial]) -> None:
        """Record changed trials; called before anyone can read their states."""
        for trial in changed:
            status = trial.status
            self._events.put(trial)
            if status.state is TrialState.RUNNING and status.attempt > 1:
                self.files.begin(status.number, status.attempt)
            if status.reason in _UNSEEN and status.message:
                self.files.note(
                    status.number, f"attempt {status.attempt}: {status.reason}: {status.message}"
                )
            if status.state.is_finished:
                self.files.end(status.number)

    def _receive(self, number: int, data: bytes) -> None:
        self._events.put((number, data))

    # ------------------------------------------------------------------ in a thread of its own

    def _run(self) -> None:
        # An earlier driver's directory may be gone; the metrics of its trials are not.
        for trial in self._ended_before:
            if self._recorder.lacks_session(trial):
                self._recorder.put_ended(trial)
        self._ended_before.clear()
        due = time.monotonic() + self._results_s
        while True:
            try:
                event = self._events.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                took_s = self._write_results()
                due = time.monotonic() + max(self._results_s, RESULTS_SHARE * took_s)
                continue
            if event is None:
                self._write_results()
                return
            self._take(event)

    def _take(self, event: Trial | tuple[int, bytes]) -> None:
        if isinstance(event, Trial):
            self._changed = True
            self._table.put(event)
            self._recorder.put(event)
            if self._copying is not None and event.state.is_finished:
                self._copying.trial_ended(event.number)
            return
        self._recorder.feed(*event)

    def _write_results(self) -> float:
        """Write the table if anything has changed; return the seconds that it took."""
        if not self._changed:
            return 0.0
        began = time.monotonic()
        try:
            self._table.write(self._directory / RESULTS_FILE)
        except OSError as error:
            log.warning("%s is not written: %s", RESULTS_FILE, error)
            words = error.strerror or error
            self._table_problem = f"{RESULTS_FILE} can't be written: {words}"
        else:
            self._changed = False
            self._table_problem = None
            if self._copying is not None:
                self._copying.table_written()
        return time.monotonic() - began
