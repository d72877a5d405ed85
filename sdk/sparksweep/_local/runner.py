"""One local run: a loop that plans, submits trials to the driver, records their statuses, and plans again.

Level-triggered like the operator: each pass of the loop plans from the current state alone, so that a run that was killed
resumes from its journal.
"""

from __future__ import annotations

import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from sparksweep._local.doors import both_ways_on
from sparksweep._local.early_check import EarlyCheck
from sparksweep._local.journal import JournalNotWritten
from sparksweep._local.program import local_program
from sparksweep._local.record import RunRecord
from sparksweep._local.reports import ReportFollower
from sparksweep._local.run_directory import RunDirectory
from sparksweep._local.state import RunState
from sparksweep.errors import RunInterrupted
from sparksweep_core.ages import Ages
from sparksweep_core.api import (
    Experiment,
    ExperimentReason,
    ExperimentStatus,
    Trial,
    TrialBatch,
    TrialStatus,
)
from sparksweep_core.api.status import ReportedMetrics
from sparksweep_core.planner import DriverState, DriverStatus, Plan, plan
from sparksweep_core.planner.seeding import SEED_BYTES
from sparksweep_trainer.driver.java_process import JavaProcess
from sparksweep_trainer.driver.spark import Driver, DriverSettings
from sparksweep_trainer.driver.trial_service import TrialService
from sparksweep_trainer.files.results import write_results
from sparksweep_trainer.tensorboard_events.recorder import RunRecorder

MAX_WAIT_S = 0.25
"""Longest wait of the loop: an interrupt is handled, and a display redrawn, this often."""
MIN_WAIT_S = 0.02
"""Shortest wait of the loop: statuses that arrive within it are planned for together."""
JOURNAL_PATIENCE_S = 3.0
"""Seconds for which a journal that can't be written is tried again. Slots wait longer for the answer to a report."""
JOURNAL_PAUSE_S = 0.1
"""Pause between two tries."""
STATUS_INTERVAL_S = 1.0
"""Shortest time between two writes of ``experiment.yaml``."""
INTERRUPTED = (
    "The run was interrupted. It can be resumed: trials that were running then start again."
)
"""Message of the conditions."""


class Observer(Protocol):
    """Receives the progress of a run. Called from one thread."""

    def phase(self, text: str) -> None:
        """Handle the start of work other than trials."""

    def trial_changed(self, trial: Trial) -> None:
        """Handle a trial's new state."""

    def trial_reported(self, trial: Trial) -> None:
        """Handle a newer report of a running trial, at most one a second; `trial.status.reported` has it."""

    def status_changed(self, experiment: Experiment) -> None:
        """Handle a newer status; also called if only time has passed."""


def _now() -> datetime:
    return datetime.now(UTC)


