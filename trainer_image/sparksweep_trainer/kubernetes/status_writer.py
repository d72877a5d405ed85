"""Writes the batches' statuses to the API server: at once after a quiet second, else once a second.

A write that fails keeps no other batch waiting: `write_pacing` says when each is due. A status that is too large for etcd
is shortened (`status_size`).

A trial counts as finished when its outcome has been written here. Until then everybody else reads that it runs, and if
this driver ends first, it runs again; a trial that anyone has read as finished never does. A slot's report is therefore
taken without waiting for the API server. While that is away everything goes on, and the statuses are written later.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from sparksweep_core.api import limits
from sparksweep_core.api.reasons import TrialState
from sparksweep_core.api.status import ReportedMetrics, TrialStatus
from sparksweep_core.api.trial_batch import TrialBatch
from sparksweep_core.api_server.errors import (
    REFUSALS,
    AdmissionFailed,
    Conflict,
    KubeError,
    NotFound,
    TooLarge,
    Unavailable,
)
from sparksweep_core.validation.reading import read_object
from sparksweep_trainer.kubernetes.api_client import ApiClient, Json, batches_path
from sparksweep_trainer.kubernetes.batch_statuses import (
    BatchStatuses,
    claim_status,
)
from sparksweep_trainer.kubernetes.fencing import Fence
from sparksweep_trainer.kubernetes.informer import retry_backoff
from sparksweep_trainer.kubernetes.status_size import SMALLEST_BYTES, fit
from sparksweep_trainer.kubernetes.write_pacing import INTERVAL_S, WritePacing

log = logging.getLogger(__name__)

MAX_CONFLICTS = 5
"""Immediate retries of a write after another writer came first."""
AWAY = 2
"""Batches without an answer, and none with one, after which the API server counts as away: until then it may be the object's fault."""


