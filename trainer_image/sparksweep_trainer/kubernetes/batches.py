"""The experiment's TrialBatches: taken over from the driver before, then collections, and handed to the trial service."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from sparksweep_core.api.trial_batch import TrialBatch
from sparksweep_core.contract.labels import experiment_selector, selector_text
from sparksweep_trainer.driver.trial_service import TrialService
from sparksweep_trainer.kubernetes.api_client import ApiClient, ApiError, Json, Unavailable
from sparksweep_trainer.kubernetes.batch_statuses import is_finished
from sparksweep_trainer.kubernetes.fencing import Fence
from sparksweep_trainer.kubernetes.informer import retry_backoff
from sparksweep_trainer.kubernetes.status_writer import StatusWriter, parse_batch

log = logging.getLogger(__name__)


class Batches:
    """Follows the batches: new trials, the order to stop, how many slots there may be. One thread."""

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
            service: gets the trials.
            writer: writes what becomes of them.
            fence: whether this driver still counts.
            gone: called with the name of a batch that is deleted: so is the experiment, then.
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
        """Claim what an earlier driver has left, before anything is started.

        From then on that driver can write no batch in which anything may still change. The newest batch is claimed
        last: whoever sees this driver's name there may take the whole for claimed.
        """
        backoff = retry_backoff()
        while not stop.is_set():
            try:
                query = {"labelSelector": selector_text(experiment_selector(experiment))}
                answer = api.request("GET", path, query=query)
                self._claim_all(_by_index(answer.get("items") or []))
                return
            except (Unavailable, ApiError) as error:
                wait_s = backoff.next_s(getattr(error, "retry_after_s", 0.0))
                log.warning(
                    "the batches can't be taken over yet: %s; again in %.1f s", error, wait_s
                )
                stop.wait(wait_s)

    def _claim_all(self, batches: list[TrialBatch]) -> None:
        claimed = []
        # An earlier look may have been cut short: whoever replaced this driver has the higher number in one of them.
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
        found = {item["metadata"]["name"]: item["metadata"].get("uid") for item in items}
        for name in self._writer.missing_from(found):
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
        # First where results go, then what gives rise to them.
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
    """The batches in order; one that this version can't read is left out, and said so."""
    batches = []
    for item in items:
        try:
            batches.append(parse_batch(item))
        except ApiError as error:
            log.error("batch %s is left out: %s", item.get("metadata", {}).get("name"), error)
    return sorted(batches, key=lambda batch: batch.spec.index)
