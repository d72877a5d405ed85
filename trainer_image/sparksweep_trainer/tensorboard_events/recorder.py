"""Follows the trials of a run: takes changed statuses and reports, writes event files, and passes on newest reports.

The same on a cluster, where reports arrive with the trials' files, and in a local run, which reads them where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from sparksweep_core.api.columns import SearchDescription
from sparksweep_core.api.status import ReportedMetrics
from sparksweep_core.api.trials import Trial
from sparksweep_trainer.files.reports import ReportParser, newest_for_status
from sparksweep_trainer.tensorboard_events.sessions import Sessions

OnReport = Callable[[int, int, ReportedMetrics], None]
"""Receives a running trial's number, its attempt and its newest report."""


class RunRecorder:
    """The reports of one run's trials. Not thread-safe."""

    def __init__(
        self,
        trials_directory: Path,
        described: SearchDescription,
        *,
        tensorboard: bool = True,
        on_report: OnReport | None = None,
    ) -> None:
        """
        Args:
            trials_directory: the directory of the trials' directories.
            described: parameters and objective of the experiment.
            tensorboard: True to write each trial's session for TensorBoard.
            on_report: receives the newest report of a running trial.
        """
        self._on_report = on_report
        self._reports = ReportParser()
        self._attempts: dict[int, int] = {}
        self._sessions: Sessions | None = None
        if tensorboard:
            self._sessions = Sessions(trials_directory, described.parameters, described.objective)

    def put(self, trial: Trial) -> None:
        """Take a trial's changed state."""
        number, status = trial.number, trial.status
        if self._attempts.get(number) != status.attempt or trial.state.is_finished:
            self._reports.forget(number)
            self._attempts[number] = status.attempt
        if self._sessions is not None:
            self._sessions.put(status, trial.spec.parameters)
        if trial.state.is_finished:
            # Whatever of its reports comes later belongs to an attempt that has ended.
            self._attempts.pop(number, None)

    def feed(self, number: int, data: bytes) -> None:
        """Take more of the file in which a trial reports."""
        reports = self._reports.feed(number, data)
        if self._sessions is not None:
            self._sessions.report(number, reports)
        newest = newest_for_status(reports)
        if newest is not None and self._on_report is not None:
            self._on_report(number, self._attempts.get(number, 0), newest)

    def lacks_session(self, trial: Trial) -> bool:
        """Return True if the trial has ended without a session: a driver before this one wrote none, or lost it."""
        return (
            self._sessions is not None
            and trial.state.is_finished
            and not self._sessions.has_events(trial.number)
        )

    def put_ended(self, trial: Trial, parts: Iterable[bytes] = ()) -> None:
        """Write the session of a trial that has ended, with the reports of its file, which comes in parts."""
        if self._sessions is not None:
            parser = ReportParser()
            reports = (parser.feed(trial.number, data) for data in parts)
            self._sessions.put_ended(trial.status, trial.spec.parameters, reports)
