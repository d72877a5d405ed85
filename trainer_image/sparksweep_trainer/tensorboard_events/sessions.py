"""Each trial's session for TensorBoard: parameters at the start, then reports, metrics and status at the end.

A trial's event file lies in the trial's directory, so that its run in TensorBoard has the directory's name, ``0007``.
Event files that the trial itself writes below ``tensorboard`` are another run, ``0007/tensorboard``. The columns of the
HParams page are in a file of the directory above. Not thread-safe.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sparksweep_core.api.reasons import TrialState
from sparksweep_core.api.search_spec import Objective, Parameter, ParameterType
from sparksweep_core.api.status import TrialStatus
from sparksweep_core.contract.run_layout import EVENTS_SUFFIX, trial_directory_name
from sparksweep_trainer.files import openat
from sparksweep_trainer.files.reports import MetricsReport
from sparksweep_trainer.tensorboard_events import events
from sparksweep_trainer.trial.arguments import decode

log = logging.getLogger(__name__)

MAX_POINTS = 10_000
"""Values of a metric that are written as they are; then every tenth up to ten times as many, then every hundredth."""
MAX_SESSIONS = 5000
"""Trials that TensorBoard shows: its pages are of no use with more."""

_STATUSES = {
    TrialState.SUCCEEDED: events.SessionStatus.SUCCESS,
    TrialState.FAILED: events.SessionStatus.FAILURE,
    TrialState.STOPPED: events.SessionStatus.FAILURE,
}


@dataclass
class _Session:
    """Event file of an attempt that runs."""

    attempt: int
    file: str
    step: int = 0
    last: dict[str, float] = field(default_factory=dict)
    """Metrics that were reported for this step."""
    counts: dict[str, int] = field(default_factory=dict)
    """Numbers of reported values, by metric."""

    def thinned(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Return those of a report's metrics that are written: of a long curve not every value.

        TensorBoard itself draws a sample of a thousand points, and encoding takes longer than reporting.
        """
        written = {}
        for name, value in metrics.items():
            count = self.counts[name] = self.counts.get(name, 0) + 1
            if (count - 1) % _stride(count) == 0:
                written[name] = value
        return written

    def take(self, report: MetricsReport) -> None:
        """Keep the metrics that are reported for the highest step."""
        if report.step > self.step or not self.last:
            self.step, self.last = report.step, {}
        if report.step == self.step:
            self.last |= report.metrics

    def final_step(self, metrics: Mapping[str, float]) -> int:
        """Return the last step, or the one after it if final metrics would replace other values that were reported."""
        replaces = any(self.last.get(name, value) != value for name, value in metrics.items())
        return self.step + replaces


