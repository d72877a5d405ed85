"""Which driver an experiment has, and which it is to get next: decided from its pods and batches alone. Pure.

Each driver's pod has a higher number than every one before it, so that a pod stuck on a lost node does not block its
successor, and the two can be told apart by what they write: see ``TrialBatch.status.driver``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sparksweep_core.api import TrialBatch
from sparksweep_core.planner import DriverState, DriverView
from sparksweep_operator.manifests.names import DRIVER, EXECUTOR, driver_number
from sparksweep_operator.pod_status import Pod, executors_text

SHORT_LIFE = timedelta(seconds=60)
"""A driver that ended sooner than this may be unable to run at all..."""
PAUSE = timedelta(seconds=10)
"""...so the next one waits this long after its end."""


@dataclass(frozen=True, slots=True)
class DriverSituation:
    """The driver of an experiment, as it is now."""

    view: DriverView
    """For the planner."""
    live: Pod | None
    """The pod of the driver."""
    executors: tuple[Pod, ...]
    """The executors that run, or may yet."""
    remains: Pod | None
    """The pod of the last driver, which is dead: it tells why until another one takes its place."""
    superfluous: tuple[Pod, ...]
    """Pods to delete whatever the planner says: those of older drivers, and with them their executors."""
    next_number: int
    """The number of the next driver."""
    pause: timedelta
    """How long to wait before it is started."""


def look_at_driver(
    pods: Iterable[Pod], batches: Sequence[TrialBatch], *, owner: str, now: datetime
) -> DriverSituation:
    """The situation.

    Args:
        pods: the pods with the experiment's name.
        batches: its batches.
        owner: the Experiment's UID: pods of an earlier one of that name are being deleted, and are none of ours.
        now: the time.
    """
    pods = list(pods)
    drivers = sorted(
        (pod for pod in pods if pod.role == DRIVER and pod.owner == owner), key=_number
    )
    alive = [pod for pod in drivers if pod.is_alive]
    dead = [pod for pod in drivers if not pod.is_alive and not pod.deleting]
    live = alive[-1] if alive else None
    executors = tuple(
        pod
        for pod in pods
        if pod.role == EXECUTOR and live and pod.owner == live.uid and pod.is_alive
    )
    pause = timedelta(0)
    if live is None:
        message = ""
        if dead:
            pause = _pause(dead[-1], now)
            message = f"The driver {dead[-1].name} ended ({dead[-1].end}); another one is started."
        view = DriverView(DriverState.ABSENT, message)
    elif _has_taken_over(live, batches):
        text = executors_text(executors)
        if not text and not any(pod.phase == "Running" for pod in executors):
            text = "The executors are being started."
        view = DriverView(DriverState.RUNNING, text)
    else:
        text = f"The driver waits: {live.trouble}" if live.trouble else ""
        view = DriverView(DriverState.STARTING, text)
    return DriverSituation(
        view=view,
        live=live,
        executors=executors,
        remains=None if live or not dead else dead[-1],
        superfluous=(*alive[:-1], *(dead if live else dead[:-1])),
        next_number=_next_number(pods, batches),
        pause=pause,
    )


def _number(pod: Pod) -> int:
    return driver_number(pod.name) or 0


def _has_taken_over(live: Pod, batches: Sequence[TrialBatch]) -> bool:
    """It writes its name into the newest batch that it finds; one made since then it may not have touched."""
    return any(batch.status is not None and batch.status.driver == live.name for batch in batches)


def _next_number(pods: Iterable[Pod], batches: Sequence[TrialBatch]) -> int:
    names = [pod.name for pod in pods if pod.role == DRIVER]
    names += [batch.status.driver for batch in batches if batch.status and batch.status.driver]
    numbers = [number for number in map(driver_number, names) if number is not None]
    return max(numbers) + 1 if numbers else 0


def _pause(dead: Pod, now: datetime) -> timedelta:
    # One that a node refused, or that was evicted, has no container that could say when it ended.
    ended = dead.ended or dead.created
    if ended is None or dead.created is None or ended - dead.created > SHORT_LIFE:
        return timedelta(0)
    return max(timedelta(0), ended + PAUSE - now)
