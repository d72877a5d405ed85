"""Follows a collection of objects: lists it, watches it from there, and lists again whenever the watch has lost track.

The handler is told of whole lists and of single changes, in order and in one thread. While the API server is away it
hears nothing, and nothing else happens.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from sparksweep_core.backoff import Backoff
from sparksweep_trainer.kubernetes.api_client import (
    ApiClient,
    ApiError,
    Endpoint,
    Expired,
    Json,
    Unavailable,
)

log = logging.getLogger(__name__)

WATCH_S = 300
"""Seconds after which a watch is begun anew."""
SILENCE_S = 90.0
"""A watch that says nothing for longer is taken for broken; bookmarks come every minute."""
FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 5.0
REFUSED_RETRY_S = 1.0
"""Shortest delay in seconds after the API server has refused a request."""
JITTER = 0.2


class EventHandler(Protocol):
    """Who wants to know."""

    def on_list(self, items: list[Json]) -> None:
        """All there is; whatever is not in it is gone."""

    def on_change(self, item: Json) -> None:
        """An object is new, or changed."""

    def on_delete(self, item: Json) -> None:
        """An object is gone; its last state."""


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
        on_error: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
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
        self._version: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch {path}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Tell the handler nothing more. The thread may sit in a read for a while: it is a daemon."""
        self._closing.set()

    def join(self, timeout_s: float) -> None:
        """Wait for its thread to end."""
        self._thread.join(timeout=timeout_s)

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                self._sync()
        except Exception as error:
            # The handler raised: without it the driver would be blind and not know.
            log.exception("following %s ended", self._path)
            self._on_error(error)
        finally:
            self._api.close()

    def _sync(self) -> None:
        wait_s = 0.0
        try:
            if self._version is None:
                self._list()
            self._watch()
        except Expired:
            self._version = None
            wait_s = self._backoff.next_s()
        except Unavailable as error:
            wait_s = self._backoff.next_s(error.retry_after_s)
            log.info("%s; again in %.1f s", error, wait_s)
        except ApiError as error:
            # A server that has just started refuses everybody until it has read who has which rights.
            self._version = None
            wait_s = self._backoff.next_s(REFUSED_RETRY_S)
            log.warning("%s: %s; again in %.1f s", self._path, error, wait_s)
        self._closing.wait(wait_s)

    def _list(self) -> None:
        answer = self._api.request("GET", self._path, query=self._query)
        self._backoff.reset()
        if not self._closing.is_set():
            self._handler.on_list(answer.get("items") or [])
        self._version = answer["metadata"]["resourceVersion"]

    def _watch(self) -> None:
        query = {
            **self._query,
            "resourceVersion": self._version or "",
            "timeoutSeconds": str(WATCH_S),
        }
        events = self._api.watch(self._path, query=query, read_timeout_s=self._silence_s)
        heard = False
        for kind, item in events:
            if self._closing.is_set():
                return
            heard = True
            self._backoff.reset()
            self._version = item["metadata"]["resourceVersion"]
            if kind in ("ADDED", "MODIFIED"):
                self._handler.on_change(item)
            elif kind == "DELETED":
                self._handler.on_delete(item)
        # The server ends each watch after a while; one that it ends at once, without a word, must not be hurried.
        self._closing.wait(0.0 if heard else self._backoff.next_s())