class LocalRun:
    """A run of one Experiment in a locked run directory."""

    def __init__(
        self,
        experiment: Experiment,
        directory: RunDirectory,
        *,
        home: Path,
        observer: Observer,
        java: JavaProcess,
        record: RunRecord | None = None,
        clock: Callable[[], datetime] = _now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        recorded = directory.read_journal()
        status = recorded.status
        if status is None and not recorded.batches:
            status = ExperimentStatus(seed=secrets.randbits(8 * SEED_BYTES))
        self.experiment = experiment.model_copy(update={"status": status})
        self._directory = directory
        record = record or RunRecord()
        self._observer = observer
        self._java = java
        self._clock = clock
        self._monotonic = monotonic
        self._ages = Ages()
        self._state = RunState(recorded)
        self._journal = directory.open_journal()
        self._news: list[TrialStatus] = []
        self._reports: dict[int, tuple[int, ReportedMetrics]] = {}
        self._news_lock = threading.Lock()
        self._interrupted = threading.Event()
        self._interrupted_by = ""
        self._unrecorded = threading.Event()
        self._gave_up = False
        self._warned: set[str] = set()
        self._written = 0.0
        program = self._program = local_program(
            experiment,
            trials=directory.trials,
            home=home,
            modules=[directory.code] if directory.code.exists() else [],
            paths=record.python_path,
            code_seals=directory.code_seals(record),
        )
        self._service = TrialService(
            program,
            record=self._record,
            slots=experiment.spec.slots,
            clock=clock,
        )
        recorder = RunRecorder(
            directory.trials,
            program,
            tensorboard=experiment.spec.tensorboard.enabled,
            on_report=self._take_report,
        )
        self._follower = ReportFollower(directory, recorder)

    def interrupt(self, by: str) -> None:
        """Stop the running trials and end the run, so that it can be resumed. Safe in a signal handler.

        Args:
            by: what stops it, in the user's words: ``Ctrl-C``.
        """
        self._interrupted_by = self._interrupted_by or by
        self._interrupted.set()

    @property
    def trials(self) -> list[Trial]:
        """Every trial, by number."""
        return self._state.trials

    def run(self) -> Experiment:
        """Run to the end, or to an interrupt, and return the Experiment with its last status.

        Raises:
            SparkNotStarted: Spark or its Java does not start.
            RunInterrupted: The journal can't be written.
        """
        try:
            first = self._plan(DriverState.STARTING)
            self._apply(first)
            if not first.finished:
                self._run_trials()
            self._take_news()
            self._write_down(self._plan(DriverState.ABSENT), force=True)
            self._write_for_people(
                self._directory.results,
                lambda: write_results(self._directory.results, self.experiment.spec, self.trials),
            )
        finally:
            self._follower.close()
            self._journal.close()
        return self.experiment

    def _run_trials(self) -> None:
        for batch in self._state.batches:
            self._hand_over(batch)
        self._follower.start(self._state.trials)
        with tempfile.TemporaryDirectory(prefix="sparksweep-") as scratch:
            self._observer.phase("Starting Spark")
            driver = Driver(
                self._service, self._driver_settings(Path(scratch)), give_up=self._needs_no_spark
            )
            with EarlyCheck(self._program, self._service.code_check), driver:
                self._observer.phase("Loading the trial code")
                self._loop()

    def _needs_no_spark(self) -> bool:
        """Return True if the run ends before it has a slot."""
        return self._interrupted.is_set() or self._service.code_check.refusal is not None

    def _driver_settings(self, scratch: Path) -> DriverSettings:
        return DriverSettings(
            app_name=f"sparksweep {self.experiment.metadata.name}",
            master=f"local[{self.experiment.spec.slots}]",
            log_file=self._directory.spark_log,
            java=self._java,
            conf={
                "spark.driver.host": "127.0.0.1",
                "spark.driver.bindAddress": "127.0.0.1",
                "spark.local.dir": str(scratch),
            },
        )

    def _loop(self) -> None:
        version = -1
        stopping = False
        while True:
            if self._unrecorded.is_set():
                self._insist(self._service.commit)
            self._take_news()
            refusal = self._service.code_check.refusal
            if refusal is not None:
                self._state.refuse(refusal)
            planned = self._plan(DriverState.RUNNING)
            self._apply(planned)
            if planned.finished:
                return
            if self._interrupted.is_set() and not stopping:
                stopping = True
                by = self._interrupted_by
                self._observer.phase(f"Interrupted by {by}: stopping the running trials")
                self._service.interrupt(f"stopped by {by}; it starts again when the run is resumed")
            if stopping and self._service.running == 0:
                return
            timeout_s = MAX_WAIT_S
            if planned.requeue_after is not None:
                timeout_s = min(timeout_s, max(0.0, planned.requeue_after.total_seconds()))
            version = self._service.wait(version, timeout_s)
            # No slot is idle in this time: the planner keeps more trials pending than there are slots.
            time.sleep(MIN_WAIT_S)

    # ------------------------------------------------------------------ one pass of the loop

    def _record(self, changed: Sequence[Trial]) -> None:
        """Record statuses before the slot gets its answer. Called under the service's lock."""
        if self._gave_up:
            return
        statuses = [trial.status for trial in changed]
        try:
            self._journal.append_trials(statuses)
        except JournalNotWritten:
            # The service keeps the changes for the next time, and the slot repeats its report.
            self._unrecorded.set()
            raise
        self._follower.record(changed)
        with self._news_lock:
            self._news.extend(statuses)

    def _take_report(self, number: int, attempt: int, reported: ReportedMetrics) -> None:
        """Take a trial's newest report. Called in the follower's thread."""
        with self._news_lock:
            self._reports[number] = (attempt, reported)

    def _take_news(self) -> None:
        with self._news_lock:
            news, self._news = self._news, []
            reports, self._reports = self._reports, {}
        for trial in self._state.update_statuses(news):
            self._observer.trial_changed(trial)
        for number, (attempt, reported) in reports.items():
            running = self._state.report(number, attempt, reported)
            if running is not None:
                self._observer.trial_reported(running)

    def _plan(self, driver: DriverState) -> Plan:
        experiment = self.experiment
        if self._interrupted.is_set():
            # The planner treats an interrupt like `suspend`: no new trials, and no status is lost.
            spec = experiment.spec.model_copy(update={"suspend": True})
            experiment = experiment.model_copy(update={"spec": spec})
        now = self._clock()
        planned = plan(
            experiment,
            self._state.history,
            driver=DriverStatus(state=driver),
            now=now,
            age=self._ages.at(now, self._monotonic()),
        )
        return _as_interrupted(planned) if self._interrupted.is_set() else planned

    def _apply(self, planned: Plan) -> None:
        for batch in planned.batches:
            self._insist(partial(self._journal.append_batch, batch))
            self._state.add_batch(batch)
            self._hand_over(batch)
        self._write_down(planned, force=planned.finished)

    def _hand_over(self, batch: TrialBatch) -> None:
        statuses = self._state.statuses_of(batch)
        self._insist(lambda: self._service.submit(batch.spec.trials, statuses))
        stop = batch.spec.stop
        if stop is not None:
            self._insist(lambda: self._service.stop(stop))

    def _write_down(self, planned: Plan, *, force: bool) -> None:
        before = self.experiment.status
        has_news = before is None or before.conditions != planned.status.conditions
        if has_news:
            self._insist(lambda: self._journal.append_status(planned.status))
        self.experiment = self.experiment.model_copy(update={"status": planned.status})
        now = time.monotonic()
        if force or has_news or now - self._written >= STATUS_INTERVAL_S:
            self._write_for_people(
                self._directory.experiment,
                lambda: self._directory.write_experiment(self.experiment),
            )
            self._written = now
        self._observer.status_changed(self.experiment)

    # ------------------------------------------------------------------ disks that are full or fail

    def _insist(self, write: Callable[[], None]) -> None:
        """Write to the journal, and try again for a while: disks are full for a moment, too.

        Raises:
            RunInterrupted: it can't be written.
        """
        deadline = time.monotonic() + JOURNAL_PATIENCE_S
        while True:
            try:
                write()
            except JournalNotWritten as error:
                if time.monotonic() < deadline:
                    time.sleep(JOURNAL_PAUSE_S)
                    continue
                # What ends with the run can't be recorded either.
                self._gave_up = True
                self._service.interrupt("stopped, since the journal can't be written")
                raise RunInterrupted(
                    f"The run is interrupted: {error}. All that was recorded before is kept. Mend that, by making room on "
                    f"a full disk for instance, and go on with {both_ways_on(self._directory.path)}"
                ) from error
            self._unrecorded.clear()
            return

    def _write_for_people(self, path: Path, write: Callable[[], None]) -> None:
        """Write a file that no run depends on: if that fails, say so once, and let the next write try again."""
        try:
            write()
        except OSError as error:
            if path.name not in self._warned:
                self._warned.add(path.name)
                self._observer.phase(
                    f"{path} can't be written: {error.strerror or error}. The run goes on without it"
                )
        else:
            self._warned.discard(path.name)


def _as_interrupted(planned: Plan) -> Plan:
    """Return a plan of a suspended experiment with conditions that name the interrupt, not the field `suspend`."""
    interrupted = {"reason": ExperimentReason.INTERRUPTED.value, "message": INTERRUPTED}
    conditions = [
        condition.model_copy(update=interrupted)
        if condition.reason == ExperimentReason.SUSPENDED_BY_USER
        else condition
        for condition in planned.status.conditions
    ]
    return replace(planned, status=planned.status.model_copy(update={"conditions": conditions}))
