"""Watches the executors' pods: finds the cause of a loss before Spark notices it, and deletes dead pods.

Spark is configured to keep dead executors' pods: they show whether memory was the cause.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from sparksweep_core.api_server.errors import KubeError, NotFound, Unavailable
from sparksweep_core.contract.labels import EXECUTOR, experiment_selector
from sparksweep_core.contract.names import executor_driver_number
from sparksweep_trainer.driver.slot_loss import Loss, SlotFailed
from sparksweep_trainer.kubernetes.api_client import ApiClient, Json, pods_path
from sparksweep_trainer.kubernetes.executors import Death, Pod, death_of, vanished

log = logging.getLogger(__name__)

EXPLAIN_S = 5.0
"""Seconds to wait for the kubelet to report the end of a container."""
KEEP_S = 5.0
"""Seconds that a dead pod is kept: Spark watches it, too, and takes one that vanishes at once for deleted by
accident."""
OVERDUE_S = 30.0
"""Seconds after its deadline when a terminating pod is deleted without its kubelet: its node is unreachable."""
GRACE_S = 30.0
"""Grace period of a terminating pod that names none: Kubernetes' default."""
SWEEP_S = 2.0
MAX_FAILED_STARTS = 5
"""Executors in a row that may crash before a slot has registered from them."""
MAX_DEATHS = 10_000
"""Largest number of deaths that are remembered."""


def _now() -> datetime:
    return datetime.now(UTC)


def selector(experiment: str) -> dict[str, str]:
    """Return the labels of an experiment's executors, those of earlier drivers included."""
    return experiment_selector(experiment, EXECUTOR)


