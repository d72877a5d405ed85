"""One task for each experiment that something may still happen to: it waits, takes a turn, and waits again.

Not kopf's daemons: they would put a finalizer on the Experiment, and an operator that is down would keep it from being
deleted. Owner references delete all that belongs to it, whoever is there.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

from sparksweep_core.backoff import Backoff
from sparksweep_operator.cache import Key
from sparksweep_operator.kube import Conflict, KubeError, NotFound, Unavailable
from sparksweep_operator.metrics import Metrics
from sparksweep_operator.reconciler import STATUS_INTERVAL, Memo, Result

log = logging.getLogger(__name__)

FIRST_BACKOFF_S = 1.0
LONGEST_BACKOFF_S = 60.0
LONGEST_OUTAGE_BACKOFF_S = 10.0
FIRST_CONFLICT_BACKOFF_S = 0.5
LONGEST_CONFLICT_BACKOFF_S = 5.0
RESYNC_S = 60.0
"""An experiment that is not left alone has a turn at least this often, should a watch event have been lost."""

_BACKOFF = Backoff(FIRST_BACKOFF_S, LONGEST_BACKOFF_S)
_CONFLICT_BACKOFF = Backoff(FIRST_CONFLICT_BACKOFF_S, LONGEST_CONFLICT_BACKOFF_S)

Reconcile = Callable[[Key, Memo], Awaitable[Result]]


class ExperimentWorkers:
    """The tasks, by experiment. Belongs to one event loop."""

    def __init__(
        self,
        reconcile: Reconcile,
        is_finished: Callable[[Key], bool],
        metrics: Metrics | None = None,
    ) -> None:
        """Take turns with `reconcile`, for each experiment until `is_finished` says that nothing is left to do."""
        self._reconcile = reconcile
        self._is_finished = is_finished
        self._metrics = metrics or Metrics()
        self._metrics.observe_queue_age(self.queue_age_s)
        self._woken: dict[Key, float] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._wakes: dict[Key, asyncio.Event] = {}
        self._closed = False

    def enqueue(self, key: Key) -> None:
        """Something about the experiment has changed."""
        if self._closed:
            return
        if key not in self._tasks:
            self._wakes[key] = asyncio.Event()
            self._tasks[key] = asyncio.create_task(self._run(key), name=f"{key[0]}/{key[1]}")
        self._wakes[key].set()
        self._woken.setdefault(key, time.monotonic())

    def queue_age_s(self) -> float:
        """How long the experiment has waited that waits longest for a turn since something about it changed."""
        # A copy, because metrics are asked for by another thread.
        return time.monotonic() - min(self._woken.copy().values(), default=time.monotonic())

    async def close(self) -> None:
        """End all tasks. A turn under way is broken off, which the next operator's first turn makes good."""
        self._closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self, key: Key) -> None:
        wake, memo, failures = self._wakes[key], Memo(), 0
        try:
            while True:
                wake.clear()
                woken, began = self._woken.pop(key, None), time.monotonic()
                try:
                    turn = await self._reconcile(key, memo)
                except Exception as error:
                    failures += 1
                    self._metrics.observe_reconcile(time.monotonic() - began, _outcome(error))
                    # What it was woken for is yet to be looked at.
                    self._woken[key] = began if woken is None else woken
                    await asyncio.sleep(_backoff_s(error, failures, key))
                    continue
                failures = 0
                self._metrics.observe_reconcile(time.monotonic() - began, "done")
                if turn.requeue_after is None and not wake.is_set() and self._is_finished(key):
                    return
                if turn.wrote_status:
                    await asyncio.sleep(STATUS_INTERVAL.total_seconds())
                await _wait(wake, turn.requeue_after)
        finally:
            self._tasks.pop(key, None)
            self._wakes.pop(key, None)
            self._woken.pop(key, None)


async def _wait(wake: asyncio.Event, most: timedelta | None) -> None:
    seconds = RESYNC_S if most is None else min(RESYNC_S, most.total_seconds())
    # Not wait_for, which in Python 3.11 loses a cancellation that comes together with the wake.
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wake.wait()


def _outcome(error: Exception) -> str:
    """What to call a turn that failed, among the metrics' `OUTCOMES`."""
    match error:
        case NotFound() | Conflict():
            return "conflict"
        case Unavailable():
            return "unavailable"
        case KubeError():
            return "refused"
        case _:
            return "error"


def _backoff_s(error: Exception, failures: int, key: Key) -> float:
    """How long to wait after a turn that failed, and a word about it in the log."""
    name = "/".join(key)
    if isinstance(error, NotFound | Conflict):
        # Deleted meanwhile, or seen by us later than written: the watch will tell. Or an earlier experiment's objects
        # are still being deleted, which takes as long as its driver takes to end.
        log.info("%s: %s", name, error)
        return _CONFLICT_BACKOFF.delay_s(max(0, failures - 5))
    pause_s = _BACKOFF.delay_s(failures - 1)
    if isinstance(error, Unavailable):
        # It says nothing about this experiment, and once the server is back nobody should wait a minute.
        pause_s = max(min(pause_s, LONGEST_OUTAGE_BACKOFF_S), error.retry_after_s or 0.0)
    pause_s *= random.uniform(0.8, 1.2)
    if isinstance(error, KubeError):
        log.warning("%s: %s; again in %.0f s", name, error, pause_s)
    else:
        log.error("%s: unexpected; again in %.0f s", name, pause_s, exc_info=error)
    return pause_s
