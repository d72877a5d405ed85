"""Reads what the trials of a local run report, in a thread of its own, for TensorBoard and for displays.

The trials' directories are on this machine, so that the reports are read where the trials write them.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sparksweep._local.run_directory import RunDirectory
from sparksweep_core.api import Trial, TrialState, TrialStatus
from sparksweep_core.contract.run_layout import METRICS_FILE
from sparksweep_trainer.files import openat
from sparksweep_trainer.tensorboard_events.recorder import RunRecorder

log = logging.getLogger(__name__)

INTERVAL_S = 1.0
"""Seconds between two reads of a trial's reports."""
PART_BYTES = 2**20
"""Bytes of a running trial's reports that are read at once: a flood must not delay the other trials'."""


@dataclass
class _Followed:
    """The file of a running attempt's reports, as far as it was read."""

    status: TrialStatus
    offset: int = 0


class ReportFollower:
    """Follows the reports of the running trials. Thread-safe; an error costs reports, never the run."""

    def __init__(
        self, directory: RunDirectory, recorder: RunRecorder, *, interval_s: float = INTERVAL_S
    ) -> None:
        self._directory = directory
        self._recorder = recorder
        self._interval_s = interval_s
        self._statuses: queue.SimpleQueue[Trial | None] = queue.SimpleQueue()
        self._followed: dict[int, _Followed] = {}
        self._before: Sequence[Trial] = ()
        self._thread = threading.Thread(target=self._run, name="reports", daemon=True)

    def start(self, trials: Sequence[Trial] = ()) -> None:
        """Start following; `trials` are those of the run so far."""
        self._before = trials
        self._thread.start()

    def record(self, changed: Sequence[Trial]) -> None:
        """Take changed trials; does not block."""
        for trial in changed:
            self._statuses.put(trial)

    def close(self) -> None:
        """Read the rest of the reports, and end."""
        self._statuses.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    # ------------------------------------------------------------------ in a thread of its own

    def _run(self) -> None:
        try:
            write_missing_sessions(self._directory, self._recorder, self._before)
            self._before = ()
            self._follow()
        except Exception:
            # Displays and TensorBoard lack what follows; the trials and their results do not depend on it.
            log.exception("the trials' reports are not followed any more")

    def _follow(self) -> None:
        due = time.monotonic() + self._interval_s
        while True:
            try:
                trial = self._statuses.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                due = time.monotonic() + self._interval_s
                for followed in list(self._followed.values()):
                    self._read(followed)
                continue
            if trial is None:
                return
            self._take(trial)

    def _take(self, trial: Trial) -> None:
        status = trial.status
        followed = self._followed.pop(status.number, None)
        if status.state is TrialState.RUNNING:
            self._followed[status.number] = _Followed(status)
        elif followed is not None and status.state.is_finished:
            # Nothing is written to the file any more. After an attempt that is not the last, it may be the next one's.
            self._read(followed, whole=True)
        self._recorder.put(trial)

    def _read(self, followed: _Followed, *, whole: bool = False) -> None:
        status = followed.status
        if not whole and not self._directory.has_begun(status):
            return
        for data in read_reports(self._directory, status.number, followed.offset):
            followed.offset += len(data)
            self._recorder.feed(status.number, data)
            if not whole:
                return


def read_reports(directory: RunDirectory, number: int, offset: int = 0) -> Iterator[bytes]:
    """Yield the reports of a trial from an offset on, in parts; nothing if they can't be read."""
    try:
        with (
            openat.directory(directory.trial(number)) as parent,
            openat.regular_file(parent, METRICS_FILE, os.O_RDONLY) as file,
        ):
            while data := openat.read_at(file, offset, PART_BYTES):
                yield data
                offset += len(data)
    except OSError:
        return


def write_missing_sessions(
    directory: RunDirectory, recorder: RunRecorder, trials: Iterable[Trial]
) -> None:
    """Write event files for the trials that have ended and have none: earlier versions wrote none in a local run."""
    for trial in trials:
        if recorder.lacks_session(trial):
            recorder.put_ended(trial, read_reports(directory, trial.number))
