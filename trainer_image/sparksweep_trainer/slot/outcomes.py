"""Outcome of an attempt: its state, its reason, and a message that says what to do. Pure.

An attempt's `Outcome`, the driver's own type, is built here once, from what was observed. The order in which causes are
tried is the order of certainty: who ended the trial comes before what its process said, and that before its exit code.
A result is sent before anything runs at the exit of the process, so what happened after it changes no outcome.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from sparksweep_core.api import limits
from sparksweep_core.api.quantities import format_bytes
from sparksweep_core.api.reasons import TrialReason, TrialState
from sparksweep_core.api.search_spec import Objective
from sparksweep_core.stored_size import shortened
from sparksweep_trainer.protocol import Outcome
from sparksweep_trainer.slot.objective_metrics import ObjectiveMetrics, from_printed, from_returned
from sparksweep_trainer.slot.observation import (
    Cause,
    Observation,
    Timing,
    finish_seconds,
    signal_name,
)
from sparksweep_trainer.slot.printed_metrics import Printed

_End = Literal[TrialState.SUCCEEDED, TrialState.FAILED, TrialState.STOPPED]

_MEMORY_ADVICE = "raise spec.trialTemplate.resources.memory"
_ONE_PROCESS = "one of its processes"
_OUT_OF_MEMORY = (TrialReason.OOM_KILLED, TrialReason.OUT_OF_MEMORY)
_NOTABLE_BYTES = 2**20
"""Files in memory of less are not worth a word."""
_FORK_REFUSED = re.compile(
    r"can't start new thread|fork: .*Resource temporarily unavailable|[Cc]an(?:no|')t fork|"
    r"Resource temporarily unavailable[\s\S]*(?:os\.fork|fork_exec|popen_fork|posix_spawn)"
)
"""Words of Python and of shells about a process or thread that they could not start."""
_CRASHES = ("SIGSEGV", "SIGBUS")
_NOT_FOUND = 127
"""A shell's exit code for a program that it can't find."""
_RESULT_TYPES: Mapping[str, type] = {
    "returned": dict,
    "exception": dict,
    "exit": int,
    "exit_text": str,
    "refused": str,
    "not_started": str,
    "checked": bool,
}
"""Keys of a trial process's result, of which there is exactly one, with the type of each value."""
_EXCEPTION = re.compile(r"[^\W\d][\w.]*(: |:?$)")
_MAX_EXCEPTION = 300
_LEFT = "left"
_MAX_LEFT = 100


def function_outcome(
    observation: Observation, timing: Timing, *, objective: Objective | None, stderr: str
) -> Outcome:
    """Return the outcome of an attempt that called a function.

    Args:
        observation: what the supervisor has observed.
        timing: when the attempt ran.
        objective: what is measured, if anything.
        stderr: the last lines of standard error.
    """
    attempt = _Attempt(observation, timing, stderr)
    result = parse_result(observation.result)
    return attempt.with_the_kernels_cause(
        attempt.ended_by_others()
        or attempt.not_started(result)
        or attempt.ended_inside_function(result)
        or attempt.returned(result, objective)
        or attempt.crashed()
        or attempt.left_function()
    )


def command_outcome(
    observation: Observation,
    timing: Timing,
    *,
    objective: Objective | None,
    printed: Printed,
    stderr: str,
) -> Outcome:
    """Return the outcome of an attempt that executed a command.

    Args:
        observation: what the supervisor has observed.
        timing: when the attempt ran.
        objective: what is measured, if anything.
        printed: metrics read from both streams.
        stderr: the last lines of standard error.
    """
    attempt = _Attempt(observation, timing, stderr)
    return attempt.with_the_kernels_cause(
        attempt.ended_by_others()
        or attempt.not_started(parse_result(observation.result))
        or attempt.crashed()
        or attempt.command_failed()
        or attempt.measured(from_printed(printed, objective))
    )


def stopped(timing: Timing, *, peak_bytes: int = 0) -> Outcome:
    """Return the outcome of an attempt that was ended by order; the driver knows whose."""
    return _outcome(
        TrialState.STOPPED, TrialReason.INTERRUPTED, "stopped by order", timing, peak_bytes
    )


def not_started(message: str, timing: Timing, *, peak_bytes: int = 0) -> Outcome:
    """Return the outcome of an attempt whose program could not be started."""
    return _outcome(TrialState.FAILED, TrialReason.START_FAILED, message, timing, peak_bytes)


def parse_result(data: bytes) -> dict[str, Any]:
    """Parse the result that a trial's process wrote; empty if it is none of the shapes in `trial.trial_process`.

    Raises nothing: any code in that process may have written it.
    """
    result = _parse_object(data)
    result.pop(_LEFT, None)
    if len(result) != 1:
        return {}
    ((key, value),) = result.items()
    return result if isinstance(value, _RESULT_TYPES.get(key, ())) else {}


def _parse_left(data: bytes) -> str:
    """Name what the process was waiting for after its result: "thread 'a', process 'b'"; empty if nothing is known."""
    left = _parse_object(data).get(_LEFT)
    return ", ".join(str(name)[:_MAX_LEFT] for name in left[:4]) if isinstance(left, list) else ""


