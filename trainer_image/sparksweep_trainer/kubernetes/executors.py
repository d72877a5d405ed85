"""Finds the cause of an executor's end in its pod, as the API server has it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparksweep_core.api.reasons import TrialReason
from sparksweep_trainer.driver.slot_loss import Loss

Pod = dict[str, Any]

_TAINTED = "DeletionByTaintManager"
_SIGKILLED = 128 + 9
_REMOVED = 58
"""Exit code of a Spark executor that its driver has removed because it was idle."""


@dataclass(frozen=True)
class Death:
    """The end of an executor."""

    loss: Loss
    """Loss of the slot that ran there."""
    crashed: bool
    """True if it ended by itself with an error."""


def death_of(pod: Pod, *, memory: str) -> Death | None:
    """Return the end of an executor that has ended or is about to; None while it lives.

    Args:
        pod: its pod.
        memory: its memory limit, as a Kubernetes quantity.
    """
    name = pod["metadata"]["name"]
    status = pod.get("status") or {}
    ended = _ended_container(status)
    if ended is not None and _is_oom_killed(ended):
        message = (
            f"the kernel killed its executor, which was out of memory: used {memory}, limit {memory}: "
            "raise spec.trialTemplate.resources.memory"
        )
        return Death(Loss(message, TrialReason.OOM_KILLED), crashed=True)
    if status.get("reason") and status.get("phase") == "Failed":
        # The pod as a whole, not its container: Evicted, NodeLost, Shutdown, UnexpectedAdmissionError...
        return _lost(f"Its executor {name} failed: {_reason_and_message(status)}.")
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
    """Return the end of an executor whose pod is gone without a final status."""
    return _lost(f"Its executor {name} is gone.")


def _lost(message: str, *, crashed: bool = False) -> Death:
    return Death(Loss(message), crashed=crashed)


def _ended_container(status: dict[str, Any]) -> dict[str, Any] | None:
    for container in status.get("containerStatuses") or []:
        ended: dict[str, Any] | None = (container.get("state") or {}).get("terminated")
        if ended is not None:
            return ended
    return None


def _is_oom_killed(ended: dict[str, Any]) -> bool:
    """Return True if an OOM kill ended the container, not only one of its processes some time before its end.

    Container runtimes say OOMKilled of every container in which anything was OOM-killed, an earlier trial for example.
    """
    return ended.get("reason") == "OOMKilled" and ended.get("exitCode") == _SIGKILLED


def _condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    for condition in status.get("conditions") or []:
        if condition.get("type") == kind and condition.get("status") == "True":
            match: dict[str, Any] = condition
            return match
    return {}


def _why_deleted(pod: Pod, disruption: dict[str, Any]) -> str:
    if not disruption:
        return ""
    node = pod.get("spec", {}).get("nodeName", "")
    if disruption.get("reason") == _TAINTED:
        return f" (its node {node} is not ready, or may not run it any more)"
    return f" ({_reason_and_message(disruption)})"


def _reason_and_message(status: dict[str, Any]) -> str:
    """Return the reason and the message of a status, as far as they exist."""
    parts = [
        str(status[key]).strip().rstrip(".") for key in ("reason", "message") if status.get(key)
    ]
    return ": ".join(parts)


def _exit(code: int, ended: dict[str, Any]) -> str:
    text = f"exit code {code}"
    if code == _SIGKILLED:
        text += " (SIGKILL, which sparksweep did not send)"
    reason = _reason_and_message({key: ended.get(key) for key in ("reason", "message")})
    return f"{text}: {reason}" if reason not in ("", "Error") else text
