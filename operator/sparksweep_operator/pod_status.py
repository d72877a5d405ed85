"""Pods as the operator sees them: a few facts of each, and what keeps one from running, in Kubernetes' own words. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sparksweep_core.api.metadata import EXPERIMENT_LABEL, ROLE_LABEL
from sparksweep_core.contract.viewer import VIEWER_CONTAINER

_STARTING = ("ContainerCreating", "PodInitializing")
"""Reasons of a waiting container that are no trouble."""


@dataclass(frozen=True, slots=True)
class Pod:
    """What matters of a pod of ours."""

    name: str
    experiment: str
    role: str
    owner: str
    """UID of its owner: the Experiment's for a driver, the driver pod's for an executor."""
    phase: str
    deleting: bool
    trouble: str
    """What keeps it from running; empty when nothing is known to."""
    end: str
    """How its container ended, of a driver's the one that drives; empty while it has not."""
    created: datetime | None
    ended: datetime | None
    uid: str = ""
    shows: bool = False
    """Whether a viewer runs in it, whatever its driver does."""

    @property
    def is_alive(self) -> bool:
        """Whether it runs, or may yet. A driver that has ended does not, though its pod goes on with the viewer."""
        return not self.deleting and not self.end and self.phase not in ("Succeeded", "Failed")


def pod_of(body: Mapping[str, Any]) -> Pod:
    """The facts of a pod as the API server has it."""
    metadata, status = body["metadata"], body.get("status") or {}
    labels = metadata.get("labels") or {}
    owners = metadata.get("ownerReferences") or [{}]
    everyone = status.get("containerStatuses") or []
    containers = [container for container in everyone if container.get("name") != VIEWER_CONTAINER]
    ended = [end for end in map(_terminated, containers) if end]
    return Pod(
        name=metadata["name"],
        experiment=labels.get(EXPERIMENT_LABEL, ""),
        role=labels.get(ROLE_LABEL, ""),
        owner=owners[0].get("uid", ""),
        phase=status.get("phase", "Pending"),
        deleting=metadata.get("deletionTimestamp") is not None,
        trouble=_waiting(everyone) or _unschedulable(status),
        end=_end_text(status, ended),
        created=_moment(metadata.get("creationTimestamp")),
        ended=max(filter(None, (_moment(end.get("finishedAt")) for end in ended)), default=None),
        uid=metadata.get("uid", ""),
        shows=any(_runs(item) for item in everyone if item.get("name") == VIEWER_CONTAINER),
    )


def executors_text(executors: Iterable[Pod]) -> str:
    """What keeps executors from running, the most frequent trouble first; empty if nothing does."""
    alive = [pod for pod in executors if pod.is_alive]
    troubles = Counter(pod.trouble for pod in alive if pod.trouble)
    if not troubles:
        return ""
    trouble, count = troubles.most_common(1)[0]
    who = "The executor waits" if len(alive) == 1 else f"{count} of {len(alive)} executors wait"
    return f"{who}: {trouble}"


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


def _runs(container: Mapping[str, Any]) -> bool:
    return "running" in (container.get("state") or {})


def _terminated(container: Mapping[str, Any]) -> Mapping[str, Any]:
    return (container.get("state") or {}).get("terminated") or {}


def _end_text(status: Mapping[str, Any], ended: list[Mapping[str, Any]]) -> str:
    if ended:
        end = ended[0]
        return f"{end.get('reason') or 'Error'}, exit code {end.get('exitCode')}"
    if status.get("phase") in ("Failed", "Succeeded"):
        said = (status.get("reason"), status.get("message"))
        return ": ".join(filter(None, said)) or str(status["phase"])
    return ""


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
