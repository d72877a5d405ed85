"""Informer: lists a collection of objects, watches it from there, and lists again when the watch has expired.

Its handler receives whole lists and single changes, in order and in one thread. While the API server is away, it
receives nothing.

If etcd has been restored from a snapshot, a watch from a version of before would be silent until the versions have caught
up. So after each watch a list's version is compared with the last one seen: a lower one ends the informer with `Restored`.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from sparksweep_core.api_server.errors import Expired, KubeError, Restored, Unavailable
from sparksweep_core.backoff import Backoff
from sparksweep_trainer.kubernetes.api_client import ApiClient, Endpoint, Json, JsonPage

log = logging.getLogger(__name__)

WATCH_S = 300
"""Seconds after which the server ends a watch, and another one begins."""
SILENCE_S = 90.0
"""Seconds of silence after which a watch counts as broken; bookmarks come every minute."""
FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 5.0
REFUSED_RETRY_S = 1.0
"""Shortest delay in seconds after the API server has refused a request."""
JITTER = 0.2


class EventHandler(Protocol):
    """Receives the state of a collection and its changes."""

    def on_list(self, items: Iterable[Json]) -> None:
        """Replace the state: an object that is not in `items` is gone.

        The items arrive page by page while they are iterated over, which raises a `KubeError` if a page does not come:
        then they say nothing about the rest, and another list follows.
        """

    def on_change(self, item: Json) -> None:
        """Add or update an object."""

    def on_delete(self, item: Json) -> None:
        """Remove an object; `item` is its last state."""


def retry_backoff() -> Backoff:
    """Return the backoff of requests to the API server, jittered so that drivers don't retry in step."""
    return Backoff(FIRST_RETRY_S, LONGEST_RETRY_S, jitter=JITTER, uniform=random.uniform)


class Informer:
    """Follows one collection, in a thread of its own, until closed."""

    def __init__(
        self,
        endpoint: Endpoint,
        path: str,
        handler: EventHandler,
        *,
        selector: Mapping[str, str],
        backoff: Backoff | None = None,
        silence_s: float = SILENCE_S,
        version: str | None = None,
        on_error: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        """
        Args:
            endpoint: the API server.
            path: path of the collection.
            handler: receives the state and the changes.
            selector: labels of the objects.
            backoff: delays after failures.
            silence_s: seconds of silence after which a watch counts as broken.
            version: resource version at which the handler already has the state: no list comes first.
            on_error: called with what the handler raises, or with `Restored`, which ends the informer.
        """
        self._api = ApiClient(endpoint)
        self._path = path
        self._handler = handler
        self._query = {
            "labelSelector": ",".join(f"{key}={value}" for key, value in selector.items())
        }
        self._backoff = backoff or retry_backoff()
        self._silence_s = silence_s
        self._on_error = on_error
        self._closing = threading.Event()
        self._version = version
        self._newest = version_number(version)
        self._is_checked = True
        self._thread = threading.Thread(target=self._run, name=f"watch {path}", daemon=True)

    def start(self) -> None:
        """Start following."""
        self._thread.start()

    def close(self) -> None:
        """Call the handler no more. The thread, a daemon, may stay in a read for a while."""
        self._closing.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread to end."""
        self._thread.join(timeout=timeout_s)

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                self._sync()
        except Restored as error:
            log.error("%s: %s", self._path, error)
            self._on_error(error)
        except Exception as error:
            # The handler raised: without it the driver would miss every further change.
            log.exception("following %s ended", self._path)
            self._on_error(error)
        finally:
            self._api.close()

    def _sync(self) -> None:
        wait_s = 0.0
        try:
            if self._version is None:
                self._list()
            elif not self._is_checked:
                page = next(
                    self._api.pages(self._path, query=self._query, read=JsonPage.read, size=1)
                )
                Restored.check(version_number(page.version), seen=self._newest)
            self._is_checked = False
            self._watch()
        except Restored:
            raise
        except Expired:
            self._version = None
            wait_s = self._backoff.next_s()
        except Unavailable as error:
            wait_s = self._backoff.next_s(error.retry_after_s)
            log.info("%s; again in %.1f s", error, wait_s)
        except KubeError as error:
            # A server that has just started refuses everything until it has loaded the RBAC rules.
            self._version = None
            wait_s = self._backoff.next_s(REFUSED_RETRY_S)
            log.warning("%s: %s; again in %.1f s", self._path, error, wait_s)
        self._closing.wait(wait_s)

    def _list(self) -> None:
        versions: list[str] = []
        self._handler.on_list(self._items(versions))
        if self._closing.is_set():
            return
        self._backoff.reset()
        self._version = versions[0]
        self._newest = max(self._newest, version_number(self._version))

    def _items(self, versions: list[str]) -> Iterator[Json]:
        for page in self._api.pages(self._path, query=self._query, read=JsonPage.read):
            if self._closing.is_set():
                # Not the end of the list: the handler must not take the rest for gone.
                raise Unavailable("closing")
            if not versions:
                Restored.check(version_number(page.version), seen=self._newest)
            versions.append(page.version)
            yield from page.items

    def _watch(self) -> None:
        query = {
            **self._query,
            "resourceVersion": self._version or "",
            "timeoutSeconds": str(WATCH_S),
        }
        events = self._api.watch(self._path, query=query, read_timeout_s=self._silence_s)
        had_event = False
        for kind, item in events:
            if self._closing.is_set():
                return
            had_event = True
            self._backoff.reset()
            self._version = item["metadata"]["resourceVersion"]
            self._newest = max(self._newest, version_number(self._version))
            if kind in ("ADDED", "MODIFIED"):
                self._handler.on_change(item)
            elif kind == "DELETED":
                self._handler.on_delete(item)
        # The server ends each watch after a while. One that it ends without any event is retried after a delay.
        self._closing.wait(0.0 if had_event else self._backoff.next_s())


def version_number(version: str | None) -> int:
    """Return a resource version as the integer that Kubernetes guarantees, since 1.35, and that grows with each write; 0 for none."""
    return int(version) if version is not None and version.isdecimal() else 0
