"""Runs a slot's trials, one after the other: ``(Program, Assignment)`` in, ``Outcome`` out. No Spark, no network.

What a trial does can't raise here: every ending becomes an outcome.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from sparksweep.api import limits, quantities
from sparksweep_trainer import outcomes
from sparksweep_trainer.commands import ProgramNotFound
from sparksweep_trainer.facts import Facts, Limits
from sparksweep_trainer.launcher import ForkServerHandle, ServerLost, Setting
from sparksweep_trainer.outcomes import Verdict
from sparksweep_trainer.protocol import Assignment, Outcome, Program
from sparksweep_trainer.stop_signal import StopSignal
from sparksweep_trainer.supervisor import await_ready, supervise
from sparksweep_trainer.trial_logs import Tail, TrialLog, keep_earlier_logs
from sparksweep_trainer.trial_programs import CommandTrials, FunctionTrials

__all__ = ["StopSignal", "TrialRunner"]

logger = logging.getLogger(__name__)

CHECK_TIMEOUT_S = 600.0
"""How long the import of the function's module may take where trials have no timeout."""


class TrialRunner:
    """Runs the trials of one slot. A context manager; not thread-safe, but for the stop signals.

    The fork server starts with the block, and again whenever it is lost: no trial costs the slot.
    """

    def __init__(self, program: Program, *, slot: int, log: logging.Logger = logger) -> None:
        self._template = program.trial_template
        self._trials_directory = Path(program.trials_directory).absolute()
        self._log = log
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
        self._server: ForkServerHandle | None = None

    def __enter__(self) -> TrialRunner:
        # It imports what is to be preloaded while the slot asks for work.
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
        """End the fork server and whatever it runs, and remove what was written for it."""
        if self._server is not None:
            self._server.close()
            self._server = None
        shutil.rmtree(self._scratch, ignore_errors=True)

    def check(self) -> str | None:
        """What keeps every trial from running: a module to preload that can't be imported, a function that can't
        take the parameters, a program that is not there. None if nothing does.
        """
        server = self._current_server()
        try:
            with closing(StopSignal()) as never:
                await_ready(server, never)
                if isinstance(self._trials, CommandTrials):
                    self._trials.check(server.environment)
                    return None
                message = self._check_function(server, self._trials, never)
        except (ServerLost, ProgramNotFound) as error:
            message = str(error)
        return None if message is None else message[: limits.MESSAGE]

    def _check_function(
        self, server: ForkServerHandle, trials: FunctionTrials, never: StopSignal
    ) -> str | None:
        directory = self._scratch / "check"
        directory.mkdir(exist_ok=True)
        output = Tail()
        facts = supervise(
            server,
            trials.check_request(directory),
            limits=replace(
                self._limits, timeout_s=self._limits.timeout_s or CHECK_TIMEOUT_S, grace_s=0
            ),
            stop=never,
            stdout=output.write,
            stderr=output.write,
        )
        result = outcomes.parse_result(facts.result)
        if "checked" in result:
            return None
        verdict = outcomes.judge_function(facts, objective=None, stderr=output.text)
        # A refusal says itself what it is about.
        about = "" if "refused" in result else f"{self._template.function} can't be imported: "
        return about + verdict.message

    def run(self, assignment: Assignment, stop: StopSignal) -> Outcome:
        """Run one attempt, until nothing that it started is left.

        Args:
            assignment: what to run.
            stop: ends it early, as Stopped.
        """
        server = self._current_server()
        started = _Clock()
        facts: Facts | None = None
        try:
            if await_ready(server, stop):
                started = _Clock()
                facts, verdict = self._attempt(server, assignment, stop)
            else:
                verdict = outcomes.stopped()
        except (ServerLost, ProgramNotFound, OSError) as error:
            verdict = outcomes.not_started(str(error))
        self._log.info(
            "slot %d: trial %d, attempt %d: %s", self._slot, assignment.number, assignment.attempt, verdict.reason
        )  # fmt: skip
        return started.outcome(verdict, facts.peak_bytes if facts else 0)

    def _attempt(
        self, server: ForkServerHandle, assignment: Assignment, stop: StopSignal
    ) -> tuple[Facts, Verdict]:
        directory = self._trials_directory / f"{assignment.number:04d}"
        directory.mkdir(parents=True, exist_ok=True)
        if isinstance(self._trials, CommandTrials):
            prepared = self._trials.prepare(assignment, directory, server.environment)
        else:
            prepared = self._trials.prepare(assignment, directory)
        keep_earlier_logs(directory, assignment.attempt)
        stdout, stderr = TrialLog(directory / "stdout.log"), TrialLog(directory / "stderr.log")

        def take_stdout(data: bytes) -> None:
            stdout.write(data)
            prepared.heed(data)

        with closing(stdout), closing(stderr):
            facts = supervise(
                server,
                prepared.request,
                limits=self._limits,
                stop=stop,
                stdout=take_stdout,
                stderr=stderr.write,
            )
        for log in (stdout, stderr):
            if log.error is not None:
                self._log.warning(
                    "trial %d: its log is not whole: %s", assignment.number, log.error
                )
        return facts, prepared.judge(facts, stderr.text)

    def _current_server(self) -> ForkServerHandle:
        if self._server is not None and self._server.has_ended:
            self._server.close()
            self._server = None
        if self._server is None:
            self._server = ForkServerHandle(
                Setting(template=self._template, paths=self._trials.paths, scratch=self._scratch)
            )
        return self._server


class _Clock:
    """The start of an attempt, by both clocks."""

    def __init__(self) -> None:
        self._time = datetime.now(UTC)
        self._monotonic = time.monotonic()

    def outcome(self, verdict: Verdict, peak_bytes: int) -> Outcome:
        """The outcome of the attempt, which ends now."""
        return Outcome(
            state=verdict.state,
            reason=verdict.reason,
            message=verdict.message,
            metrics=dict(verdict.metrics),
            start_time=self._time,
            completion_time=datetime.now(UTC),
            duration_seconds=time.monotonic() - self._monotonic,
            peak_memory_bytes=peak_bytes or None,
        )