class ExecutorWatch:
    """Follows the executors' pods and deletes dead ones. An `EventHandler`; slots' threads call `explain`."""

    def __init__(
        self,
        *,
        prefix: str,
        driver_number: int,
        memory: str,
        lose: Callable[[str, Loss], None],
        give_up: Callable[[str], None],
        has_registered: Callable[[str], bool],
        explain_s: float = EXPLAIN_S,
        clock: Callable[[], datetime] = _now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            prefix: start of the names of this driver's executors.
            driver_number: executors of drivers with a lower number are deleted.
            memory: memory limit of an executor, as a Kubernetes quantity.
            lose: called with the name of a lost executor and the cause.
            give_up: called with a message when no executor can start.
            has_registered: returns True if a slot has ever registered from the executor of a name.
            explain_s: seconds to wait for the report of a pod's end.
            clock: the wall clock, by which the deadline of a terminating pod is read, once.
            monotonic: the clock by which all waiting is measured.
        """
        self._prefix = prefix
        self._driver_number = driver_number
        self._memory = memory
        self._lose = lose
        self._give_up = give_up
        self._has_met = has_registered
        self._explain_s = explain_s
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._death_noted = threading.Condition(self._lock)
        self._pods: dict[str, Pod] = {}
        self._deaths: dict[str, Death] = {}
        self._remove_at: dict[str, float] = {}
        self._overdue_at: dict[str, tuple[str, float]] = {}
        """By name of a terminating pod its deadline as stored, and the moment when it is overdue."""
        self._failed_starts = 0

    def explain(self, node: str, failed: SlotFailed) -> Loss:
        """Return the cause of the end of a slot's job; waits up to `explain_s` for the report of its executor's end."""
        with self._lock:
            if failed.executor_lost:
                self._death_noted.wait_for(lambda: node in self._deaths, self._explain_s)
            death = self._deaths.get(node)
        if death is not None:
            return death.loss
        if failed.executor_lost:
            return Loss(f"Its executor {node} does not answer.")
        return Loss(f"Its slot on {node} was lost: {failed}")

    @property
    def has_executors(self) -> bool:
        """True if a pod of this driver's executors exists, dead or alive."""
        with self._lock:
            return any(name.startswith(self._prefix) for name in self._pods)

    def discard(self, name: str) -> None:
        """Delete the pod of an executor whose slot sends nothing: nothing else ends the processes there for sure."""
        with self._lock:
            self._remove_at.setdefault(name, self._monotonic())

    # ------------------------------------------------------------------ EventHandler

    def on_list(self, items: Iterable[Json]) -> None:
        """See `EventHandler`."""
        names = set()
        for item in items:
            names.add(item["metadata"]["name"])
            self.on_change(item)
        for name in [name for name in self._pods if name not in names]:
            self._forget(name, vanished(name))

    def on_change(self, item: Json) -> None:
        """See `EventHandler`."""
        name = item["metadata"]["name"]
        with self._lock:
            self._pods[name] = item
            self._note_deadline(name, item["metadata"])
        if not name.startswith(self._prefix):
            self._note_other_driver(name)
            return
        death = death_of(item, memory=self._memory)
        if death is not None:
            self._note_death(name, death)
            self._remove_later(name)

    def on_delete(self, item: Json) -> None:
        """See `EventHandler`."""
        name = item["metadata"]["name"]
        self._forget(name, death_of(item, memory=self._memory) or vanished(name))

    def _forget(self, name: str, death: Death) -> None:
        with self._lock:
            self._pods.pop(name, None)
            self._remove_at.pop(name, None)
            self._overdue_at.pop(name, None)
        if name.startswith(self._prefix):
            self._note_death(name, death)

    def _note_deadline(self, name: str, metadata: Json) -> None:
        """Read the deadline of a terminating pod; called under the lock.

        The API server's clock wrote it, and this machine's may be another or be set: so it is compared with the wall
        clock once, when the pod is first seen terminating, and is not taken for over, nor for later than its grace
        period from now.
        """
        deadline = metadata.get("deletionTimestamp")
        noted = self._overdue_at.get(name)
        if deadline is None or (noted is not None and noted[0] == deadline):
            return
        grace_s = float(metadata.get("deletionGracePeriodSeconds", GRACE_S))
        left_s = (datetime.fromisoformat(deadline) - self._clock()).total_seconds()
        left_s = min(max(0.0, left_s), grace_s)
        self._overdue_at[name] = deadline, self._monotonic() + left_s + OVERDUE_S

    def _note_other_driver(self, name: str) -> None:
        number = executor_driver_number(name)
        if number is not None and number < self._driver_number:
            with self._lock:
                self._remove_at.setdefault(name, self._monotonic())

    def _remove_later(self, name: str) -> None:
        with self._lock:
            self._remove_at.setdefault(name, self._monotonic() + KEEP_S)

    def _note_death(self, name: str, death: Death) -> None:
        with self._lock:
            if name in self._deaths:
                return
            self._deaths[name] = death
            if len(self._deaths) > MAX_DEATHS:
                del self._deaths[next(iter(self._deaths))]
            self._death_noted.notify_all()
        log.info("executor %s: %s", name, death.loss.message)
        if self._has_met(name):
            self._failed_starts = 0
        elif death.crashed:
            self._failed_starts += 1
            if self._failed_starts >= MAX_FAILED_STARTS:
                self._give_up(f"No executor can start. {death.loss.message}")
        self._lose(name, death.loss)

    # ------------------------------------------------------------------ removing

    def sweep(self, api: ApiClient, namespace: str) -> None:
        """Delete the pods that are due.

        Raises:
            Unavailable: try again later.
        """
        for name, grace_s in self._due():
            query = {} if grace_s is None else {"gracePeriodSeconds": str(grace_s)}
            try:
                api.request("DELETE", pods_path(namespace, name), query=query)
            except NotFound:
                pass
            except Unavailable:
                raise
            except KubeError as error:
                log.warning("pod %s can't be removed: %s", name, error)
            with self._lock:
                self._remove_at.pop(name, None)

    def run(
        self,
        api: ApiClient,
        namespace: str,
        *,
        stop: threading.Event,
        then: Callable[[ApiClient], None] = lambda _: None,
    ) -> None:
        """Sweep every `SWEEP_S` seconds until `stop` is set, and call `then` after each sweep."""
        with api:
            while not stop.wait(SWEEP_S):
                try:
                    self.sweep(api, namespace)
                    then(api)
                except KubeError as error:
                    log.info("executors are not looked after now: %s", error)

    def _due(self) -> list[tuple[str, int | None]]:
        """Return the pods to delete, each with its grace period in seconds, or None for its own."""
        moment = self._monotonic()
        due: list[tuple[str, int | None]] = []
        with self._lock:
            for name in self._pods:
                if name in self._overdue_at:
                    if self._overdue_at[name][1] <= moment:
                        due.append((name, 0))
                elif self._remove_at.get(name, moment + 1) <= moment:
                    due.append((name, None))
        return due
