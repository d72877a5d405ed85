"""TensorBoard over one local run, or over all runs of a directory: the program in a process of its own."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from sparksweep._local.reports import write_missing_sessions
from sparksweep._local.run_directory import RunDirectory
from sparksweep.errors import MissingDependency, RunDirectoryError, SparksweepError
from sparksweep_core.api import Trial
from sparksweep_core.contract.run_layout import EVENTS_SUFFIX, TRIALS
from sparksweep_trainer.tensorboard_events.recorder import RunRecorder
from sparksweep_trainer.trial.processes import die_with_parent
from sparksweep_trainer.viewer.tensorboard import command

HOST = "127.0.0.1"
START_S = 120.0
"""Seconds that TensorBoard may take to start, on a busy machine."""
POLL_S = 0.2
LINK_S = 5.0
"""Seconds between two looks for new runs and new trials."""


class LocalTensorBoard:
    """A TensorBoard that has started. A context manager; it ends with the block, and with this process."""

    def __init__(self, path: Path, *, port: int) -> None:
        """Start TensorBoard, and wait until it answers.

        Args:
            path: a run directory, its directory of trials, or a directory of run directories.
            port: a free port on this machine: see `usable_port`.

        Raises:
            MissingDependency: TensorBoard is not installed.
            RunDirectoryError: the path holds no run.
            SparksweepError: TensorBoard does not start; the message ends with its last words.
        """
        if find_spec("tensorboard") is None:
            raise MissingDependency(
                "TensorBoard is not installed. Install it with: pip install 'sparksweep[tensorboard]'"
            )
        self._path = path
        self._runs = runs_at(path)
        for run in self._runs:
            write_sessions_of_ended(run)
        self.port = port
        self._scratch = tempfile.TemporaryDirectory(prefix="sparksweep-tensorboard-")
        # One run of a directory of runs is shown as such: others may follow.
        self._is_single = self._runs[0].path in (path.absolute(), path.absolute().parent)
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._link()
        logdir = self._runs[0].trials if self._is_single else Path(self._scratch.name)
        self._process = subprocess.Popen(
            command(logdir, self.port, title=str(path), host=HOST),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            # Ctrl-C reaches this process alone, which then ends TensorBoard.
            start_new_session=True,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
        try:
            self._await_answer()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """The address of its pages."""
        return f"http://{HOST}:{self.port}/"

    def __enter__(self) -> LocalTensorBoard:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def wait(self) -> None:
        """Wait until TensorBoard ends by itself; show new runs meanwhile.

        Raises:
            SparksweepError: always at its end, with its last words.
        """
        while True:
            try:
                self._process.wait(LINK_S)
            except subprocess.TimeoutExpired:
                self._link()
            else:
                raise self._ended()

    def close(self) -> None:
        """End TensorBoard."""
        self._process.kill()
        self._process.wait()
        self._output.close()
        self._scratch.cleanup()

    def _link(self) -> None:
        if not self._is_single:
            link_trials(Path(self._scratch.name), runs_at(self._path))

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_S
        while not _answers(self.port):
            if self._process.poll() is not None:
                raise self._ended()
            if time.monotonic() > deadline:
                raise SparksweepError(f"TensorBoard has not answered for {START_S:.0f} s")
            time.sleep(POLL_S)

    def _ended(self) -> SparksweepError:
        self._output.seek(0)
        words = self._output.read()[-2000:].decode(errors="replace").strip()
        return SparksweepError(
            f"TensorBoard has ended with exit code {self._process.returncode}:\n{words}"
        )


def runs_at(path: Path) -> list[RunDirectory]:
    """Return the run of a run directory or of its directory of trials, or else all runs of a directory of runs.

    Raises:
        RunDirectoryError: the path holds no run.
    """
    for candidate in (path, path.parent if path.name == TRIALS else path):
        if RunDirectory(candidate).holds_run:
            return [RunDirectory.open(candidate)]
    children = sorted(path.iterdir()) if path.is_dir() else []
    runs = [RunDirectory(child) for child in children if RunDirectory(child).holds_run]
    if not runs:
        there = "there is no such directory" if not path.exists() else "and holds none"
        raise RunDirectoryError(f"{path} is not a run directory, {there}")
    return runs


def link_trials(links: Path, runs: Iterable[RunDirectory]) -> None:
    """Link the trials of several runs below `links`, without the files that describe one run's columns.

    TensorBoard takes the columns of its HParams page from one such file; without any, from all trials.
    """
    for run in runs:
        parent = links / run.path.name
        parent.mkdir(exist_ok=True)
        # A run whose trials somebody has deleted, or may not be read, leaves the others as they are.
        with suppress(OSError):
            for trial in run.trials.iterdir():
                if trial.is_dir():
                    with suppress(FileExistsError):
                        (parent / trial.name).symlink_to(trial, target_is_directory=True)


def write_sessions_of_ended(run: RunDirectory) -> None:
    """Write the event files that trials of an ended run lack, because an earlier version wrote none.

    A run that is going on, or a directory that may not be written, is left as it is.
    """
    try:
        lacking = [trial for trial in run.read_trials() if _lacks_session(run, trial)]
        if lacking:
            with _locked(run):
                spec = run.read_experiment().spec
                recorder = RunRecorder(run.trials, spec)
                write_missing_sessions(run, recorder, lacking)
    except (OSError, SparksweepError):
        # The other runs are shown all the same, and of this one what is there.
        return


def _lacks_session(run: RunDirectory, trial: Trial) -> bool:
    if not (trial.state.is_finished and trial.status.attempt):
        return False
    return not any(run.trial(trial.number).glob(f"*{EVENTS_SUFFIX}"))


@contextmanager
def _locked(run: RunDirectory) -> Iterator[None]:
    run.lock()
    try:
        yield
    finally:
        run.unlock()


def usable_port(port: int) -> int:
    """Return the port if a server may listen on it; for 0 a free one.

    Raises:
        OSError: it is in use, or not allowed.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, port))
        usable: int = probe.getsockname()[1]
        return usable


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", "/data/environment")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
