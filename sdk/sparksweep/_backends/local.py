"""Experiments on this machine, each in a process of its own: `sparksweep._local.process` is its program."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from sparksweep import errors
from sparksweep._backends.opened import OpenedRun, finished_text
from sparksweep._builder import Built
from sparksweep._local.changes import Changes
from sparksweep._local.code_findings import CodePlaces
from sparksweep._local.doors import Door, both_ways_on
from sparksweep._local.libraries import require_libraries
from sparksweep._local.messages import RunMessage, RunRequest
from sparksweep._local.program import check_local
from sparksweep._local.record import RunRecord
from sparksweep._local.run_directory import RunDirectory
from sparksweep._runs.local_run import LocalRunReader
from sparksweep._text import block
from sparksweep._values import values_of
from sparksweep._warnings import warn
from sparksweep.errors import InvalidExperiment, SparksweepError, Unreadable
from sparksweep_core.api import ConditionType, Experiment
from sparksweep_core.validation.checks import parts_of
from sparksweep_core.validation.reading import read_json

END_PATIENCE_S = 30.0
"""Seconds that a run may take to stop its trials and Spark."""
RUNS = "runs"
"""The default directory of run directories."""


class LocalBackend:
    """This machine, on Spark's local master."""

    def __init__(self, directory: str | os.PathLike[str] | None = None) -> None:
        self._directory = None if directory is None else Path(directory).expanduser()

    def submit(self, built: Built) -> LocalProcess:
        """Make the run directory, and start a process that runs the experiment.

        Raises:
            MissingDependency: The extra `local` is not installed.
            InvalidExperiment: A local run can't run it.
            RunDirectoryError: The directory exists already, or can't be made.
        """
        require_libraries()
        experiment = built.experiment.model_copy(update={"status": None})
        check_local(experiment)
        if built.code is None:
            places = CodePlaces(built.home or Path.cwd(), paths=_search_path())
            if findings := list(places.code_findings(parts_of(experiment.spec))):
                raise InvalidExperiment(findings)
        path = (self._directory or Path(RUNS) / experiment.metadata.name).absolute()
        directory = RunDirectory.create(path, door=Door.PYTHON)
        record = RunRecord.of_start(built.home or Path.cwd(), _search_path())
        directory.begin(experiment, record, {} if built.code is None else built.code.files)
        return LocalProcess(experiment, directory)


def open_run(path: Path) -> tuple[Built, OpenedRun]:
    """Return the experiment and the run of a run directory.

    Raises:
        RunDirectoryError: There is no run, or it is damaged.
    """
    directory = RunDirectory.open(path)
    experiment = directory.read_experiment()
    return Built(experiment, values=values_of(experiment)), OpenedRun(directory.path, resume_run)


def resume_run(path: Path, changes: Changes) -> tuple[Experiment, LocalProcess | OpenedRun]:
    """Go on with the run in a run directory.

    Returns:
        The Experiment under the limits to go on with, and its run; of a run that has ended under the same limits,
        the run as it is.

    Raises:
        MissingDependency: The extra `local` is not installed.
        RunDirectoryError: There is no run, it is damaged, or a process runs it.
        InvalidExperiment: A limit can't be changed so.
    """
    # It imports the planner, which nothing else of this program needs.
    from sparksweep._local.resuming import prepare, relocated

    directory = RunDirectory.open(path)
    # The process of a run that has just ended holds the lock until Spark has ended, too.
    has_ended = directory.read_experiment().holds(ConditionType.COMPLETE, ConditionType.FAILED)
    directory.lock(door=Door.PYTHON, patience_s=END_PATIENCE_S if has_ended else 0.0)
    try:
        resumption = prepare(directory, changes=changes)
        if not resumption.goes_on:
            warn(
                f"{directory.path}: {resumption.found} Nothing is left to run; "
                "resume(max_trials=) and the other limits extend it."
            )
            return resumption.experiment, OpenedRun(directory.path, resume_run)
        require_libraries()
        _, note = relocated(directory, Path.cwd())
        notes = [text for text in (resumption.found, note) if text]
        return resumption.experiment, LocalProcess(resumption.experiment, directory, notes=notes)
    except InvalidExperiment as error:
        raise InvalidExperiment(Door.PYTHON.named(error.errors)) from None
    finally:
        directory.unlock()


