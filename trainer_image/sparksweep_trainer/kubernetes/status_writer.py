"""Writes the batches' statuses to the API server: at once after a quiet second, else once a second.

A trial counts as finished when its outcome has been written here. Until then everybody else reads that it runs, and if
this driver ends first, it runs again; a trial that anyone has read as finished never does. A slot's report is therefore
taken without waiting for the API server. While that is away everything goes on, and the statuses are written later.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from pydantic import ValidationError

from sparksweep_core.api.status import ReportedMetrics, TrialStatus
from sparksweep_core.api.trial_batch import TrialBatch
from sparksweep_core.api_server.errors import Conflict, Invalid, KubeError, NotFound, Unavailable
from sparksweep_trainer.kubernetes.api_client import ApiClient, Json, batches_path
from sparksweep_trainer.kubernetes.batch_statuses import BatchStatuses
from sparksweep_trainer.kubernetes.fencing import Fence
from sparksweep_trainer.kubernetes.informer import retry_backoff

log = logging.getLogger(__name__)

INTERVAL_S = 1.0
"""Shortest time in seconds between the starts of two rounds of writes."""
MAX_CONFLICTS = 5
"""Immediate retries of a write after another writer came first."""


class StatusWriter:
    """Keeps the batches' statuses written. Thread-safe; a thread of its own does the writing."""

    def __init__(
        self,
        api: ApiClient,
        *,
        namespace: str,
        fence: Fence,
        monotonic: Callable[[], float] = time.monotonic,
        on_error: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._fence = fence
        self._monotonic = monotonic
        self._on_error = on_error
        self._statuses = BatchStatuses(fence.driver)
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._not_before = 0.0
        self._backoff = retry_backoff()
        self._closing = False
        self._written = 0
        self._failed = 0
        self._thread = threading.Thread(target=self._run, name="status-writer", daemon=True)

    # ------------------------------------------------------------------ changes, from any thread

    def put(self, batch: TrialBatch) -> None:
        """Add or update a batch as it was read; called before its trials are submitted."""
        with self._lock:
            self._statuses.put(batch)
            self._changed.notify_all()

    def record(self, changed: Sequence[TrialStatus]) -> None:
        """Record changed statuses. Called under the trial service's lock, so it must not block."""
        with self._lock:
            self._statuses.record(changed)
            self._changed.notify_all()

    def report(self, number: int, attempt: int, reported: ReportedMetrics) -> None:
        """Record the metrics that a running trial reports."""
        with self._lock:
            if self._statuses.report(number, attempt, reported):
                self._changed.notify_all()

    def refuse(self, message: str) -> None:
        """Record that the trial code can't take the parameters."""
        with self._lock:
            self._statuses.refuse(message)
            self._changed.notify_all()

    @property
    def writes(self) -> tuple[int, int]:
        """Number of writes that succeeded, and number of those that failed and were retried."""
        with self._lock:
            return self._written, self._failed

    def missing_from(self, items: dict[str, str | None]) -> list[str]:
        """Return names of recorded batches that are missing from `items`, or there with another UID."""
        with self._lock:
            uids = {name: self._statuses.uid(name) for name in self._statuses.names}
        return sorted(name for name, uid in uids.items() if name not in items or items[name] != uid)

    # ------------------------------------------------------------------ taking over

    def claim(self, batch: TrialBatch) -> TrialBatch | None:
        """Write this driver's name into a batch before any of its trials runs; return the batch after that.

        It contains everything that an earlier driver has written, and that driver can't write it any more. Returns
        None if the batch is gone, or a later driver has taken over.

        Raises:
            Unavailable: nothing has been written; try again.
            KubeError: the server refuses it.
        """
        path = batches_path(self._namespace, batch.metadata.name)
        while True:
            if batch.status is not None and not self._fence.holds(batch.status.driver):
                return None
            with self._lock:
                self._statuses.put(batch, reload=True)
                taken = self._statuses.take(batch.metadata.name)
            if taken is None:
                return batch
            status, version = taken
            try:
                claimed = self._api.patch_status(path, status, resource_version=version)
            except Conflict:
                claimed = self._api.request("GET", path)
                batch = parse_batch(claimed)
                continue
            except NotFound:
                with self._lock:
                    self._statuses.drop(batch.metadata.name)
                return None
            batch = parse_batch(claimed)
            with self._lock:
                self._statuses.put(batch)
            return batch

    # ------------------------------------------------------------------ writing

    def start(self) -> None:
        """Start writing."""
        self._thread.start()

    def close(self, *, flush_s: float) -> None:
        """Write the rest, for at most `flush_s` seconds, and end."""
        with self._lock:
            self._closing = True
            # The last write need not wait for its interval.
            self._not_before = 0.0
            self._changed.notify_all()
        self._thread.join(timeout=flush_s)

    def write_due(self) -> float | None:
        """Write what is due; return the seconds until the next round, or None if there is nothing to write."""
        with self._lock:
            names = self._statuses.dirty
            if not names:
                return None
            now = self._monotonic()
            if now < self._not_before:
                return self._not_before - now
            self._not_before = now + INTERVAL_S
        for name in names:
            if self._fence.is_down:
                return None
            try:
                self._write(name)
                self._backoff.reset()
            except Unavailable as error:
                self._put_back(name, self._backoff.next_s(error.retry_after_s))
                log.warning("batch %s is not written yet: %s", name, error)
                break
            except KubeError as error:
                # Perhaps a missing right. Other batches may still be written.
                self._put_back(name, self._backoff.next_s(INTERVAL_S))
                log.warning("batch %s can't be written: %s", name, error)
        with self._lock:
            left_s = self._not_before - self._monotonic()
            return max(0.0, left_s) if self._statuses.dirty else None

    def _put_back(self, name: str, delay_s: float) -> None:
        with self._lock:
            self._failed += 1
            self._statuses.put_back(name)
            self._not_before = max(self._not_before, self._monotonic() + delay_s)

    def _write(self, name: str) -> None:
        path = batches_path(self._namespace, name)
        for attempt in range(MAX_CONFLICTS):
            with self._lock:
                if attempt:
                    self._statuses.put_back(name)
                taken = self._statuses.take(name)
            if taken is None or self._fence.is_down:
                return
            status, version = taken
            try:
                written = self._api.patch_status(path, status, resource_version=version)
            except Conflict:
                if not self._read_again(name, path):
                    return
                continue
            except NotFound:
                self._drop(name)
                return
            with self._lock:
                self._written += 1
            self._note(name, written)
            return
        raise Unavailable("another client keeps writing to it")

    def _read_again(self, name: str, path: str) -> bool:
        """Read the batch after a conflict; return False if the write must not be retried."""
        try:
            item = self._api.request("GET", path)
        except NotFound:
            self._drop(name)
            return False
        with self._lock:
            same = self._statuses.uid(name) == item["metadata"].get("uid")
        if not same:
            # A new experiment of the same name: this driver's own is deleted, and the driver will be.
            self._drop(name)
            return False
        if not self._fence.holds((item.get("status") or {}).get("driver")):
            return False
        self._note(name, item)
        return True

    def _note(self, name: str, item: Json) -> None:
        with self._lock:
            self._statuses.wrote(name, item["metadata"].get("resourceVersion"))

    def _drop(self, name: str) -> None:
        log.info("batch %s is gone", name)
        with self._lock:
            self._statuses.drop(name)

    def _run(self) -> None:
        try:
            self._keep_written()
        except Exception as error:
            # A driver that can't publish its results is of no use.
            log.exception("writing statuses ended")
            self._on_error(error)
        finally:
            self._api.close()

    def _keep_written(self) -> None:
        while True:
            wait_s = self.write_due()
            with self._lock:
                if self._closing and (wait_s is None or self._fence.is_down):
                    return
                if wait_s is None:
                    self._changed.wait_for(lambda: self._closing or bool(self._statuses.dirty))
                else:
                    # Changes don't make a round due earlier; only `close` does.
                    self._changed.wait_for(lambda: self._not_before == 0.0, wait_s)


def parse_batch(item: Json) -> TrialBatch:
    """Parse a TrialBatch as the API server has it.

    Raises:
        Invalid: this version can't read it.
    """
    try:
        return TrialBatch.from_api(item)
    except ValidationError as error:
        raise Invalid(f"a TrialBatch that can't be read: {error}") from error
