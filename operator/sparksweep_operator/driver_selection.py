"""Choose an experiment's driver among its pods, and the number of its next one. Pure.

Each driver's pod has a higher number than every one before it, so that a pod stuck on a lost node does not block its
successor, and the two are distinguished by their writes: see ``TrialBatch.status.driver``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sparksweep_core.ages import Age
from sparksweep_core.contract.driver_config import DRIVER_CANNOT_START
from sparksweep_core.contract.labels import DRIVER, EXECUTOR
from sparksweep_core.contract.names import driver_number
from sparksweep_core.history import Summary
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
    pods: Iterable[Pod], summary: Summary, *, owner: str, age: Age
) -> DriverSelection:
    """Choose the driver among the pods of an experiment.

    Args:
        pods: the pods with the experiment's name.
        summary: the summary of its batches.
        owner: UID of the Experiment. Pods of an earlier Experiment of the same name are ignored: they are being
            deleted. Only their numbers count as taken.
        age: gives the ages of times.
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
    delay = _restart_delay(ended[-1], age) if ended and live is None else timedelta(0)
    return DriverSelection(
        status=_status(live, ended, executors, summary),
        live=live,
        executors=executors,
        last_ended=None if live or not ended else ended[-1],
        obsolete=(*alive[:-1], *(ended if live else ended[:-1])),
        next_number=_next_number(pods, summary),
        start_delay=delay,
    )


def _status(
    live: Pod | None,
    ended: Sequence[Pod],
    executors: Sequence[Pod],
    summary: Summary,
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
    # Its name is in the newest batch that existed when it started; it may not have touched a later one.
    if live.name not in summary.drivers:
        message = f"The driver is waiting: {live.problem}" if live.problem else ""
        return DriverStatus(DriverState.STARTING, message)
    message = executors_message(executors)
    if not message and summary.problem is not None:
        message = summary.problem.text
    if not message and not any(pod.phase == "Running" for pod in executors):
        message = "The executors are being started."
    return DriverStatus(DriverState.RUNNING, message)


def _number(pod: Pod) -> int:
    return driver_number(pod.name) or 0


def _next_number(pods: Iterable[Pod], summary: Summary) -> int:
    names = [pod.name for pod in pods if pod.role == DRIVER]
    numbers = [*map(driver_number, names), summary.last_driver_number]
    return max((number for number in numbers if number is not None), default=-1) + 1


def _restart_delay(ended: Pod, age: Age) -> timedelta:
    if ended.exit_code == DRIVER_CANNOT_START and ended.ended is not None:
        return max(timedelta(0), CANNOT_START_DELAY - age(ended.ended))
    # A pod that a node refused, or that was evicted, has no container status with the time of its end.
    moment = ended.ended or ended.created
    if moment is None or ended.created is None or moment - ended.created > SHORT_LIFE:
        return timedelta(0)
    return max(timedelta(0), RESTART_DELAY - age(moment))