class StatusWriter:
    """Keeps the batches' statuses written. Thread-safe; a thread of its own does the writing."""

    def __init__(
        self,
        api: ApiClient,
        *,
        namespace: str,
        fence: Fence,
        objective: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        on_error: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._fence = fence
        self._objective = objective
        self._monotonic = monotonic
        self._on_error = on_error
        self._statuses = BatchStatuses(fence.driver)
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._pacing = WritePacing()
        self._backoff = retry_backoff()
        self._closing = False
        self._written = 0
        self._failed = 0
        self._refusals: dict[str, str] = {}
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
            for trial in changed:
                if trial.state is not TrialState.RUNNING:
                    self._pacing.ended(trial.number)
            self._changed.notify_all()

    def report(self, number: int, attempt: int, reported: ReportedMetrics) -> None:
        """Record the metrics that a running trial reports."""
        with self._lock:
            if self._statuses.report(number, attempt, reported):
                self._pacing.reports(number)
                self._changed.notify_all()

    def refuse(self, message: str) -> None:
        """Record that the trial code can't take the parameters."""
        with self._lock:
            self._statuses.refuse(message)
            self._changed.notify_all()

    def set_problem(self, problem: str | None) -> None:
        """Record trouble that does not end this driver, as text for the user; None: there is none."""
        text = None if problem is None else problem[: limits.MESSAGE]
        with self._lock:
            if self._statuses.set_problem(text):
                self._changed.notify_all()

    @property
    def refusal(self) -> str | None:
        """The API server's words about a batch that it refuses to take; None if it has taken the last version of each."""
        with self._lock:
            return next(iter(self._refusals.values()), None)

    @property
    def writes(self) -> tuple[int, int]:
        """Number of writes that succeeded, and number of those that failed and were retried."""
        with self._lock:
            return self._written, self._failed

    @property
    def batches(self) -> int:
        """Number of batches."""
        with self._lock:
            return len(self._statuses.names)

    def missing_from(self, items: dict[str, str | None]) -> list[str]:
        """Return names of recorded batches that are missing from `items`, or there with another UID."""
        with self._lock:
            uids = {name: self._statuses.uid(name) for name in self._statuses.names}
        return sorted(name for name, uid in uids.items() if name not in items or items[name] != uid)

    # ------------------------------------------------------------------ taking over

    def claim(self, batch: TrialBatch, api: ApiClient) -> TrialBatch | None:
        """Write this driver's name into a batch before any of its trials runs; return the batch after that.

        Not one trial is written, however many the batch has. The batch that is returned contains
        everything that an earlier driver has written, and that driver can't write it any more. Returns None if the
        batch is gone, or a later driver has taken over.

        Raises:
            Unavailable: nothing has been written; try again.
            KubeError: the server refuses it.
        """
        path = batches_path(self._namespace, batch.metadata.name)
        while True:
            writer = None if batch.status is None else batch.status.driver
            if not self._fence.holds(writer):
                return None
            if writer == self._fence.driver:
                break
            try:
                claimed = api.patch_status(
                    path,
                    claim_status(batch, self._fence.driver),
                    resource_version=batch.metadata.resource_version,
                )
            except Conflict:
                claimed = api.request("GET", path)
            except NotFound:
                return None
            batch = parse_batch(claimed)
        with self._lock:
            self._statuses.put(batch, reload=True)
        return batch

    def is_current(self, item: Json) -> bool:
        """Return True if a batch is known exactly as it was just read: as the answer to an own write, for instance."""
        metadata = item["metadata"]
        with self._lock:
            return self._statuses.is_current(
                metadata["name"],
                uid=metadata.get("uid"),
                version=metadata.get("resourceVersion"),
                generation=metadata.get("generation"),
            )

    # ------------------------------------------------------------------ writing

    def start(self) -> None:
        """Start writing."""
        self._thread.start()

    def close(self, *, flush_s: float) -> None:
        """Write the rest, for at most `flush_s` seconds, and end."""
        with self._lock:
            self._closing = True
            # The last write need not wait for its interval.
            self._pacing.hurry()
            self._changed.notify_all()
        self._thread.join(timeout=flush_s)

    def write_due(self) -> float | None:
        """Write what is due; return the seconds until the next round, or None if there is nothing to write."""
        with self._lock:
            names, wait_s = self._due()
            if not names:
                return wait_s
            self._pacing.begin_round(self._monotonic())
        written = unanswered = 0
        for name in names:
            if self._fence.is_down:
                return None
            try:
                self._write(name)
                written += 1
            except AdmissionFailed as error:
                self._note_refusal(name, error)
                self._failed_to_write(name, error)
            except Unavailable as error:
                # A batch that failed before tells nothing of the server: it may be at fault itself.
                unanswered += not self._failed_to_write(name, error, error.retry_after_s)
                if error.retry_after_s or (unanswered == AWAY and not written):
                    with self._lock:
                        delay_s = self._backoff.next_s(error.retry_after_s)
                        self._pacing.rest(self._monotonic(), delay_s)
                    break
            except KubeError as error:
                # Perhaps a missing right, or an admission webhook: said in a status, tried again with a backoff.
                self._note_refusal(name, error)
                self._failed_to_write(name, error)
        with self._lock:
            if written:
                self._backoff.reset()
            # What is left waits for a later round, even if that is due by now.
            names, wait_s = self._due()
            return 0.0 if names else wait_s

    def _due(self) -> tuple[list[str], float | None]:
        return self._pacing.due(self._monotonic(), self._statuses.dirty, self._statuses.reported)

    def _note_refusal(self, name: str, error: KubeError) -> None:
        if isinstance(error, REFUSALS):
            error.name_object("TrialBatch", name)
            with self._lock:
                self._refusals[name] = f"The status of a TrialBatch is refused: {error}"

    def _failed_to_write(self, name: str, error: KubeError, minimum_s: float = 0.0) -> bool:
        """Note a failed write for a later try; return True if the last write of that batch failed, too."""
        with self._lock:
            self._failed += 1
            self._statuses.put_back(name)
            again = self._pacing.has_failed(name)
            delay_s = self._pacing.failed(name, self._monotonic(), max(minimum_s, INTERVAL_S))
        log.warning("batch %s is not written, again in %.0f s: %s", name, delay_s, error)
        return again

    def _patch(self, path: str, status: Json, version: str | None) -> Json:
        """Write a status, shortened as far as the API server demands.

        Raises:
            TooLarge: even the shortest is refused; the object's other parts leave it no room.
            KubeError: see `ApiClient.patch_status`.
        """
        limit = limits.BATCH_STATUS_BYTES
        while True:
            smaller = fit(status, objective=self._objective, limit=limit)
            try:
                return self._api.patch_status(path, smaller, resource_version=version)
            except TooLarge as error:
                if limit <= SMALLEST_BYTES:
                    raise
                limit //= 2
                log.warning("%s is too large and written in %d bytes: %s", path, limit, error)

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
                written = self._patch(path, status, version)
            except Conflict:
                if not self._read_again(name, path):
                    return
                continue
            except NotFound:
                self._drop(name)
                return
            with self._lock:
                self._written += 1
                self._refusals.pop(name, None)
                self._pacing.wrote(name, self._monotonic())
                self._statuses.stored(name, written)
            return
        raise Conflict("another client keeps writing to it")

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
            self._statuses.noted(name, item["metadata"].get("resourceVersion"))

    def _drop(self, name: str) -> None:
        log.info("batch %s is gone", name)
        with self._lock:
            self._statuses.drop(name)
            self._refusals.pop(name, None)
            self._pacing.forget(name)

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
            self.write_due()
            with self._lock:
                names, wait_s = self._due()
                while not names:
                    if self._closing and (wait_s is None or self._fence.is_down):
                        return
                    # A change may make another batch due before the one that is waited for.
                    self._changed.wait(wait_s)
                    names, wait_s = self._due()
                if self._closing and self._fence.is_down:
                    return


def parse_batch(item: Json) -> TrialBatch:
    """Parse a TrialBatch as the API server has it.

    Raises:
        Unreadable: this version does not understand a value of it.
    """
    metadata = item.get("metadata") or {}
    subject = f"TrialBatch {metadata.get('namespace')}/{metadata.get('name')}"
    return read_object(TrialBatch, item, subject)
