"""From what was seen of a trial to its state, its reason and a message that says what to do. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sparksweep_core.api import limits
from sparksweep_core.api.quantities import format_bytes
from sparksweep_core.api.reasons import TrialReason, TrialState
from sparksweep_core.api.search_spec import Objective
from sparksweep_trainer.slot.objective_metrics import Measured, from_printed, from_returned
from sparksweep_trainer.slot.observation import Cause, Facts, signal_name

_MEMORY_ADVICE = "raise spec.trialTemplate.resources.memory"
_CRASHES = ("SIGSEGV", "SIGBUS")
_NOT_FOUND = 127
"""A shell's exit code for a program that it can't find."""


@dataclass(frozen=True)
class Verdict:
    """How an attempt ended."""

    state: Literal[TrialState.SUCCEEDED, TrialState.FAILED, TrialState.STOPPED]
    reason: TrialReason
    message: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)


def judge_function(facts: Facts, *, objective: Objective | None, stderr: str) -> Verdict:
    """The verdict on a trial that is a function.

    Args:
        facts: what was seen.
        objective: what is measured, if anything.
        stderr: the end of what it printed on standard error.
    """
    result = parse_result(facts.result)
    verdict = _ended_by_others(facts) or _not_started(facts, result)
    if verdict is not None:
        return verdict
    if "exception" in result:
        return _raised(facts, result["exception"])
    if "exit" in result:
        return _failed(
            TrialReason.EXITED,
            f"the function called sys.exit({result['exit']}): return the metric instead",
        )
    verdict = _crashed(facts, stderr)
    if verdict is not None:
        return verdict
    if facts.exit_code != 0 or "returned" not in result:
        return _failed(
            TrialReason.EXITED,
            _with_output(
                f"its process ended with exit code {facts.exit_code} before the function returned "
                "(os._exit?): return the metric instead",
                stderr,
            ),
        )
    return _measured(from_returned(result["returned"], objective))


def judge_command(
    facts: Facts, *, objective: Objective | None, printed: Mapping[str, float], stderr: str
) -> Verdict:
    """The verdict on a trial that is a command.

    Args:
        facts: what was seen.
        objective: what is measured, if anything.
        printed: the metrics found on standard output; may be NaN or infinite.
        stderr: the end of what it printed on standard error.
    """
    verdict = (
        _ended_by_others(facts)
        or _not_started(facts, parse_result(facts.result))
        or _crashed(facts, stderr)
    )
    if verdict is not None:
        return verdict
    if facts.exit_code == _NOT_FOUND:
        return _failed(
            TrialReason.START_FAILED,
            _with_output("the command ended with exit code 127: a program was not found", stderr),
        )
    if facts.exit_code != 0:
        return _failed(
            TrialReason.EXITED,
            _with_output(f"the command ended with exit code {facts.exit_code}", stderr),
        )
    return _measured(from_printed(printed, objective))


def stopped() -> Verdict:
    """The verdict on an attempt that was ended by order; the driver knows whose."""
    return Verdict(TrialState.STOPPED, TrialReason.INTERRUPTED, "stopped by order")


def not_started(message: str) -> Verdict:
    """The verdict on an attempt whose program could not be started."""
    return _failed(TrialReason.START_FAILED, message)


def parse_result(data: bytes) -> dict[str, Any]:
    """What a trial's process said of itself; nothing if it said nothing that makes sense.

    Raises nothing: whatever runs in that process may have written it.
    """
    try:
        result = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return result if isinstance(result, dict) and _makes_sense(result) else {}


def _makes_sense(result: Mapping[str, Any]) -> bool:
    shapes: Mapping[str, type] = {
        "returned": dict,
        "exception": dict,
        "exit": int,
        "refused": str,
        "not_started": str,
        "checked": bool,
    }
    return len(result) == 1 and all(
        isinstance(value, shapes.get(key, ())) for key, value in result.items()
    )


def _ended_by_others(facts: Facts) -> Verdict | None:
    if facts.cause is Cause.STOP:
        return stopped()
    if facts.cause is Cause.TIMEOUT:
        return _failed(
            TrialReason.TIMED_OUT,
            f"ran longer than {facts.limits.timeout_s:g} s: raise spec.trialTemplate.timeoutSeconds, "
            "or train for less",
        )
    if facts.cause is Cause.MEMORY:
        return _failed(TrialReason.OOM_KILLED, f"{_memory(facts)}: {_MEMORY_ADVICE}")
    if facts.cause is Cause.KERNEL:
        return _failed(
            TrialReason.OOM_KILLED,
            f"the kernel killed it for want of memory; {_memory(facts)}: {_MEMORY_ADVICE}",
        )
    if facts.cause is Cause.SERVER_LOST:
        return not_started(f"{facts.detail} while the trial ran, and the trial with it")
    return None


def _not_started(facts: Facts, result: Mapping[str, Any]) -> Verdict | None:
    if facts.exit_code is None:
        return not_started(facts.detail)
    for key in ("refused", "not_started"):
        if key in result:
            return not_started(result[key])
    return None


def _raised(facts: Facts, exception: Mapping[str, Any]) -> Verdict:
    text = str(exception.get("text", ""))
    if exception.get("memory") is True:
        return _failed(
            TrialReason.OUT_OF_MEMORY, f"{_memory(facts)}: {_MEMORY_ADVICE}, or hold less\n{text}"
        )
    return _failed(TrialReason.EXCEPTION, text)


def _crashed(facts: Facts, stderr: str) -> Verdict | None:
    if facts.exit_code is None or facts.exit_code >= 0:
        return None
    name = signal_name(-facts.exit_code)
    if name in _CRASHES:
        message = f"{name}: native code touched memory it must not"
        return _failed(TrialReason.SEGMENTATION_FAULT, _with_output(message, stderr))
    return _failed(
        TrialReason.SIGNALLED,
        _with_output(f"ended by {name}, which sparksweep did not send", stderr),
    )


def _measured(measured: Measured) -> Verdict:
    if measured.fault is not None:
        return _failed(measured.fault, measured.note)
    return Verdict(
        TrialState.SUCCEEDED, TrialReason.COMPLETED, _presentable(measured.note), measured.metrics
    )


def _memory(facts: Facts) -> str:
    used, limit = format_bytes(facts.peak_bytes), format_bytes(facts.limits.memory_bytes)
    if facts.beside_bytes:
        # A limit of 1Gi that a trial met with 700Mi would look like a mistake.
        used = f"{used} beside the executor's own {format_bytes(facts.beside_bytes)}"
    return f"used {used}, limit {limit}"


def _with_output(message: str, stderr: str) -> str:
    return f"{message}; standard error ends with:\n{stderr}" if stderr.strip() else message


def _failed(reason: TrialReason, message: str) -> Verdict:
    return Verdict(TrialState.FAILED, reason, _presentable(message))


def _presentable(message: str) -> str:
    """A message that any JSON reader takes, within its bound; of a long one the end is kept with its beginning."""
    message = message.encode(errors="replace").decode()
    if len(message) <= limits.MESSAGE:
        return message
    first, _, rest = message.partition("\n")
    first = first[: limits.MESSAGE // 2]
    return f"{first}\n...{rest[-(limits.MESSAGE - len(first) - 4) :]}"
