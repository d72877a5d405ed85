"""Choose an experiment's driver among its pods, and the number of its next one. Pure.

Each driver's pod has a higher number than every one before it, so that a pod stuck on a lost node does not block its
successor, and the two are distinguished by their writes: see ``TrialBatch.status.driver``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sparksweep_core.api import TrialBatch
from sparksweep_core.contract.driver_config import DRIVER_CANNOT_START
from sparksweep_core.contract.labels import DRIVER, EXECUTOR
from sparksweep_core.contract.names import driver_number
from sparksweep_core.planner import DriverState, DriverStatus
from sparksweep_operator.pod_status import Pod, executors_message

SHORT_LIFE = timedelta(seconds=60)
"""A driver that ended sooner than this may be unable to run at all..."""
RESTART_DELAY = timedelta(seconds=10)
"""...so the next one starts no sooner than this after its end."""
CANNOT_START_DELAY = timedelta(minutes=5)
"""The same for one that could not start with what its pod gave it, as the next could not: a user has to help."""


@dataclass(frozen=True, slots=True)
class DriverSelection:
    """An experiment's driver and executors, and what to do about their pods."""

    status: DriverStatus
    """State of the driver, for the planner."""
    live: Pod | None
    """Pod of the driver."""
    executors: tuple[Pod, ...]
    """The driver's executors that run or still may."""
    last_ended: Pod | None
    """Pod of the last driver, if it has ended and has no successor yet: it says why it ended."""
    obsolete: tuple[Pod, ...]
    """Pods to delete whatever the plan: those of older drivers, whose executors go with them."""
    next_number: int
    """Number of the next driver."""
    start_delay: timedelta
    """Time to wait before the next driver is started."""

    @property
    def viewer_pod(self) -> str | None:
        """Name of the driver's pod in which a viewer is running."""
        for pod in (self.live, self.last_ended):
            if pod is not None and pod.has_viewer:
                return pod.name
        return None


def select_driver(
    pods: Iterable[Pod], batches: Sequence[TrialBatch], *, owner: str, now: datetime
) -> DriverSelection:
    """Choose the driver among the pods of an experiment.

    Args:
        pods: the pods with the experiment's name.
        batches: its batches.
        owner: UID of the Experiment. Pods of an earlier Experiment of the same name are ignored: they are being
            deleted. Only their numbers count as taken.
        now: the time.
    """
    pods = list(pods)
    drivers = sorted(
        (pod for pod in pods if pod.role == DRIVER and pod.owner == owner), key=_number
    )
    alive = [pod for pod in drivers if pod.is_alive]
    ended = [pod for pod in drivers if not pod.is_alive and not pod.deleting]
    live = alive[-1] if alive else None
    executors = tuple(
        pod
        for pod in pods
        if pod.role == EXECUTOR and live and pod.owner == live.uid and pod.is_alive
    )
    delay = _restart_delay(ended[-1], now) if ended and live is None else timedelta(0)
    return DriverSelection(
        status=_status(live, ended, executors, batches),
        live=live,
        executors=executors,
        last_ended=None if live or not ended else ended[-1],
        obsolete=(*alive[:-1], *(ended if live else ended[:-1])),
        next_number=_next_number(pods, batches),
        start_delay=delay,
    )


def _status(
    live: Pod | None,
    ended: Sequence[Pod],
    executors: Sequence[Pod],
    batches: Sequence[TrialBatch],
) -> DriverStatus:
    if live is None:
        message = ""
        if ended:
            name, termination = ended[-1].name, ended[-1].termination
            message = f"The driver {name} ended ({termination}); another one is started."
            if ended[-1].exit_code == DRIVER_CANNOT_START:
                minutes = CANNOT_START_DELAY // timedelta(minutes=1)
                message = f"The driver {name} can't start ({termination}); another one is tried after {minutes} minutes."
        return DriverStatus(DriverState.ABSENT, message)
    if not _has_taken_over(live, batches):
        message = f"The driver is waiting: {live.problem}" if live.problem else ""
        return DriverStatus(DriverState.STARTING, message)
    message = executors_message(executors)
    if not message and not any(pod.phase == "Running" for pod in executors):
        message = "The executors are being started."
    return DriverStatus(DriverState.RUNNING, message)


def _number(pod: Pod) -> int:
    return driver_number(pod.name) or 0


def _has_taken_over(live: Pod, batches: Sequence[TrialBatch]) -> bool:
    """Return True if the driver has written its name into a batch.

    It does so in the newest batch that exists when it starts; it may not have touched a later one.
    """
    return any(batch.status is not None and batch.status.driver == live.name for batch in batches)


def _next_number(pods: Iterable[Pod], batches: Sequence[TrialBatch]) -> int:
    names = [pod.name for pod in pods if pod.role == DRIVER]
    names += [batch.status.driver for batch in batches if batch.status and batch.status.driver]
    numbers = [number for number in map(driver_number, names) if number is not None]
    return max(numbers) + 1 if numbers else 0


def _restart_delay(ended: Pod, now: datetime) -> timedelta:
    if ended.exit_code == DRIVER_CANNOT_START and ended.ended is not None:
        return max(timedelta(0), ended.ended + CANNOT_START_DELAY - now)
    # A pod that a node refused, or that was evicted, has no container status with the time of its end.
    moment = ended.ended or ended.created
    if moment is None or ended.created is None or moment - ended.created > SHORT_LIFE:
        return timedelta(0)
    return max(timedelta(0), moment + RESTART_DELAY - now)
