"""The informer of TrialBatches: lists those of the running Experiments, and watches for changes of all.

kopf's watches suit small objects: it keeps every listed body until all have been read, and a record of each afterwards.
Of TrialBatches there may be thousands, mostly of Experiments that have ended. So the watch begins at the current
resourceVersion without a list, and the batches of an Experiment are listed when it is reconciled first: in pages,
for several Experiments of a namespace at once.

A watch that was disconnected continues where it was. If the API server no longer has the events since, all batches are
listed again: whatever was deleted meanwhile is noticed.

If etcd has been restored from a snapshot, a watch from a version of before would be silent until the versions have caught
up. So after each disconnection a list's version is compared with the last one seen. A lower one ends the informer with
`Restored`: every cache is wrong then, of all kinds. Nothing is reconciled in between.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from pydantic import ValidationError

from sparksweep_core.backoff import Backoff
from sparksweep_core.contract.labels import EXPERIMENT_LABEL
from sparksweep_core.history import History
from sparksweep_operator.batch_pages import (
    PageHead,
    ReadBatch,
    batches_of_page,
    read_event,
    read_head,
)
from sparksweep_operator.cache import BatchChange, Key, ObjectCache
from sparksweep_operator.kube import Expired, KubeError, KubernetesClient, Restored

log = logging.getLogger(__name__)

PAGE_BATCHES = 50
"""Batches in a page: some 2.5 MB of JSON for typical trials, and 20 MB of models while they are read."""
LISTED_EXPERIMENTS = 50
"""Experiments whose batches are listed by one request."""
RETRY = Backoff(0.5, 10.0)
"""Delays before a watch is tried again."""


class Enqueue(Protocol):
    """Requests a reconcile."""

    def __call__(self, key: Key, /, *, urgent: bool = True) -> None:
        """Request one of an experiment, at once or some time later."""
        ...


class BatchInformer:
    """The informer. Belongs to one event loop."""

    def __init__(
        self,
        cache: ObjectCache,
        client: KubernetesClient,
        *,
        namespaces: Sequence[str],
        enqueue: Enqueue,
    ) -> None:
        """Watch nothing yet.

        Args:
            cache: the cache to fill.
            client: client of the API server.
            namespaces: namespaces to watch; empty for all.
            enqueue: called for each experiment of which a batch has changed; with ``urgent=False`` if only reports have.
        """
        self._cache = cache
        self._client = client
        self._scopes: tuple[str | None, ...] = tuple(namespaces) or (None,)
        self._enqueue = enqueue
        self._watching = {scope: asyncio.Event() for scope in self._scopes}
        self._waiting: dict[Key, tuple[str, asyncio.Future[None]]] = {}
        self._lister: asyncio.Task[None] | None = None
        self._parser = ThreadPoolExecutor(1, thread_name_prefix="batches")

    async def run(self) -> None:
        """Watch until cancelled.

        Raises:
            ExceptionGroup: of `Restored`: all objects have to be read anew, by a new informer.
        """
        async with asyncio.TaskGroup() as group:
            for scope in self._scopes:
                group.create_task(self._watch(scope))

    async def connected(self, namespace: str) -> None:
        """Wait until the API server is known to have the state that the cache is of, or a later one."""
        await self._watching[namespace if None not in self._watching else None].wait()

    async def load(self, key: Key, owner: str) -> None:
        """List the batches of an Experiment into the cache.

        Args:
            key: the experiment.
            owner: UID of the Experiment.

        Raises:
            KubeError: the API server did not answer.
        """
        waiting = self._waiting.get(key)
        if waiting is None or waiting[0] != owner:
            waiting = owner, asyncio.get_running_loop().create_future()
            self._waiting[key] = waiting
        if self._lister is None or self._lister.done():
            self._lister = asyncio.create_task(self._list_waiting())
        await asyncio.shield(waiting[1])

    # ------------------------------------------------------------------ lists

    async def _list_waiting(self) -> None:
        """List the batches of the experiments that wait for that, in the order in which they asked."""
        while self._waiting:
            namespace = next(iter(self._waiting))[0]
            # Others that ask in this turn of the loop are listed by the same request.
            await asyncio.sleep(0)
            keys = [key for key in self._waiting if key[0] == namespace][:LISTED_EXPERIMENTS]
            group = {key: self._waiting.pop(key) for key in keys}
            try:
                await self.connected(namespace)
                await self._list({key: owner for key, (owner, _) in group.items()})
            except Exception as error:
                _settle((future for _, future in group.values()), error)
            else:
                _settle((future for _, future in group.values()), None)

    async def _list(self, owners: dict[Key, str]) -> None:
        """List the batches of some experiments of one namespace into the cache."""
        for key, owner in owners.items():
            self._cache.begin_batches(key, owner)
        namespace = next(iter(owners))[0]
        histories = {key: History() for key in owners}
        batches: dict[Key, list[ReadBatch]] = {key: [] for key in owners}

        def read(head: PageHead, data: bytes) -> None:
            for item in batches_of_page(head, data):
                key = (namespace, item.identity.experiment)
                if key in owners and owners[key] in item.identity.owners:
                    # The models are not needed any more.
                    batches[key].append(ReadBatch(item.identity, None, item.problem))
                    if item.batch is not None:
                        histories[key].put(item.batch)

        names = ",".join(sorted(name for _, name in owners))
        query = {"labelSelector": f"{EXPERIMENT_LABEL} in ({names})", "limit": str(PAGE_BATCHES)}
        data = await self._client.list_batches(namespace, query)
        while True:
            head = read_head(data)
            # In a thread: a page takes a tenth of a second. In one, so that only one page is in memory as models.
            reading = asyncio.get_running_loop().run_in_executor(self._parser, read, head, data)
            if not head.continue_token:
                await reading
                break
            query["continue"] = head.continue_token
            # The API server prepares the next page meanwhile.
            data, _ = await asyncio.gather(self._client.list_batches(namespace, query), reading)
        for key, owner in owners.items():
            self._cache.replace_batches(
                key, owner, batches[key], histories[key], version=head.version
            )

    # ------------------------------------------------------------------ watches

    async def _watch(self, namespace: str | None) -> None:
        failures, version, seen = 0, 0, 0
        connected = self._watching[namespace]
        while True:
            try:
                if not connected.is_set():
                    listed = await self._newest_version(namespace)
                    Restored.check(listed, seen=max(seen, version))
                    if not version:
                        # Changes may have been missed: what is cached is listed again, after this version.
                        version = listed
                        for key in self._cache.forget_batches(namespace):
                            self._enqueue(key)
                    connected.set()
                async for line in self._client.watch_batches(namespace, version):
                    version = self._handle(line) or version
                    failures = 0
                connected.clear()
            except Restored:
                connected.clear()
                raise
            except Expired:
                log.info("changes of TrialBatches may have been missed: listing them again")
                connected.clear()
                version, seen = 0, version
            except (KubeError, ValidationError) as error:
                failures += 1
                connected.clear()
                delay_s = RETRY.delay_s(failures - 1) * random.uniform(0.8, 1.2)
                log.log(
                    logging.INFO if failures == 1 else logging.WARNING,
                    "the watch of TrialBatches ended: %s; again in %.1f s", error, delay_s,
                )  # fmt: skip
                await asyncio.sleep(delay_s)

    async def _newest_version(self, namespace: str | None) -> int:
        """Return the resourceVersion of the API server's state."""
        return read_head(await self._client.list_batches(namespace, {"limit": "1"})).version

    def _handle(self, line: bytes) -> int:
        """Take an event; return the resourceVersion after it.

        Raises:
            Expired: the watch can't be continued.
            KubeError: the API server has ended it.
        """
        event = read_event(line)
        if event.type == "ERROR":
            error: type[KubeError] = Expired if event.code == 410 else KubeError
            raise error(f"HTTP {event.code}: {line[:300].decode(errors='replace')}")
        if event.identity is not None:
            if event.type == "DELETED":
                key = self._cache.remove_batch(event.identity)
                change = None if key is None else BatchChange(key, is_urgent=True)
            else:
                change = self._cache.change_batch(event.identity, line)
            if change is not None:
                self._enqueue(change.key, urgent=change.is_urgent)
        return event.version


def _settle(futures: Iterable[asyncio.Future[None]], error: Exception | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
            # Nobody may be waiting any more.
            future.exception()