class Sessions:
    """Event files of one experiment's trials, below the directory of the trials' directories."""

    def __init__(
        self,
        root: Path,
        parameters: Iterable[Parameter],
        objective: Objective | None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._root = root
        self._types = {item.name: item.parameter_type for item in parameters}
        self._clock = clock
        self._metrics: list[str] = []
        self._running: dict[int, _Session] = {}
        self._shown: set[int] = set()
        if objective is not None:
            self._metrics = [objective.objective_metric_name, *objective.additional_metric_names]
        self._describe()

    def put(self, status: TrialStatus, parameters: Mapping[str, str]) -> None:
        """Write a trial's start or end, if its status says so."""
        if status.number not in self._shown and len(self._shown) >= MAX_SESSIONS:
            return
        session = self._running.get(status.number)
        if status.state is TrialState.RUNNING:
            if session is None or session.attempt != status.attempt:
                self._begin(status, parameters)
        elif status.state.is_finished and status.attempt:
            if session is None:
                session = self._begin(status, parameters)
            del self._running[status.number]
            self._end(session, status)
        elif session is not None:
            # The trial waits for its next attempt.
            del self._running[status.number]

    def put_ended(
        self,
        status: TrialStatus,
        parameters: Mapping[str, str],
        reports: Iterable[Iterable[MetricsReport]] = (),
    ) -> None:
        """Write the whole session of a trial that has ended, if it has ever run; its reports come in parts."""
        if status.attempt and len(self._shown) < MAX_SESSIONS:
            self._begin(status, parameters)
            for part in reports:
                self.report(status.number, part)
            self.put(status, parameters)

    def has_events(self, number: int) -> bool:
        """Return True if the trial has an event file, perhaps from an earlier driver; it counts as shown then."""
        if number in self._shown:
            return True
        with (
            suppress(OSError),
            openat.directory(self._root, [trial_directory_name(number)]) as parent,
        ):
            if any(name.endswith(EVENTS_SUFFIX) for name in os.listdir(parent)):
                self._shown.add(number)
                return True
        return False

    def report(self, number: int, reports: Iterable[MetricsReport]) -> None:
        """Write the reports of a running trial."""
        session = self._running.get(number)
        if session is None:
            return
        written: list[bytes] = []
        for report in reports:
            session.take(report)
            if values := session.thinned(report.metrics):
                written.append(events.scalars(values, step=report.step, moment=report.time))
        if written:
            self._append([trial_directory_name(number)], session.file, b"".join(written))

    def _begin(self, status: TrialStatus, parameters: Mapping[str, str]) -> _Session:
        moment = self._clock() if status.start_time is None else status.start_time.timestamp()
        name = trial_directory_name(status.number)
        session = _Session(status.attempt, _file_name(moment))
        self._running[status.number] = session
        self._shown.add(status.number)
        # Reports of an earlier attempt must not be mixed with those of this one.
        self._remove([name])
        values = {
            parameter: decode(self._types[parameter].value, value)
            for parameter, value in parameters.items()
            if parameter in self._types
        }
        encoded = events.first_event(moment)
        encoded += events.session_start(values, moment=moment)
        self._append([name], session.file, encoded)
        return session

    def _end(self, session: _Session, status: TrialStatus) -> None:
        moment = status.completion_time.timestamp() if status.completion_time else self._clock()
        new = sorted(set(status.metrics) - set(self._metrics))
        if new:
            self._metrics += new
            self._describe()
        written = b""
        if status.metrics:
            written = events.scalars(
                status.metrics, step=session.final_step(status.metrics), moment=moment
            )
        written += events.session_end(_STATUSES[status.state], moment=moment)
        self._append([trial_directory_name(status.number)], session.file, written)

    def _describe(self) -> None:
        """Write the columns of the HParams page; again when a trial has a new metric."""
        now = self._clock()
        numeric = [
            name for name, kind in self._types.items() if kind is not ParameterType.CATEGORICAL
        ]
        columns = events.experiment(list(self._types), numeric, self._metrics, moment=now)
        self._remove([])
        self._append([], _file_name(now), events.first_event(now) + columns)

    def _append(self, directory: list[str], name: str, data: bytes) -> None:
        try:
            flags = os.O_WRONLY | os.O_CREAT
            with (
                openat.directory(self._root, directory, make=True) as parent,
                openat.regular_file(parent, name, flags) as file,
            ):
                size = os.fstat(file).st_size
                try:
                    openat.write_at(file, data, size)
                except OSError:
                    # A part of a record would hide all that follow it.
                    os.ftruncate(file, size)
                    raise
        except OSError as error:
            log.warning("TensorBoard's file of %s is not written: %s", directory or "all", error)

    def _remove(self, directory: list[str]) -> None:
        with suppress(OSError), openat.directory(self._root, directory) as parent:
            for name in os.listdir(parent):
                if name.endswith(EVENTS_SUFFIX):
                    os.unlink(name, dir_fd=parent)


def _file_name(moment: float) -> str:
    return f"events.out.tfevents.{int(moment * 1000):014d}{EVENTS_SUFFIX}"


def _stride(count: int) -> int:
    stride = 1
    while count > MAX_POINTS * stride:
        stride *= 10
    return stride
