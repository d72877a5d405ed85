"""The run directory of an experiment on a cluster: trials' files, the table of results, TensorBoard's event files.

Files arrive on the slots' request threads. The table and the event files are written by a thread of their own, for
which nothing waits.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sparksweep_core.api.columns import SearchDescription
from sparksweep_core.api.reasons import TrialReason, TrialState
from sparksweep_core.api.status import TrialStatus
from sparksweep_core.api.trials import Trial
from sparksweep_core.contract.run_layout import RESULTS_FILE, TRIALS
from sparksweep_trainer.files.copying import Copier, CopyThread
from sparksweep_trainer.files.quotas import Quotas
from sparksweep_trainer.files.reports import MetricsReport, ReportParser
from sparksweep_trainer.files.results import write_results
from sparksweep_trainer.files.store import FileStore
from sparksweep_trainer.kubernetes.settings import ClusterSettings
from sparksweep_trainer.tensorboard_events.sessions import Sessions

log = logging.getLogger(__name__)

RESULTS_S = 30.0
"""Seconds between two writes of the table, if anything has changed."""

_UNSEEN = (TrialReason.EXECUTOR_LOST.value, TrialReason.OOM_KILLED.value)
"""Reasons of ends after which a slot may not have sent its last files."""


_Event = TrialStatus | tuple[int, bytes] | None
"""A changed status, more bytes of the reports of a trial by its number, or None for the end."""


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
        on_report: Callable[[int, MetricsReport], None] | None = None,
    ) -> None:
        """
        Args:
            directory: the run directory.
            described: parameters and metrics of the experiment.
            quotas: limits on the size of trials' files.
            tensorboard: True to write each trial's session for TensorBoard.
            uri: destination of a copy of the directory; None for no copy.
            results_s: seconds between two writes of the table.
            on_report: receives the number and the newest report of a running trial.
        """
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self.files = FileStore(directory, quotas=quotas, listen=self._receive)
        self._directory = directory
        self._described = described
        self._results_s = results_s
        self._trials: Callable[[], list[Trial]] = list
        self._changed = True
        self._parameters: dict[int, Mapping[str, str]] = {}
        self._on_report = on_report
        self._reports = ReportParser()
        self._attempts: dict[int, int] = {}
        self._sessions: Sessions | None = None
        if tensorboard:
            trials = directory / TRIALS
            self._sessions = Sessions(trials, described.parameters, described.objective)
        self._copying: CopyThread | None = None
        if uri is not None:
            self._copying = CopyThread(Copier(directory, uri), table=RESULTS_FILE)
        self._thread = threading.Thread(target=self._run, name="run-files", daemon=True)

    @classmethod
    def of(
        cls, settings: ClusterSettings, on_report: Callable[[int, MetricsReport], None]
    ) -> RunFiles | None:
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

    def start(self, trials: Callable[[], list[Trial]]) -> None:
        """Start writing; `trials` returns all trials."""
        self._trials = trials
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

    def record(self, changed: Sequence[TrialStatus]) -> None:
        """Record changed statuses; called before anyone can read them."""
        for status in changed:
            self._events.put(status)
            if status.state is TrialState.RUNNING and status.attempt > 1:
                self.files.begin(status.number, status.attempt)
            if status.reason in _UNSEEN and status.message:
                self.files.note(
                    status.number, f"attempt {status.attempt}: {status.reason}: {status.message}"
                )

    def _receive(self, number: int, data: bytes) -> None:
        self._events.put((number, data))

    # ------------------------------------------------------------------ in a thread of its own

    def _run(self) -> None:
        self._write_earlier_sessions()
        due = time.monotonic() + self._results_s
        while True:
            try:
                event = self._events.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                self._write_results()
                due = time.monotonic() + self._results_s
                continue
            if event is None:
                self._write_results()
                return
            self._take(event)

    def _take(self, event: TrialStatus | tuple[int, bytes]) -> None:
        if isinstance(event, TrialStatus):
            self._changed = True
            if self._attempts.get(event.number) != event.attempt or event.state.is_finished:
                self._reports.forget(event.number)
                self._attempts[event.number] = event.attempt
            if self._sessions is not None:
                self._sessions.put(event, self._parameters_of(event.number))
            if self._copying is not None and event.state.is_finished:
                self._copying.trial_ended(event.number)
            return
        number, data = event
        reports = self._reports.feed(number, data)
        if self._sessions is not None:
            self._sessions.report(number, reports)
        if reports and self._on_report is not None:
            self._on_report(number, reports[-1])

    def _write_earlier_sessions(self) -> None:
        """Write the sessions of trials that ended before: an earlier driver's directory may be gone, their metrics
        are not.
        """
        if self._sessions is None:
            return
        for trial in self._trials():
            if trial.state.is_finished and not self._sessions.has_events(trial.number):
                self._sessions.put(trial.status, trial.spec.parameters)

    def _parameters_of(self, number: int) -> Mapping[str, str]:
        if number not in self._parameters:
            self._parameters = {trial.number: trial.spec.parameters for trial in self._trials()}
        return self._parameters.get(number, {})

    def _write_results(self) -> None:
        if not self._changed:
            return
        self._changed = False
        try:
            write_results(self._directory / RESULTS_FILE, self._described, self._trials())
        except OSError as error:
            log.warning("%s is not written: %s", RESULTS_FILE, error)
            self._changed = True
            return
        if self._copying is not None:
            self._copying.table_written()
