"""Runs a slot's trials, one after the other: ``(Program, Assignment)`` in, ``Outcome`` out. No Spark, no network.

Nothing that a trial does raises an error here: every way to end becomes an outcome.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from sparksweep_core.api import limits, quantities
from sparksweep_core.api.reasons import TrialState
from sparksweep_core.contract.environment import DATA_CACHE_ENV
from sparksweep_core.contract.program import Program
from sparksweep_core.contract.run_layout import STREAMS, TIMES_FILE, log_file, trial_directory_name
from sparksweep_core.contract.sealed_files import ChangedFile
from sparksweep_core.stored_size import shortened
from sparksweep_trainer.protocol import CHECK_TIMEOUT_S, Assignment, Outcome
from sparksweep_trainer.slot import outcomes
from sparksweep_trainer.slot.commands import ProgramNotFound
from sparksweep_trainer.slot.default_preloads import default_preloads
from sparksweep_trainer.slot.echo import Echo
from sparksweep_trainer.slot.environment import server_environment, temporary_environment
from sparksweep_trainer.slot.fork_server_handle import (
    DefaultPreloadFailed,
    ForkServerHandle,
    ForkServerSettings,
    ServerLost,
)
from sparksweep_trainer.slot.leftovers import Leftovers, cleared_directories
from sparksweep_trainer.slot.memory_files import MemoryFiles
from sparksweep_trainer.slot.observation import Limits, Timing
from sparksweep_trainer.slot.running_trials import RunningTrial
from sparksweep_trainer.slot.stop_signal import StopSignal
from sparksweep_trainer.slot.supervisor import Sink, await_ready, supervise
from sparksweep_trainer.slot.trial_code import MountedCode, SealedCode
from sparksweep_trainer.slot.trial_logs import Tail, TrialLog, keep_earlier_logs
from sparksweep_trainer.slot.trial_programs import CommandTrials, FunctionTrials
from sparksweep_trainer.slot.trial_times import OutputTimes
from sparksweep_trainer.trial.processes import become_subreaper
from sparksweep_trainer.trial.removal import remove_tree

__all__ = ["StopSignal", "TrialRunner"]

logger = logging.getLogger(__name__)

CHECK_STOPPED = "The check of the trial code was stopped."


class TrialRunner:
    """Runs the trials of one slot. A context manager; not thread-safe, but for the stop signals.

    The fork server starts with the block, and is replaced whenever it is lost: no trial costs the slot.
    """

    def __init__(
        self,
        program: Program,
        *,
        slot: int,
        owns_process: bool = False,
        log: logging.Logger = logger,
    ) -> None:
        """
        Args:
            program: what the trials run.
            slot: number of the slot.
            owns_process: True if this process does nothing else: it becomes a subreaper, and kills whatever a trial
                that has ended its fork server leaves behind.
            log: receives a line for each attempt.
        """
        self._owns_process = owns_process
        if owns_process:
            become_subreaper()
        self._template = program.trial_template
        self._trials_directory = Path(program.trials_directory).absolute()
        self._log = log
        self._echoes = program.sends_files
        self._slot = slot
        self._scratch = Path(tempfile.mkdtemp(prefix=f"sparksweep-slot-{slot}-"))
        code = self._scratch / "code"
        code.mkdir()
        self._trials = (
            CommandTrials(program, code)
            if self._template.function is None
            else FunctionTrials(program, code)
        )
        self._limits = Limits(
            memory_bytes=quantities.memory_bytes(self._template.resources.memory),
            timeout_s=self._template.timeout_seconds,
            grace_s=self._template.termination_grace_period_seconds,
            of_container=program.limit_is_container,
        )
        self._mounted_code = MountedCode(os.environ)
        self._sealed_code = SealedCode(program.code_seals)
        environment = server_environment(self._template, base=os.environ, marker="")
        data_cache = self._temporary_environment(environment, self._scratch)[DATA_CACHE_ENV]
        self._leftovers = Leftovers(
            cleared_directories(os.environ), kept=[self._scratch, Path(data_cache)]
        )
        self._imports: list[str] | None = None
        self._server: ForkServerHandle | None = None

    def __enter__(self) -> TrialRunner:
        # The fork server preloads modules while the slot asks for work.
        self._current_server()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the fork server and all it runs, and remove the files written for it."""
        if self._server is not None:
            self._server.close()
            self._server = None
        remove_tree(self._scratch)

    def check(self, stop: StopSignal | None = None) -> str | None:
        """Check that trials can run: preloads import, the function takes the parameters, the program exists.

        Args:
            stop: ends the check early, with some message.

        Returns:
            What is wrong; None if nothing is.
        """
        try:
            self._check_code()
            with closing(StopSignal()) as never:
                if not self._await_ready(stop or never):
                    return CHECK_STOPPED
                server = self._current_server()
                if isinstance(self._trials, CommandTrials):
                    self._trials.check(server.environment)
                    return None
                self._leftovers.begin()
                message = self._check_function(server, self._trials, stop or never)
        except (ServerLost, ProgramNotFound, ChangedFile, OSError) as error:
            message = str(error)
        self.clear()
        if message is None:
            return None
        return shortened(self._trials.code.without_directory(message), limits.MESSAGE)

    def _check_function(
        self, server: ForkServerHandle, trials: FunctionTrials, stop: StopSignal
    ) -> str | None:
        directory = self._scratch / "check"
        directory.mkdir(exist_ok=True)
        output = Tail()
        stopwatch = _Stopwatch()
        request = trials.check_request(directory)
        with self._temporary_directory(server, request):
            observation = supervise(
                server,
                request,
                limits=replace(
                    self._limits, timeout_s=self._limits.timeout_s or CHECK_TIMEOUT_S, grace_s=0
                ),
                stop=stop,
                stdout=output.write,
                stderr=output.write,
            )
        result = outcomes.parse_result(observation.result)
        if "checked" in result:
            return None
        outcome = outcomes.function_outcome(
            observation, stopwatch.read(), objective=None, stderr=output.text
        )
        # A refusal names the function itself.
        prefix = "" if "refused" in result else f"{self._template.function} can't be imported: "
        return prefix + outcome.message

    @property
    def may_retry(self) -> bool:
        """True if a failed trial may run again, and find the files that it saved."""
        return self._template.max_retries > 0

    def directory(self, number: int) -> Path:
        """Return the directory of a trial's files."""
        return self._trials_directory / trial_directory_name(number)

    def _check_code(self) -> None:
        """Make sure that trials run the experiment's code, whatever earlier ones have written.

        Raises:
            ChangedFile: code that this slot can't restore was changed.
        """
        self._mounted_code.check()
        self._sealed_code.check()
        for path in self._trials.code.restore():
            self._log.warning(
                "slot %d: %s was changed, and is the experiment's again", self._slot, path
            )

    def clear(self, *, kept: Sequence[Path] = ()) -> None:
        """Remove what the last trial has left in the executor's directories, but for `kept`.

        For use once its files were sent. In a local run nothing is removed: those directories are the user's.
        """
        try:
            removed = self._leftovers.clear(kept)
        except OSError as error:
            self._log.warning("slot %d: what a trial has left stays: %s", self._slot, error)
            return
        if removed:
            self._log.info("slot %d: removed what a trial has left: %s", self._slot, removed)

    def run(self, assignment: Assignment, stop: StopSignal) -> Outcome:
        """Run one attempt, until nothing that it started is left.

        Args:
            assignment: what to run.
            stop: ends it early, as Stopped.
        """
        stopwatch = _Stopwatch()
        try:
            self._check_code()
            if self._await_ready(stop):
                stopwatch = _Stopwatch()
                # Not earlier: a fork server that starts may make files for all its trials.
                self._leftovers.begin()
                outcome = self._attempt(self._current_server(), assignment, stop, stopwatch)
            else:
                outcome = outcomes.stopped(stopwatch.read())
        except (ServerLost, ProgramNotFound, ChangedFile, OSError) as error:
            outcome = outcomes.not_started(str(error), stopwatch.read())
        outcome = outcome.model_copy(
            update={"message": self._trials.code.without_directory(outcome.message)}
        )
        self._log.info(
            "slot %d: trial %d, attempt %d: %s", self._slot, assignment.number, assignment.attempt, outcome.reason
        )  # fmt: skip
        return outcome

    def _attempt(
        self,
        server: ForkServerHandle,
        assignment: Assignment,
        stop: StopSignal,
        stopwatch: _Stopwatch,
    ) -> Outcome:
        directory = self.directory(assignment.number)
        directory.mkdir(parents=True, exist_ok=True)
        if isinstance(self._trials, CommandTrials):
            prepared = self._trials.prepare(assignment, directory, server.environment)
        else:
            prepared = self._trials.prepare(assignment, directory)
        keep_earlier_logs(directory, assignment.attempt)
        times = OutputTimes(directory / TIMES_FILE)
        with closing(times):
            stdout, stderr = (
                TrialLog(directory / log_file(stream), times=times) for stream in STREAMS
            )
            with (
                closing(stdout),
                closing(stderr),
                self._echoed(assignment.number) as echo,
                self._temporary_directory(server, prepared.request),
                RunningTrial(self._trials_directory) as running,
            ):
                counts_files = not self._limits.of_container
                observation = supervise(
                    server,
                    prepared.request,
                    limits=self._limits,
                    stop=stop,
                    stdout=_all(stdout.write, prepared.read_stdout, *echo[:1]),
                    stderr=_all(stderr.write, prepared.read_stderr, *echo[1:]),
                    files=MemoryFiles(is_alone=running.is_alone) if counts_files else None,
                )
                outcome = prepared.outcome(observation, stopwatch.read(), stderr.text)
                if outcome.state is TrialState.SUCCEEDED and outcome.message:
                    notes = [f"[sparksweep: {note}]\n" for note in outcome.message.splitlines()]
                    before = "" if stderr.is_at_line_start else "\n"
                    stderr.write("".join([before, *notes]).encode())
        for log in (stdout, stderr):
            if log.error is not None:
                self._log.warning(
                    "trial %d: its log is not whole: %s", assignment.number, log.error
                )
        return outcome

    @contextmanager
    def _temporary_directory(
        self, server: ForkServerHandle, request: dict[str, Any]
    ) -> Iterator[None]:
        """Have a request run with a directory for temporary files that is removed after it."""
        directory = Path(tempfile.mkdtemp(prefix="t", dir=self._scratch))
        request["environment"] |= self._temporary_environment(server.environment, directory)
        try:
            yield
        finally:
            if not remove_tree(directory):
                self._log.warning("slot %d: %s can't be removed", self._slot, directory)

    def _temporary_environment(self, server: Mapping[str, str], directory: Path) -> dict[str, str]:
        return temporary_environment(
            server, self._template, directory=directory, shared=self._scratch.parent
        )

    @contextmanager
    def _echoed(self, number: int) -> Iterator[list[Sink]]:
        """Yield sinks that echo standard output and standard error; none in a local run, whose logs are at hand."""
        echoes = [Echo(number), Echo(number)] if self._echoes else []
        yield [echo.write for echo in echoes]
        for echo in echoes:
            echo.close()

    def _await_ready(self, stop: StopSignal) -> bool:
        """Wait until the fork server is ready; False if `stop` came first."""
        try:
            return await_ready(self._current_server(), stop)
        except DefaultPreloadFailed as error:
            self._log.debug("slot %d: preloads nothing: %s", self._slot, error)
            self._imports = []
            return await_ready(self._current_server(), stop)

    def _current_server(self) -> ForkServerHandle:
        if self._server is not None and self._server.has_ended:
            self._server.close()
            self._server = None
        if self._server is None:
            self._server = ForkServerHandle(
                ForkServerSettings(
                    template=self._template,
                    imports=self._default_preloads(),
                    paths=self._trials.paths,
                    scratch=self._scratch,
                    owns_process=self._owns_process,
                )
            )
        return self._server

    def _default_preloads(self) -> list[str]:
        if self._imports is None:
            environment = server_environment(self._template, base=os.environ, marker="")
            self._imports = default_preloads(
                self._template, paths=self._trials.paths, environment=environment
            )
            self._log.debug("slot %d: preloads %s", self._slot, self._imports)
        return self._imports


def _all(*sinks: Sink) -> Sink:
    def write(data: bytes) -> None:
        for sink in sinks:
            sink(data)

    return write


class _Stopwatch:
    """Start of an attempt, by both clocks."""

    def __init__(self) -> None:
        self._start_time = datetime.now(UTC)
        self._started = time.monotonic()

    def read(self) -> Timing:
        """Return the timing of an attempt that ends now."""
        return Timing(
            start_time=self._start_time,
            completion_time=datetime.now(UTC),
            duration_s=time.monotonic() - self._started,
        )
