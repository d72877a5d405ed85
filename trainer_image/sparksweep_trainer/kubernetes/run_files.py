"""The run directory of an experiment on a cluster, as the driver keeps it: trials' files, and what became of them.

Files come in on the slots' own threads. The table, and what TensorBoard reads, are written by a thread of their own, for
which nobody waits.
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
from sparksweep_trainer.files.copying import Copier, Copying
from sparksweep_trainer.files.quotas import Quotas
from sparksweep_trainer.files.reports import Report, ReportParser
from sparksweep_trainer.files.results import write_results
from sparksweep_trainer.files.store import FileStore
from sparksweep_trainer.kubernetes.settings import ClusterSettings
from sparksweep_trainer.tensorboard_events.sessions import Sessions

log = logging.getLogger(__name__)

RESULTS_S = 30.0
"""Seconds between two times that the table is written, if anything has changed."""

_UNSEEN = (TrialReason.EXECUTOR_LOST.value, TrialReason.OOM_KILLED.value)
"""Reasons of ends after which no slot may have been there to send the last files."""


_News = TrialStatus | tuple[int, bytes] | None
"""What became of a trial, more of what one reports, or that this is the end."""


class RunFiles:
    """Keeps the run directory. For many threads."""

    def __init__(
        self,
        directory: Path,
        described: SearchDescription,
        *,
        quotas: Quotas | None = None,
        tensorboard: bool = True,
        uri: str | None = None,
        results_s: float = RESULTS_S,
        tell: Callable[[int, Report], None] | None = None,
    ) -> None:
        """
        Args:
            directory: the run directory.
            described: which parameters and metrics there are.
            quotas: how much of trials' files is kept.
            tensorboard: whether to write each trial's session for TensorBoard.
            uri: where the directory is copied to.
            results_s: seconds between two times that the table is written.
            tell: gets the number and the newest report of a trial that runs.
        """
        self._news: queue.SimpleQueue[_News] = queue.SimpleQueue()
        self.files = FileStore(directory, quotas=quotas, listen=self._hear)
        self._directory = directory
        self._described = described
        self._results_s = results_s
        self._trials: Callable[[], list[Trial]] = list
        self._changed = True
        self._parameters: dict[int, Mapping[str, str]] = {}
        self._tell = tell
        self._reports = ReportParser()
        self._attempts: dict[int, int] = {}
        self._sessions: Sessions | None = None
        if tensorboard:
            trials = directory / TRIALS
            self._sessions = Sessions(trials, described.parameters, described.objective)
        self._copying: Copying | None = None
        if uri is not None:
            self._copying = Copying(Copier(directory, uri), table=RESULTS_FILE)
        self._thread = threading.Thread(target=self._run, name="run-files", daemon=True)

    @classmethod
    def of(cls, settings: ClusterSettings, tell: Callable[[int, Report], None]) -> RunFiles | None:
        """The run directory that the pod was given; None without one."""
        if settings.run_directory is None:
            return None
        quotas = Quotas(run_bytes=settings.run_bytes)
        return cls(
            settings.run_directory,
            settings.program,
            quotas=quotas,
            tensorboard=settings.tensorboard,
            uri=settings.storage_uri,
            tell=tell,
        )

    def start(self, trials: Callable[[], list[Trial]]) -> None:
        """Begin to write of the trials that there are."""
        self._trials = trials
        self._thread.start()
        if self._copying is not None:
            self._copying.start()

    def close(self, *, flush_s: float, copy_s: float) -> None:
        """Write for the last time, for at most `flush_s`, and copy what is left, for at most `copy_s`."""
        self._news.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout=flush_s)
        if self._copying is not None:
            self._copying.close(flush_s=copy_s)

    def record(self, changed: Sequence[TrialStatus]) -> None:
        """Take in what became of trials; called before anyone gets to see it."""
        for status in changed:
            self._news.put(status)
            if status.state is TrialState.RUNNING and status.attempt > 1:
                self.files.begin(status.number, status.attempt)
            if status.reason in _UNSEEN and status.message:
                self.files.note(
                    status.number, f"attempt {status.attempt}: {status.reason}: {status.message}"
                )

    def _hear(self, number: int, data: bytes) -> None:
        self._news.put((number, data))

    # ------------------------------------------------------------------ in a thread of its own

    def _run(self) -> None:
        self._tell_of_earlier_trials()
        due = time.monotonic() + self._results_s
        while True:
            try:
                news = self._news.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                self._write_results()
                due = time.monotonic() + self._results_s
                continue
            if news is None:
                self._write_results()
                return
            self._take(news)

    def _take(self, news: TrialStatus | tuple[int, bytes]) -> None:
        if isinstance(news, TrialStatus):
            self._changed = True
            if self._attempts.get(news.number) != news.attempt or news.state.is_finished:
                self._reports.forget(news.number)
                self._attempts[news.number] = news.attempt
            if self._sessions is not None:
                self._sessions.put(news, self._parameters_of(news.number))
            if self._copying is not None and news.state.is_finished:
                self._copying.trial_ended(news.number)
            return
        number, data = news
        reports = self._reports.feed(number, data)
        if self._sessions is not None:
            self._sessions.report(number, reports)
        if reports and self._tell is not None:
            self._tell(number, reports[-1])

    def _tell_of_earlier_trials(self) -> None:
        """An earlier driver's directory may be gone, and its trials' files with it; their metrics are not."""
        if self._sessions is None:
            return
        for trial in self._trials():
            if trial.state.is_finished and not self._sessions.knows(trial.number):
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
