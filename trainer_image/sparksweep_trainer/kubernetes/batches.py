"""The TrialBatches of an experiment: claims them from an earlier driver, then follows them for the trial service."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from sparksweep_core.api.trial_batch import TrialBatch
from sparksweep_core.api_server.errors import Invalid, KubeError, Unavailable
from sparksweep_core.contract.labels import experiment_selector, selector_text
from sparksweep_trainer.driver.trial_service import TrialService
from sparksweep_trainer.kubernetes.api_client import ApiClient, Json
from sparksweep_trainer.kubernetes.batch_statuses import is_finished
from sparksweep_trainer.kubernetes.fencing import Fence
from sparksweep_trainer.kubernetes.informer import retry_backoff
from sparksweep_trainer.kubernetes.status_writer import StatusWriter, parse_batch

log = logging.getLogger(__name__)


class Batches:
    """Follows the batches: new trials, the order to stop, the limit of slots. For one thread."""

    def __init__(
        self,
        service: TrialService,
        writer: StatusWriter,
        fence: Fence,
        *,
        gone: Callable[[str], None],
        closed: Callable[[], None],
    ) -> None:
        """
        Args:
            service: receives the trials.
            writer: writes the trials' statuses.
            fence: tells whether this driver is still the current one.
            gone: called with the name of a deleted batch: then the experiment is deleted, too.
            closed: called when the experiment has ended.
        """
        self._service = service
        self._writer = writer
        self._fence = fence
        self._gone = gone
        self._closed = closed
        self._newest = -1

    def take_over(
        self, api: ApiClient, path: str, *, experiment: str, stop: threading.Event
    ) -> None:
        """Claim the batches of an earlier driver before anything is started.

        From then on that driver can't write any batch that may still change. The newest batch is claimed last: this
        driver's name in it says that all of them are claimed.
        """
        backoff = retry_backoff()
        while not stop.is_set():
            try:
                query = {"labelSelector": selector_text(experiment_selector(experiment))}
                answer = api.request("GET", path, query=query)
                self._claim_all(_by_index(answer.get("items") or []))
                return
            except KubeError as error:
                asked_s = error.retry_after_s if isinstance(error, Unavailable) else 0.0
                wait_s = backoff.next_s(asked_s)
                log.warning(
                    "the batches can't be taken over yet: %s; again in %.1f s", error, wait_s
                )
                stop.wait(wait_s)

    def _claim_all(self, batches: list[TrialBatch]) -> None:
        claimed = []
        # An earlier attempt may have been cut short: a driver that has replaced this one has its name in one of them.
        if not all(self._fence.holds(_writer_of(batch)) for batch in batches):
            return
        for batch in batches:
            if is_finished(batch) and batch is not batches[-1]:
                claimed.append(batch)
                continue
            mine = self._writer.claim(batch)
            if mine is None:
                return
            claimed.append(mine)
        for batch in claimed:
            self._hand_over(batch)
        log.info("took over %d batches", len(claimed))

    # ------------------------------------------------------------------ EventHandler

    def on_list(self, items: list[Json]) -> None:
        """See `EventHandler`."""
        uids = {item["metadata"]["name"]: item["metadata"].get("uid") for item in items}
        for name in self._writer.missing_from(uids):
            self._gone(name)
            return
        for batch in _by_index(items):
            self._take_in(batch)

    def on_change(self, item: Json) -> None:
        """See `EventHandler`."""
        for batch in _by_index([item]):
            self._take_in(batch)

    def on_delete(self, item: Json) -> None:
        """See `EventHandler`."""
        self._gone(item["metadata"]["name"])

    def _take_in(self, batch: TrialBatch) -> None:
        if self._fence.holds(_writer_of(batch)):
            self._hand_over(batch)

    def _hand_over(self, batch: TrialBatch) -> None:
        # The writer must know a batch before its trials can change.
        self._writer.put(batch)
        if batch.spec.index >= self._newest:
            self._newest = batch.spec.index
            if batch.spec.parallel_trial_count is not None:
                self._service.set_slot_limit(batch.spec.parallel_trial_count)
        if batch.spec.stop is not None:
            self._service.stop(batch.spec.stop)
        self._service.submit(batch.spec.trials, batch.status.trials if batch.status else ())
        if batch.spec.closed:
            self._closed()


def _writer_of(batch: TrialBatch) -> str | None:
    return None if batch.status is None else batch.status.driver


def _by_index(items: list[Json]) -> list[TrialBatch]:
    """Parse batches and sort them by index; log and leave out those that this version can't read."""
    batches = []
    for item in items:
        try:
            batches.append(parse_batch(item))
        except Invalid as error:
            log.error("batch %s is left out: %s", item.get("metadata", {}).get("name"), error)
    return sorted(batches, key=lambda batch: batch.spec.index)
