"""Experiments on this machine, each in a process of its own: `sparksweep._local.process` is its program."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from sparksweep import errors
from sparksweep._builder import Built
from sparksweep._local.libraries import require_libraries
from sparksweep._local.messages import RunMessage, RunRequest
from sparksweep._runs.local_run import LocalRunReader
from sparksweep.errors import SparksweepError
from sparksweep_core.api import Experiment

END_PATIENCE_S = 30.0
"""Seconds that a run may take to stop its trials and Spark."""
RUNS = "runs"
"""The default directory of run directories."""


class LocalBackend:
    """This machine, on Spark's local master."""

    def __init__(self, directory: str | os.PathLike[str] | None = None) -> None:
        self._directory = None if directory is None else Path(directory)

    def submit(self, built: Built) -> LocalProcess:
        """Start a process that runs the experiment.

        Raises:
            MissingDependency: The extra `local` is not installed.
        """
        require_libraries()
        experiment = built.experiment
        directory = self._directory or Path(RUNS) / experiment.metadata.name
        return LocalProcess(
            experiment, directory.absolute(), {} if built.code is None else built.code.files
        )


class LocalProcess:
    """A local run in a process of its own."""

    is_local = True

    def __init__(self, experiment: Experiment, directory: Path, code: Mapping[str, bytes]) -> None:
        self._experiment = experiment
        self._directory = directory
        self._condition = threading.Condition()
        self._phase = ""
        self._error: SparksweepError | None = None
        self._ended = False
        self._written: Path | None = None
        # A file, not a pipe: libraries print to it, and nothing reads it before the process has ended.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the process has ended
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sparksweep._local.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            # Ctrl-C reaches this program alone, which then interrupts the run.
            start_new_session=True,
        )
        request = RunRequest(
            experiment=experiment.to_dict(),
            directory=str(directory),
            home=os.getcwd(),
            code=str(self._write(code)) if code else None,
            paths=_search_path(),
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
        """The reader of the run directory.

        Raises:
            RunDirectoryError: The process has not made the run directory yet.
        """
        return LocalRunReader(self._directory)

    def pause(self, seconds: float) -> None:
        """Wait for the next message."""
        with self._condition:
            if not self._ended:
                self._condition.wait(seconds)

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

    def _write(self, code: Mapping[str, bytes]) -> Path:
        """Write files for the process to move, since its standard input would hold up a large one."""
        self._written = Path(tempfile.mkdtemp(prefix="sparksweep-code-"))
        for name, content in code.items():
            (self._written / name).write_bytes(content)
        return self._written

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as messages:
            for line in messages:
                self._take(RunMessage.model_validate_json(line))
        code = self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._written is not None:
            shutil.rmtree(self._written, ignore_errors=True)
        with self._stderr as stderr, self._condition:
            self._ended = True
            if code != 0 and self._error is None:
                stderr.seek(0)
                end = stderr.read()[-2000:].decode(errors="replace").strip()
                self._error = SparksweepError(
                    f"the run's process ended with exit code {code}, and {self._directory} can be resumed:\n{end}"
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
