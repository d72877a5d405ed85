"""What became of an executor, from its pod as the API server has it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparksweep_core.api.reasons import TrialReason
from sparksweep_trainer.driver.slot_loss import Loss

Pod = dict[str, Any]

_TAINTED = "DeletionByTaintManager"
_REMOVED = 58
"""Exit code of a Spark executor that its driver has removed while it was idle."""


@dataclass(frozen=True)
class Death:
    """The end of an executor."""

    loss: Loss
    """For the trial that ran there."""
    crashed: bool
    """Whether it ended by itself, and not well."""


def death_of(pod: Pod, *, memory: str) -> Death | None:
    """How an executor ended, or why it is about to; None while it lives.

    Args:
        pod: its pod.
        memory: its memory limit, as it was given.
    """
    name = pod["metadata"]["name"]
    status = pod.get("status") or {}
    ended = _ended_container(status)
    if ended is not None and ended.get("reason") == "OOMKilled":
        message = (
            f"the kernel killed its executor for want of memory: used {memory}, limit {memory}: "
            "raise spec.trialTemplate.resources.memory"
        )
        return Death(Loss(message, TrialReason.OOM_KILLED), crashed=True)
    if status.get("reason") and status.get("phase") == "Failed":
        # The whole pod, not its container: Evicted, NodeLost, Shutdown, UnexpectedAdmissionError...
        return _lost(f"Its executor {name} failed: {_said(status)}.")
    disruption = _condition(status, "DisruptionTarget")
    if pod["metadata"].get("deletionTimestamp"):
        return _lost(f"Its executor {name} was deleted{_why_deleted(pod, disruption)}.")
    if ended is not None:
        code = ended.get("exitCode", 0)
        if code == 0:
            return _lost(f"Its executor {name} ended.")
        message = f"Its executor {name} ended with {_exit(code, ended)}."
        return _lost(message, crashed=code != _REMOVED)
    if status.get("phase") in ("Failed", "Succeeded"):
        return _lost(f"Its executor {name} ended.", crashed=status["phase"] == "Failed")
    return None


def vanished(name: str) -> Death:
    """The end of an executor whose pod nobody saw go."""
    return _lost(f"Its executor {name} is gone.")


def _lost(message: str, *, crashed: bool = False) -> Death:
    return Death(Loss(message), crashed=crashed)


def _ended_container(status: dict[str, Any]) -> dict[str, Any] | None:
    for container in status.get("containerStatuses") or []:
        ended: dict[str, Any] | None = (container.get("state") or {}).get("terminated")
        if ended is not None:
            return ended
    return None


def _condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    for condition in status.get("conditions") or []:
        if condition.get("type") == kind and condition.get("status") == "True":
            found: dict[str, Any] = condition
            return found
    return {}


def _why_deleted(pod: Pod, disruption: dict[str, Any]) -> str:
    if not disruption:
        return ""
    node = pod.get("spec", {}).get("nodeName", "")
    if disruption.get("reason") == _TAINTED:
        return f" (its node {node} is not ready, or may not run it any more)"
    return f" ({_said(disruption)})"


def _said(facts: dict[str, Any]) -> str:
    """Reason and message, whichever there are."""
    parts = [str(facts[key]).strip().rstrip(".") for key in ("reason", "message") if facts.get(key)]
    return ": ".join(parts)


def _exit(code: int, ended: dict[str, Any]) -> str:
    text = f"exit code {code}"
    if code == 137:
        text += " (SIGKILL, which sparksweep did not send)"
    reason = _said({key: ended.get(key) for key in ("reason", "message")})
    return f"{text}: {reason}" if reason not in ("", "Error") else text
