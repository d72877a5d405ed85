"""Facts about a pod of an experiment: is it alive, what blocks it, how did it end. Pure.

Messages are Kubernetes' own: the scheduler's, the kubelet's, the container runtime's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sparksweep_core.contract.labels import EXPERIMENT_LABEL, ROLE_LABEL
from sparksweep_core.contract.names import VIEWER_CONTAINER

_STARTING = ("ContainerCreating", "PodInitializing")
"""Waiting reasons of a container that is starting normally."""

MAX_LAST_WORDS = 1000
"""Characters that are shown of a container's own words about its end; Kubernetes keeps 4,096 bytes."""


@dataclass(frozen=True, slots=True)
class Pod:
    """The facts about a driver's or an executor's pod that the operator decides by."""

    name: str
    experiment: str
    role: str
    owner: str
    """UID of the owner: the Experiment's for a driver, the driver pod's for an executor."""
    phase: str
    deleting: bool
    problem: str
    """Reason that keeps the pod from running; empty if none is known."""
    termination: str
    """Description of the end of the pod's container (in a driver's pod: the driver's container); empty until then."""
    created: datetime | None
    ended: datetime | None
    uid: str = ""
    exit_code: int | None = None
    """Exit code of the same container; None until its end, and if it never ran."""
    has_viewer: bool = False
    """True if the viewer's container is running, whether or not the driver's still is."""

    @property
    def is_alive(self) -> bool:
        """True if the pod runs or still may.

        A driver's pod whose driver has ended is not alive, although its viewer keeps the pod in phase Running.
        """
        return (
            not self.deleting and not self.termination and self.phase not in ("Succeeded", "Failed")
        )

    @classmethod
    def from_api(cls, body: Mapping[str, Any]) -> Pod:
        """Read the facts from a pod as the API server returns it."""
        metadata, status = body["metadata"], body.get("status") or {}
        labels = metadata.get("labels") or {}
        owners = metadata.get("ownerReferences") or [{}]
        containers = status.get("containerStatuses") or []
        viewers = [item for item in containers if item.get("name") == VIEWER_CONTAINER]
        others = [item for item in containers if item.get("name") != VIEWER_CONTAINER]
        ends = [end for end in map(_terminated, others) if end]
        end_times = (_timestamp(end.get("finishedAt")) for end in ends)
        return cls(
            name=metadata["name"],
            experiment=labels.get(EXPERIMENT_LABEL, ""),
            role=labels.get(ROLE_LABEL, ""),
            owner=owners[0].get("uid", ""),
            phase=status.get("phase", "Pending"),
            deleting=metadata.get("deletionTimestamp") is not None,
            problem=_waiting(containers) or _unschedulable(status),
            termination=_termination(status, ends),
            created=_timestamp(metadata.get("creationTimestamp")),
            ended=max(filter(None, end_times), default=None),
            uid=metadata.get("uid", ""),
            exit_code=ends[0].get("exitCode") if ends else None,
            has_viewer=any(map(_is_running, viewers)),
        )


def executors_message(executors: Iterable[Pod]) -> str:
    """Return the most frequent problem of executors that are alive; empty if they have none."""
    alive = [pod for pod in executors if pod.is_alive]
    problems = Counter(pod.problem for pod in alive if pod.problem)
    if not problems:
        return ""
    problem, count = problems.most_common(1)[0]
    if len(alive) == 1:
        return f"The executor is waiting: {problem}"
    return f"{count} of {len(alive)} executors are waiting: {problem}"


def _unschedulable(status: Mapping[str, Any]) -> str:
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return str(condition.get("message") or condition.get("reason") or "it is not scheduled")
    return ""


def _waiting(containers: Iterable[Mapping[str, Any]]) -> str:
    for container in containers:
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason")
        if reason and reason not in _STARTING:
            return ": ".join(filter(None, (reason, waiting.get("message"))))
    return ""


def _is_running(container: Mapping[str, Any]) -> bool:
    return "running" in (container.get("state") or {})


def _terminated(container: Mapping[str, Any]) -> Mapping[str, Any]:
    return (container.get("state") or {}).get("terminated") or {}


def _termination(status: Mapping[str, Any], ends: list[Mapping[str, Any]]) -> str:
    if ends:
        end = f"{ends[0].get('reason') or 'Error'}, exit code {ends[0].get('exitCode')}"
        last_words = str(ends[0].get("message") or "").strip()
        return f"{end}: {last_words[:MAX_LAST_WORDS]}" if last_words else end
    if status.get("phase") in ("Failed", "Succeeded"):
        causes = (status.get("reason"), status.get("message"))
        return ": ".join(filter(None, causes)) or str(status["phase"])
    return ""


def _timestamp(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
