"""The informer: it misses nothing, whatever happens to the watch, and gives a failing server time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from sparksweep_core.api_server.errors import Restored
from sparksweep_core.backoff import Backoff
from sparksweep_trainer.kubernetes.informer import Informer
from support.trainer.fake_api_server import FakeApiServer, Handler, eventually
from support.trainer.trial_batches import BATCHES, batch, name

Json = dict[str, Any]


class Notes:
    """A handler that keeps the objects that it receives."""

    def __init__(self) -> None:
        self.lists = 0
        self.known: dict[str, Json] = {}

    def on_list(self, items: Iterable[Json]) -> None:
        self.lists += 1
        self.known = {item["metadata"]["name"]: item for item in items}

    def on_change(self, item: Json) -> None:
        self.known[item["metadata"]["name"]] = item

    def on_delete(self, item: Json) -> None:
        del self.known[item["metadata"]["name"]]


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    server = FakeApiServer()
    yield server
    server.close()


@pytest.fixture
def follow(server: FakeApiServer) -> Iterator[Callable[..., Informer]]:
    started: list[Informer] = []

    def start(handler: Any, **options: Any) -> Informer:
        informer = Informer(
            server.endpoint,
            BATCHES,
            handler,
            selector={"sparksweep.dev/experiment": "digits"},
            backoff=Backoff(0.01, 0.05, jitter=0.2, uniform=random.uniform),
            **options,
        )
        informer.start()
        started.append(informer)
        return informer

    yield start
    for informer in started:
        informer.close()
    for informer in started:
        # A watch that begins just now is not among those that are broken.
        while informer._thread.is_alive():
            server.break_watches()
            informer.join(0.05)


def test_existing_and_new_objects_reach_the_handler(server: FakeApiServer, follow: Any) -> None:
    notes = Notes()
    server.put(BATCHES, batch(0, range(1, 2)))
    follow(notes)
    eventually(lambda: set(notes.known) == {name(0)})
    server.put(BATCHES, batch(1, range(2, 3)))
    eventually(lambda: set(notes.known) == {name(0), name(1)})
    server.remove(BATCHES, name(0))
    eventually(lambda: set(notes.known) == {name(1)})
    assert notes.lists == 1


def test_a_broken_watch_goes_on_where_it_was(server: FakeApiServer, follow: Any) -> None:
    notes = Notes()
    follow(notes)
    eventually(lambda: notes.lists == 1)
    for index in range(5):
        server.break_watches()
        server.put(BATCHES, batch(index, range(1, 2)))
        eventually(lambda index=index: len(notes.known) == index + 1)  # type: ignore[misc]
    assert notes.lists == 1


def test_an_expired_watch_lists_again(server: FakeApiServer, follow: Any) -> None:
    notes = Notes()
    server.put(BATCHES, batch(0, range(1, 2)))
    follow(notes)
    eventually(lambda: len(notes.known) == 1)
    with server.lock:
        server.remove(BATCHES, name(0))
        server.put(BATCHES, batch(1, range(2, 3)))
        server.compact()
        server.break_watches()
    eventually(lambda: notes.lists == 2)
    eventually(lambda: set(notes.known) == {name(1)})


def test_a_server_that_is_away_is_asked_ever_less_often(server: FakeApiServer, follow: Any) -> None:
    moments: list[float] = []

    def away(handler: Handler) -> bool:
        moments.append(time.monotonic())
        handler.answer(503, {"message": "starting"})
        return len(moments) <= 8

    server.faults.append(away)
    notes = Notes()
    server.put(BATCHES, batch(0, range(1, 2)))
    follow(notes)
    eventually(lambda: len(moments) == 8)
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert min(gaps[3:]) >= 0.03
    server.faults.clear()
    eventually(lambda: len(notes.known) == 1)


def test_a_watch_that_ends_at_once_is_not_hurried(server: FakeApiServer, follow: Any) -> None:
    watches = 0

    def end(handler: Handler) -> bool:
        nonlocal watches
        if "watch" not in handler.query:
            return False
        watches += 1
        handler.send_response(200)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    server.faults.append(end)
    begun = time.monotonic()
    follow(Notes())
    eventually(lambda: watches >= 6)
    assert time.monotonic() - begun > 0.1


def test_a_silent_watch_is_begun_anew(server: FakeApiServer, follow: Any) -> None:
    notes = Notes()
    follow(notes, silence_s=0.05)
    eventually(lambda: sum("watch" not in path for _, path, _ in server.requests) >= 3)
    server.put(BATCHES, batch(0, range(1, 2)))
    eventually(lambda: len(notes.known) == 1)
    assert notes.lists == 1


def test_the_failure_of_a_handler_is_reported() -> None:
    class Broken(Notes):
        def on_list(self, items: Iterable[Json]) -> None:
            raise RuntimeError("no")

    server = FakeApiServer()
    errors: list[BaseException] = []
    informer = Informer(server.endpoint, BATCHES, Broken(), selector={}, on_error=errors.append)
    informer.start()
    eventually(lambda: len(errors) == 1)
    informer.join(5)
    server.close()


@pytest.mark.parametrize("is_compacted", [False, True], ids=["watched on", "listed again"])
def test_a_restored_api_server_ends_the_informer(
    server: FakeApiServer, follow: Any, is_compacted: bool
) -> None:
    notes, errors = Notes(), list[BaseException]()
    server.put(BATCHES, batch(0, range(1, 2)))
    before = server.get(BATCHES, name(0))
    informer = follow(notes, on_error=errors.append)
    server.put(BATCHES, batch(1, range(2, 3)))
    eventually(lambda: set(notes.known) == {name(0), name(1)})
    with server.lock:
        seen = server.version
        server.objects[BATCHES] = {name(0): before}
        server.events.clear()
        server.version = int(before["metadata"]["resourceVersion"])
        server.oldest = seen + 1 if is_compacted else 0
        server.break_watches()
    eventually(lambda: len(errors) == 1)
    (error,) = errors
    assert isinstance(error, Restored)
    assert f"its resourceVersion is {server.version}, and was {seen}" in str(error)
    informer.join(5)
    assert set(notes.known) == {name(0), name(1)}, "nothing of the earlier state is handed on"
