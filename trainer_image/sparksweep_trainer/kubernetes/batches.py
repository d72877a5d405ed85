"""The TrialBatches of an experiment: claims them from an earlier driver, then follows them for the trial service.

A batch that appears later is claimed, too, before any of its trials runs (`claim_queue`): the event that announces it may
be older than what an earlier driver, which still ran when the batches were taken over, has written into it since.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, ValidationError

from sparksweep_core.api.base import Model
from sparksweep_core.api.trial_batch import TrialBatch
from sparksweep_core.api_server.errors import KubeError, Unavailable
from sparksweep_core.contract.labels import experiment_selector, selector_text
from sparksweep_trainer.driver.trial_service import TrialService
from sparksweep_trainer.kubernetes.api_client import ApiClient, Json, JsonPage
from sparksweep_trainer.kubernetes.batch_statuses import is_finished
from sparksweep_trainer.kubernetes.claim_queue import ClaimQueue
from sparksweep_trainer.kubernetes.fencing import Fence
from sparksweep_trainer.kubernetes.informer import retry_backoff, version_number
from sparksweep_trainer.kubernetes.status_writer import StatusWriter, parse_batch

log = logging.getLogger(__name__)


class Batches:
    """Follows the batches: new trials, the order to stop, the limit of slots. An `EventHandler` for one thread."""

    def __init__(
        self,
        service: TrialService,
        writer: StatusWriter,
        fence: Fence,
        *,
        connect: Callable[[], ApiClient],
        gone: Callable[[str], None],
        closed: Callable[[], None],
        on_error: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        """
        Args:
            service: receives the trials.
            writer: writes the trials' statuses.
            fence: tells whether this driver is still the current one.
            connect: returns a new client of the API server.
            gone: called with the name of a deleted batch: then the experiment is deleted, too.
            closed: called when the experiment has ended.
            on_error: called with an error that ends the claims of new batches.
        """
        self._service = service
        self._writer = writer
        self._fence = fence
        self._connect = connect
        self._gone = gone
        self._closed = closed
        self._newest = -1
        self._lock = threading.Lock()
        self._claimed: dict[str, str | None] = {}
        self._deleted = False
        self.claims = ClaimQueue(self._claim_new, self._hand_over_claimed, on_error=on_error)

    def take_over(self, path: str, *, experiment: str, stop: threading.Event) -> str | None:
        """Claim the batches of an earlier driver before anything is started; return the version to watch from.

        From then on that driver can't write any batch that may still change. The newest batch is claimed last: this
        driver's name in it says that all of them are claimed. The batches are read page by page, and those whose trials
        have all ended are handed over as they are, and not written: nothing can change in them.

        Returns:
            The resource version of the batches as they were read; None if the driver is to end.

        Raises:
            Unreadable: this version does not understand a batch.
        """
        backoff = retry_backoff()
        query = {"labelSelector": selector_text(experiment_selector(experiment))}
        while not stop.is_set():
            try:
                with self._connect() as api:
                    pages = api.pages(path, query=query, read=BatchPage.read)
                    version, unclaimed = self._read(pages)
                    if unclaimed is not None and self._claim(unclaimed, api):
                        return version
            except KubeError as error:
                asked_s = error.retry_after_s if isinstance(error, Unavailable) else 0.0
                wait_s = backoff.next_s(asked_s)
                log.warning(
                    "the batches can't be taken over yet: %s; again in %.1f s", error, wait_s
                )
                stop.wait(wait_s)
            else:
                return None
        return None

    def _read(self, pages: Iterator[BatchPage]) -> tuple[str, list[TrialBatch] | None]:
        """Hand over the finished batches; return the version and the others, the newest among them, by index.

        None instead of those, if a driver that has replaced this one has its name in a batch: an earlier attempt to
        take over may have been cut short.
        """
        version = ""
        unfinished: list[TrialBatch] = []
        newest: TrialBatch | None = None
        for page in pages:
            version = version or page.version
            for batch in page.batches:
                if not self._fence.holds(_writer_of(batch)):
                    return version, None
                older = batch
                if newest is None or batch.spec.index > newest.spec.index:
                    older, newest = newest or batch, batch
                if older is newest:
                    continue
                if is_finished(older):
                    self._hand_over(older)
                else:
                    unfinished.append(older)
        rest = [*unfinished, *([] if newest is None else [newest])]
        return version, sorted(rest, key=lambda batch: batch.spec.index)

    def _claim(self, batches: list[TrialBatch], api: ApiClient) -> bool:
        claimed = []
        for batch in batches:
            mine = self._writer.claim(batch, api)
            if mine is None:
                return False
            claimed.append(mine)
        for batch in claimed:
            self._hand_over(batch)
        log.info("took over %d batches", self._writer.batches)
        return True

    # ------------------------------------------------------------------ EventHandler

    def on_list(self, items: Iterable[Json]) -> None:
        """See `EventHandler`."""
        uids: dict[str, str | None] = {}
        for item in items:
            uids[item["metadata"]["name"]] = item["metadata"].get("uid")
            self.on_change(item)
        for name in self._writer.missing_from(uids):
            self._note_deletion(name)
            return

    def on_change(self, item: Json) -> None:
        """See `EventHandler`."""
        # Of a deleted experiment nothing changes: these are batches of another one of the same name.
        if self._deleted or self._writer.is_current(item):
            return
        for batch in readable([item]):
            self._take_in(batch)

    def on_delete(self, item: Json) -> None:
        """See `EventHandler`."""
        self._note_deletion(item["metadata"]["name"])

    def _note_deletion(self, name: str) -> None:
        if not self._deleted:
            self._deleted = True
            self._gone(name)

    def _take_in(self, batch: TrialBatch) -> None:
        if not self._fence.holds(_writer_of(batch)):
            return
        name, uid = batch.metadata.name, batch.metadata.uid
        with self._lock:
            if name not in self._claimed:
                self.claims.put(batch)
            elif self._claimed[name] == uid:
                self._hand_over(batch)
            else:
                self._note_deletion(name)

    # ------------------------------------------------------------------ batches that are new

    def _claim_new(self, batch: TrialBatch) -> TrialBatch | None:
        with self._connect() as api:
            return self._writer.claim(batch, api)

    def _hand_over_claimed(self, batch: TrialBatch) -> None:
        with self._lock:
            self._hand_over(batch)
            # An event that came during the claim; from now on events are handed over as they come.
            latest = self.claims.pop(batch.metadata.name)
            version = version_number(batch.metadata.resource_version)
            if latest is not None and version_number(latest.metadata.resource_version) > version:
                self._hand_over(latest)

    def _hand_over(self, batch: TrialBatch) -> None:
        self._claimed[batch.metadata.name] = batch.metadata.uid
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


@dataclass(frozen=True)
class BatchPage:
    """One page of a list of batches."""

    batches: list[TrialBatch]
    version: str
    """Resource version of the list."""
    next_token: str | None

    @classmethod
    def read(cls, content: bytes) -> BatchPage:
        """Parse a response, from its bytes to batches at once.

        Raises:
            Unavailable: it is no list.
            Unreadable: this version does not understand one of the batches.
        """
        try:
            answer = _BatchList.from_json(content)
        except ValidationError:
            # Item by item, for an error that names the batch.
            page = JsonPage.read(content)
            return cls(readable(page.items), page.version, page.next_token)
        metadata = answer.metadata
        return cls(answer.items, metadata.resource_version, metadata.continue_token)


class _ListMeta(Model):
    resource_version: str = ""
    continue_token: Annotated[str | None, Field(alias="continue")] = None


class _BatchList(Model):
    metadata: _ListMeta
    items: list[TrialBatch]


def readable(items: Iterable[Json]) -> list[TrialBatch]:
    """Parse batches.

    Raises:
        Unreadable: this version does not understand one of them. Without it the driver would leave its trials out for ever;
            the next driver may have a later image.
    """
    return [parse_batch(item) for item in items]