def _parse_object(data: bytes) -> dict[str, Any]:
    try:
        result = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return result if isinstance(result, dict) else {}


@dataclass(frozen=True)
class _Attempt:
    """One ended attempt. Each method returns the outcome if its cause applies, else None."""

    observation: Observation
    timing: Timing
    stderr: str

    def ended_by_others(self) -> Outcome | None:
        """Check for a stop, a limit, or a lost fork server."""
        observation = self.observation
        # Something else than a result may have been sent.
        late = None if parse_result(observation.result) else observation.late_cause
        match observation.cause or late:
            case None | Cause.OUTSTAYED:
                return None
            case Cause.STOP:
                return stopped(self.timing, peak_bytes=observation.peak_bytes)
            case Cause.TIMEOUT:
                return self._failed(
                    TrialReason.TIMED_OUT,
                    f"ran longer than {observation.limits.timeout_s:g} s: raise spec.trialTemplate.timeoutSeconds, "
                    "or train for less",
                )
            case Cause.MEMORY:
                return self._failed(TrialReason.OOM_KILLED, f"{self._memory()}: {_MEMORY_ADVICE}")
            case Cause.KERNEL:
                killed = "it" if observation.exit_code == -9 else _ONE_PROCESS
                return self._failed(TrialReason.OOM_KILLED, self._killed_by_kernel(killed))
            case Cause.SERVER_LOST:
                return self._not_started(
                    f"{observation.detail} while the trial ran, and the trial with it"
                )

    def not_started(self, result: Mapping[str, Any]) -> Outcome | None:
        """Check for a fork, an exec or a call that did not happen."""
        if self.observation.exit_code is None and not result:
            return self._not_started(self.observation.detail)
        for key in ("refused", "not_started"):
            if key in result:
                return self._not_started(result[key])
        return None

    def ended_inside_function(self, result: Mapping[str, Any]) -> Outcome | None:
        """Check for an exception and for sys.exit."""
        if "exit" in result:
            message = f"the function called sys.exit({result['exit']}): return the metric instead"
            return self._failed(TrialReason.EXITED, self._with_stderr(message))
        if "exit_text" in result:
            call = f"sys.exit({result['exit_text']!r})"
            return self._failed(
                TrialReason.EXITED, f"the function called {call}: return the metric instead"
            )
        if "exception" not in result:
            return None
        exception = result["exception"]
        text = str(exception.get("text", ""))
        if exception.get("memory") is True:
            advice = f"{self._memory()}: {_MEMORY_ADVICE}, or hold less"
            return self._failed(TrialReason.OUT_OF_MEMORY, f"{advice}\n{text}")
        return self._failed(TrialReason.EXCEPTION, text)

    def crashed(self) -> Outcome | None:
        """Check for a signal that the slot did not send."""
        code = self.observation.exit_code
        if code is None or code >= 0:
            return None
        name = signal_name(-code)
        if name in _CRASHES:
            message = f"{name}: native code touched memory it must not"
            return self._failed(TrialReason.SEGMENTATION_FAULT, self._with_stderr(message))
        return self._failed(
            TrialReason.SIGNALLED,
            self._with_stderr(f"ended by {name}, which sparksweep did not send"),
        )

    def returned(self, result: Mapping[str, Any], objective: Objective | None) -> Outcome | None:
        """Check for a returned value, which counts whatever the process did after it."""
        if "returned" not in result:
            return None
        measured = from_returned(result["returned"], objective)
        notes = [note for note in (measured.note, self._after_the_return()) if note]
        return self.measured(replace(measured, note="\n".join(notes)))

    def left_function(self) -> Outcome:
        """Return the outcome of a process that ended before its function returned."""
        message = (
            f"its process ended with exit code {self.observation.exit_code} before the function returned "
            "(os._exit?): return the metric instead"
        )
        return self._failed(TrialReason.EXITED, self._with_stderr(message))

    def command_failed(self) -> Outcome | None:
        """Check for a command's exit code other than 0."""
        code = self.observation.exit_code
        if code == 0:
            return None
        if code == _NOT_FOUND:
            message = "the command ended with exit code 127: a program was not found"
            return self._failed(TrialReason.START_FAILED, self._with_stderr(message))
        message = self._with_stderr(f"the command ended with exit code {code}")
        exception = _exception_in(self.stderr)
        return self._failed(TrialReason.EXITED, f"{exception}\n{message}" if exception else message)

    def measured(self, measured: ObjectiveMetrics) -> Outcome:
        """Return the outcome of an attempt that ran to its end: its metrics decide."""
        if measured.fault is not None:
            return self._failed(measured.fault, measured.note)
        return _outcome(
            TrialState.SUCCEEDED,
            TrialReason.COMPLETED,
            measured.note,
            self.timing,
            self.observation.peak_bytes,
            metrics=measured.metrics,
        )

    def with_the_kernels_cause(self, outcome: Outcome) -> Outcome:
        """Name what the kernel did where the attempt shows only its consequence: a broken pool, a fork that failed.

        The kernel may end a child of the trial's process and not that itself. As for a container in Kubernetes, any
        OOM kill makes a failure an `OOMKilled` one.
        """
        if outcome.state is TrialState.STOPPED or outcome.reason in _OUT_OF_MEMORY:
            return outcome
        if self.observation.kernel.oom_kills:
            killed = self._killed_by_kernel(_ONE_PROCESS)
            message = f"{killed}\n{outcome.message}" if outcome.message else killed
            changes: dict[str, object] = {"message": _presentable(message)}
            if outcome.state is TrialState.FAILED:
                changes["reason"] = TrialReason.OOM_KILLED
            return outcome.model_copy(update=changes)
        note = self._refused_forks(outcome.message)
        if outcome.state is TrialState.FAILED and note:
            first, newline, rest = outcome.message.partition("\n")
            message = _presentable(f"{first}; {note}{newline}{rest}")
            return outcome.model_copy(update={"message": message})
        return outcome

    def _killed_by_kernel(self, killed: str) -> str:
        return (
            f"the kernel killed {killed} because memory ran out; {self._memory()}: {_MEMORY_ADVICE}"
        )

    def _refused_forks(self, message: str) -> str:
        """Name the limit of processes, if one refused to start any; empty if not."""
        kernel = self.observation.kernel
        if kernel.refused_forks:
            limit = "" if kernel.process_limit is None else f"{kernel.process_limit} "
            return (
                f"the limit of {limit}processes and threads of its container or pod was reached: "
                "start fewer of them"
            )
        if _FORK_REFUSED.search(message):
            return (
                "a limit of processes and threads (pids.max of its container or pod, ulimit -u) seems to be "
                "reached: start fewer of them"
            )
        return ""

    def _after_the_return(self) -> str:
        """Describe how the process ended after the function had returned; empty if it did so by itself and well."""
        observation = self.observation
        code = observation.exit_code
        went_on = "the function had returned, but its process went on"
        if left := _parse_left(observation.result):
            went_on += f" ({left})"
        match observation.late_cause:
            case Cause.OUTSTAYED:
                return f"{went_on}: it was ended {finish_seconds(observation.limits):g} s later"
            case Cause.TIMEOUT:
                return f"{went_on}: it was ended after spec.trialTemplate.timeoutSeconds"
            case Cause.STOP:
                return f"{went_on}: it was ended with the other trials"
            case Cause.MEMORY | Cause.KERNEL:
                return f"{went_on}, and was killed for its memory: {self._memory()}"
            case Cause.SERVER_LOST:
                return f"{observation.detail} after the function had returned"
            case None:
                if not code:
                    return ""
                how = f"with exit code {code}" if code > 0 else f"by {signal_name(-code)}"
                return f"its process ended {how} after the function had returned"

    def _failed(self, reason: TrialReason, message: str) -> Outcome:
        return _outcome(
            TrialState.FAILED, reason, message, self.timing, self.observation.peak_bytes
        )

    def _not_started(self, message: str) -> Outcome:
        return not_started(message, self.timing, peak_bytes=self.observation.peak_bytes)

    def _memory(self) -> str:
        limit = self.observation.limits.memory_bytes
        kernel = self.observation.kernel
        used = format_bytes(self.observation.peak_bytes)
        if kernel.file_bytes >= _NOTABLE_BYTES:
            used += f" ({format_bytes(kernel.file_bytes)} of it as files in memory, such as in /dev/shm)"
        # A limit of 1Gi that a trial met with 700Mi would look like a mistake.
        if self.observation.other_bytes:
            used += f" plus the executor's own {format_bytes(self.observation.other_bytes)}"
        if kernel.earlier_file_bytes >= _NOTABLE_BYTES:
            used += (
                f" plus {format_bytes(kernel.earlier_file_bytes)} of files in memory from before it"
            )
        return f"used {used}, limit {format_bytes(limit)}"

    def _with_stderr(self, message: str) -> str:
        if not self.stderr.strip():
            return message
        return f"{message}; standard error ends with:\n{self.stderr}"


def _exception_in(stderr: str) -> str:
    """Return the line of the last exception, after the frames of its traceback; empty if there is none.

    argparse's error, after the lines of the usage, is such a line, too.
    """
    lines = stderr.splitlines()
    for frame, line in zip(reversed(lines[:-1]), reversed(lines[1:]), strict=True):
        if frame.startswith("  ") and _EXCEPTION.match(line):
            return line[:_MAX_EXCEPTION]
    return ""


def _outcome(
    state: _End,
    reason: TrialReason,
    message: str,
    timing: Timing,
    peak_bytes: int,
    *,
    metrics: Mapping[str, float] | None = None,
) -> Outcome:
    return Outcome(
        state=state,
        reason=reason,
        message=_presentable(message),
        metrics=dict(metrics or {}),
        start_time=timing.start_time,
        completion_time=timing.completion_time,
        duration_seconds=timing.duration_s,
        peak_memory_bytes=peak_bytes or None,
    )


def _presentable(message: str) -> str:
    """Make a message valid Unicode, and at most limits.MESSAGE bytes as it is stored; a long one keeps both ends."""
    return shortened(message.encode(errors="replace").decode(), limits.MESSAGE)
