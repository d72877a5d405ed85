"""Workers: one task for each active experiment, which waits for a change and reconciles.

These are not kopf's daemons, which put a finalizer on the Experiment: it could not be deleted while the operator is
down. Owner references delete what belongs to it even then.
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
from sparksweep_operator.memo import Memo
from sparksweep_operator.metrics import Metrics
from sparksweep_operator.pacing import STATUS_INTERVAL
from sparksweep_operator.reconciler import Result

log = logging.getLogger(__name__)

FIRST_BACKOFF_S = 1.0
LONGEST_BACKOFF_S = 60.0
LONGEST_OUTAGE_BACKOFF_S = 10.0
FIRST_CONFLICT_BACKOFF_S = 0.5
LONGEST_CONFLICT_BACKOFF_S = 5.0
REPORTS_WITHIN_S = 10.0
"""Maximum time until an experiment is reconciled of which only running trials' reports have changed: no plan reads them."""
RESYNC_S = 60.0
"""Maximum time between two reconciles of an active experiment, in case a watch event was lost."""

_BACKOFF = Backoff(FIRST_BACKOFF_S, LONGEST_BACKOFF_S)
_CONFLICT_BACKOFF = Backoff(FIRST_CONFLICT_BACKOFF_S, LONGEST_CONFLICT_BACKOFF_S)

Reconcile = Callable[[Key, Memo], Awaitable[Result]]


class ExperimentWorkers:
    """The workers by experiment. Belongs to one event loop."""

    def __init__(
        self,
        reconcile: Reconcile,
        is_finished: Callable[[Key], bool],
        metrics: Metrics | None = None,
    ) -> None:
        """Create no worker yet.

        Args:
            reconcile: reconciles an experiment once.
            is_finished: returns True if an experiment's worker can end.
            metrics: instruments to report to.
        """
        self._reconcile = reconcile
        self._is_finished = is_finished
        self._metrics = metrics or Metrics()
        self._metrics.observe_queue_age(self.queue_age_s)
        self._changed_at: dict[Key, float] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._wakeups: dict[Key, asyncio.Event] = {}
        self._later: dict[Key, asyncio.TimerHandle] = {}
        self._closed = False

    def enqueue(self, key: Key, *, urgent: bool = True) -> None:
        """Request a reconcile of an experiment that has changed; start its worker if it has none.

        Args:
            key: the experiment.
            urgent: False if `REPORTS_WITHIN_S` is soon enough; any reconcile before that will do.
        """
        if self._closed:
            return
        if not urgent and key in self._tasks:
            if key not in self._later:
                loop = asyncio.get_running_loop()
                self._later[key] = loop.call_later(REPORTS_WITHIN_S, self.enqueue, key)
            return
        if key not in self._tasks:
            self._wakeups[key] = asyncio.Event()
            self._tasks[key] = asyncio.create_task(self._run(key), name=f"{key[0]}/{key[1]}")
        self._wakeups[key].set()
        self._changed_at.setdefault(key, time.monotonic())

    def queue_age_s(self) -> float:
        """Return the seconds since the oldest unhandled change; 0 if there is none."""
        # A copy, because another thread collects the metrics.
        return time.monotonic() - min(self._changed_at.copy().values(), default=time.monotonic())

    async def close(self) -> None:
        """Cancel all workers. The next operator's first reconcile completes one that is interrupted."""
        self._closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self, key: Key) -> None:
        wakeup, memo, failures = self._wakeups[key], Memo(), 0
        try:
            while True:
                wakeup.clear()
                self._forget_later(key)
                changed_at, began = self._changed_at.pop(key, None), time.monotonic()
                try:
                    result = await self._reconcile(key, memo)
                except Exception as error:
                    failures += 1
                    self._metrics.observe_reconcile(time.monotonic() - began, _outcome(error))
                    # The change is still unhandled.
                    self._changed_at[key] = began if changed_at is None else changed_at
                    await asyncio.sleep(_backoff_s(error, failures, key))
                    continue
                failures = 0
                self._metrics.observe_reconcile(time.monotonic() - began, "done")
                if result.requeue_after is None and not wakeup.is_set() and self._is_finished(key):
                    return
                if result.wrote_status:
                    await asyncio.sleep(STATUS_INTERVAL.total_seconds())
                await _wait(wakeup, result.requeue_after)
        finally:
            self._forget_later(key)
            self._tasks.pop(key, None)
            self._wakeups.pop(key, None)
            self._changed_at.pop(key, None)

    def _forget_later(self, key: Key) -> None:
        handle = self._later.pop(key, None)
        if handle is not None:
            handle.cancel()


async def _wait(wakeup: asyncio.Event, limit: timedelta | None) -> None:
    seconds = RESYNC_S if limit is None else min(RESYNC_S, limit.total_seconds())
    # Not wait_for, which in Python 3.11 loses a cancellation that coincides with the event.
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wakeup.wait()


def _outcome(error: Exception) -> str:
    """Return which of the metrics' `OUTCOMES` an error is."""
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
    """Log a failed reconcile and return the seconds to wait before the next."""
    name = "/".join(key)
    if isinstance(error, NotFound | Conflict):
        # The object was deleted or changed meanwhile, and the watch event is on its way. Or objects of an earlier
        # experiment of that name are still being deleted, which takes as long as its driver takes to end.
        log.info("%s: %s", name, error)
        return _CONFLICT_BACKOFF.delay_s(max(0, failures - 5))
    delay_s = _BACKOFF.delay_s(failures - 1)
    if isinstance(error, Unavailable):
        # The outage has nothing to do with this experiment, which should not wait a minute once it is over.
        delay_s = max(min(delay_s, LONGEST_OUTAGE_BACKOFF_S), error.retry_after_s)
    delay_s *= random.uniform(0.8, 1.2)
    if isinstance(error, KubeError):
        log.warning("%s: %s; retrying in %.0f s", name, error, delay_s)
    else:
        log.error("%s: unexpected error; retrying in %.0f s", name, delay_s, exc_info=error)
    return delay_s