class LocalProcess:
    """A local run in a process of its own."""

    is_local = True

    def __init__(
        self, experiment: Experiment, directory: RunDirectory, *, notes: Sequence[str] = ()
    ) -> None:
        """Start the process, which takes the lock of the directory over from this one."""
        self._experiment = experiment
        self._directory = directory.path
        self._condition = threading.Condition()
        self._phase = ""
        self._error: SparksweepError | None = None
        self._ended = False
        # A file, not a pipe: libraries print to it, and nothing reads it before the process has ended.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the process has ended
        lock = directory.hand_over()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sparksweep._local.process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                text=True,
                pass_fds=[lock],
                # Ctrl-C reaches this program alone, which then interrupts the run.
                start_new_session=True,
            )
        finally:
            directory.unlock()
        request = RunRequest(
            experiment=experiment.to_dict(),
            directory=str(directory.path),
            lock=lock,
            notes=list(notes),
        )
        assert self._process.stdin is not None
        self._process.stdin.write(request.to_json() + "\n")
        self._process.stdin.flush()
        self._reader = threading.Thread(target=self._read, name="local-run", daemon=True)
        self._reader.start()

    @property
    def where(self) -> str:
        """The run directory."""
        return str(self._directory)

    @property
    def logdir(self) -> str | None:
        """The run directory."""
        return str(self._directory)

    @property
    def phase(self) -> str:
        """The work before the first trial, as the process reports it."""
        with self._condition:
            return self._phase

    def experiment(self) -> Experiment:
        """Return the Experiment with its newest status.

        Raises:
            SparksweepError: The run could not start, or broke off.
        """
        with self._condition:
            if self._error is not None:
                raise self._error
            return self._experiment

    @property
    def reader(self) -> LocalRunReader:
        """The reader of the run directory."""
        return LocalRunReader(self._directory)

    def pause(self, seconds: float) -> None:
        """Wait for the next message."""
        with self._condition:
            if not self._ended:
                self._condition.wait(seconds)

    def standstill(self) -> str:
        """See `Run`: the process ends the run."""
        return ""

    def cancel(self) -> None:
        """Interrupt the run, and wait until it has ended."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(END_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def resume(self, changes: Changes) -> tuple[Experiment, LocalProcess | OpenedRun]:
        """See `Run`: another process goes on."""
        return resume_run(self._directory, changes)

    def leave(self) -> str:
        """Interrupt the run, and return the words that continue it."""
        try:
            self.cancel()
        except KeyboardInterrupt:
            # The second Ctrl-C: trials and Spark end with the process.
            self._process.kill()
        experiment = self._experiment
        if experiment.holds(ConditionType.COMPLETE, ConditionType.FAILED):
            return f"{experiment.metadata.name} has ended: {self._directory}"
        return (
            f"{experiment.metadata.name} was interrupted, {finished_text(experiment)} trials have ended: {self._directory}\n"
            f"To go on: {both_ways_on(self._directory)}"
        )

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as messages:
            for line in messages:
                try:
                    self._take(read_json(RunMessage, line, "a message of the run's process"))
                except Unreadable as error:
                    # The package was replaced while the run went on. The run itself does not suffer.
                    with self._condition:
                        self._error = error
        code = self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        with self._stderr as stderr, self._condition:
            self._ended = True
            if code != 0 and self._error is None:
                stderr.seek(0)
                end = block(stderr.read()[-2000:].decode(errors="replace").strip())
                self._error = SparksweepError(
                    f"the run's process ended with exit code {code}: "
                    f"{Door.PYTHON.resume(self._directory)} goes on\n{end}"
                )
            self._condition.notify_all()

    def _take(self, message: RunMessage) -> None:
        with self._condition:
            if message.status is not None:
                update = {"status": message.status}
                self._experiment = self._experiment.model_copy(update=update)
            if message.error is not None:
                self._error = _error(*message.error)
            if message.phase is not None:
                self._phase = message.phase
            self._condition.notify_all()


def _search_path() -> list[str]:
    """Return the places that this program searches for modules and another Python would not."""
    standard = {
        *sysconfig.get_paths().values(),
        *site.getsitepackages(),
        site.getusersitepackages(),
    }
    places = (os.path.abspath(entry) for entry in sys.path if entry)
    return [
        place
        for place in dict.fromkeys(places)
        if place not in standard and not place.startswith(sysconfig.get_path("stdlib"))
    ]


def _error(kind: str, text: str) -> SparksweepError:
    """Return an error of that class with the text, or the nearest one that a text alone can make."""
    error_class = getattr(errors, kind, None)
    if kind == "InvalidExperiment":
        return errors.ExperimentRefused(text)
    if isinstance(error_class, type) and issubclass(error_class, SparksweepError):
        return error_class(text)
    return SparksweepError(text)
