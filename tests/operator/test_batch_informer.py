"""The informer lists the batches of running Experiments together, and continues a broken watch where it was."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, cast

import pytest

from sparksweep_core.backoff import Backoff
from sparksweep_operator import batch_informer
from sparksweep_operator.batch_informer import LISTED_EXPERIMENTS, BatchInformer
from sparksweep_operator.batch_pages import PageHead, ReadBatch, batches_of_page
from sparksweep_operator.cache import Key, ObjectCache
from sparksweep_operator.kube import Expired, KubernetesClient, Restored, Unavailable
from support.operator.operator_objects import NAMESPACE, batch_body, experiment_body

Watched = list[dict[str, Any]]


class Server:
    """An API server with batches, its pages of two objects, and a watch of given events."""

    def __init__(self, *batches: dict[str, Any], version: int = 100) -> None:
        self.batches = list(batches)
        self.version = version
        self.lists: list[Mapping[str, str]] = []
        self.watches: list[tuple[str | None, int]] = []
        self.events: asyncio.Queue[dict[str, Any] | Exception] = asyncio.Queue()
        self.failures: list[Exception] = []
        self.is_away = False

    async def list_batches(self, namespace: str | None, query: Mapping[str, str]) -> bytes:
        self.lists.append(dict(query))
        if self.is_away:
            raise Unavailable("away")
        if "labelSelector" not in query:
            return json.dumps({"metadata": self._metadata(), "items": []}).encode()
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        names = query["labelSelector"].partition("(")[2].rstrip(")").split(",")
        items = [body for body in self.batches if body["spec"]["experiment"] in names]
        start = int(query.get("continue", "0"))
        token = str(start + 2) if start + 2 < len(items) else ""
        page = {"metadata": self._metadata(token), "items": items[start : start + 2]}
        return json.dumps(page).encode()

    def _metadata(self, token: str = "") -> dict[str, str]:
        return {"resourceVersion": str(self.version), "continue": token}

    async def watch_batches(self, namespace: str | None, version: int) -> AsyncIterator[bytes]:
        self.watches.append((namespace, version))
        while True:
            item = await self.events.get()
            if isinstance(item, Exception):
                raise item
            if item.get("type") == "END":
                return
            told = (item.get("object") or {}).get("metadata", {}).get("resourceVersion", "")
            self.version = max(self.version, int(told) if told.isdecimal() else 0)
            yield json.dumps(item).encode()


def named(name: str) -> dict[str, Any]:
    body = experiment_body(name)
    body["metadata"]["uid"] = f"uid-of-{name}"
    return body


def batches_named(name: str, count: int, version: int = 1) -> list[dict[str, Any]]:
    bodies = [batch_body(index, version=version, owner=f"uid-of-{name}") for index in range(count)]
    for index, body in enumerate(bodies):
        body["spec"]["experiment"] = name
        body["metadata"] |= {"name": f"{name}-{index:05d}", "uid": f"uid-of-{name}-{index}"}
    return bodies


def changed(body: dict[str, Any], version: int, kind: str = "MODIFIED") -> dict[str, Any]:
    metadata = body["metadata"] | {"resourceVersion": str(version)}
    return {"type": kind, "object": body | {"metadata": metadata}}


class Rig:
    running: asyncio.Task[None]

    def __init__(self, server: Server) -> None:
        self.server = server
        self.cache = ObjectCache()
        self.enqueued: list[Key] = []
        self.urgent: list[bool] = []
        self.informer = BatchInformer(
            self.cache,
            cast(KubernetesClient, server),
            namespaces=[NAMESPACE],
            enqueue=self.enqueue,
        )

    def enqueue(self, key: Key, *, urgent: bool = True) -> None:
        self.enqueued.append(key)
        self.urgent.append(urgent)

    def add(self, name: str) -> tuple[Key, str]:
        key = self.cache.upsert_experiment(named(name))
        return key, f"uid-of-{name}"

    def count(self, key: Key) -> int:
        return len(self.cache.history(key))


def play(server: Server, script: Callable[[Rig], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        rig = Rig(server)
        task = rig.running = asyncio.create_task(rig.informer.run())
        try:
            async with asyncio.timeout(10):
                await script(rig)
        finally:
            task.cancel()

    asyncio.run(run())


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_informer, "RETRY", Backoff(0.001, 0.001))


def test_all_pages_of_a_list_are_read() -> None:
    async def script(rig: Rig) -> None:
        key, owner = rig.add("a")
        await rig.informer.load(key, owner)
        assert rig.count(key) == 5
        assert [query.get("continue") for query in rig.server.lists[1:]] == [None, "2", "4"]
        assert rig.cache.needs_batches(key) is None

    play(Server(*batches_named("a", 5), *batches_named("b", 3)), script)


def test_experiments_that_ask_at_the_same_time_are_listed_by_few_requests() -> None:
    number = 2 * LISTED_EXPERIMENTS
    names = [f"e{index}" for index in range(number)]

    async def script(rig: Rig) -> None:
        await asyncio.gather(*(rig.informer.load(*rig.add(name)) for name in names))
        lists = [query for query in rig.server.lists[1:] if "continue" not in query]
        assert len(lists) <= 3
        assert {rig.count((NAMESPACE, name)) for name in names} == {1}

    play(Server(*(batches_named(name, 1)[0] for name in names)), script)


def test_a_list_that_fails_is_an_error_of_those_who_wait_and_the_next_one_succeeds() -> None:
    async def script(rig: Rig) -> None:
        key, owner = rig.add("a")
        rig.server.failures.append(Unavailable("away"))
        with pytest.raises(Unavailable):
            await rig.informer.load(key, owner)
        assert rig.cache.needs_batches(key) == owner
        await rig.informer.load(key, owner)
        assert rig.count(key) == 3

    play(Server(*batches_named("a", 3)), script)


def test_changes_of_running_experiments_are_enqueued_and_others_dropped() -> None:
    async def script(rig: Rig) -> None:
        key, owner = rig.add("a")
        await rig.informer.load(key, owner)
        mine, others = batches_named("a", 3), batches_named("b", 1)
        rig.server.events.put_nowait(changed(others[0], 101))
        rig.server.events.put_nowait(changed(mine[2], 102, "ADDED"))
        rig.server.events.put_nowait(changed(mine[0], 103, "DELETED"))
        await until(lambda: len(rig.enqueued) == 2)
        assert set(rig.enqueued) == {key}
        assert list(rig.cache.history(key)) == ["a-00001", "a-00002"]

    play(Server(*batches_named("a", 2)), script)


def test_a_watch_that_breaks_continues_where_it_was() -> None:
    async def script(rig: Rig) -> None:
        key, owner = rig.add("a")
        await rig.informer.load(key, owner)
        rig.server.events.put_nowait(changed(batches_named("a", 1)[0], 107))
        rig.server.events.put_nowait({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "120"}}})  # fmt: skip
        rig.server.events.put_nowait(Unavailable("broken"))
        await until(lambda: len(rig.server.watches) == 2)
        assert rig.server.watches == [(NAMESPACE, 100), (NAMESPACE, 120)]
        assert rig.cache.needs_batches(key) is None

    play(Server(*batches_named("a", 1)), script)


GONE = {"type": "ERROR", "object": {"kind": "Status", "code": 410}}


@pytest.mark.parametrize("end", [Expired("too old"), GONE], ids=["status", "event"])
def test_a_batch_deleted_while_events_were_missed_is_noticed(end: Any) -> None:
    async def script(rig: Rig) -> None:
        key, owner = rig.add("a")
        await rig.informer.load(key, owner)
        del rig.server.batches[1]
        rig.server.version = 200
        rig.server.events.put_nowait(end)
        await until(lambda: rig.enqueued == [key])
        assert rig.cache.needs_batches(key) == owner
        await rig.informer.load(key, owner)
        assert list(rig.cache.history(key)) == ["a-00000", "a-00002"]
        assert rig.server.watches[-1] == (NAMESPACE, 200)

    play(Server(*batches_named("a", 3)), script)


@pytest.mark.parametrize("line", [{"type": "ERROR", "object": {"code": 500}}, {"kind": "Status"}])
def test_a_line_that_is_no_event_breaks_the_watch_and_not_the_operator(line: Any) -> None:
    async def script(rig: Rig) -> None:
        key, owner = rig.add("a")
        await rig.informer.load(key, owner)
        rig.server.events.put_nowait(line)
        await until(lambda: len(rig.server.watches) == 2)
        assert rig.cache.needs_batches(key) is None

    play(Server(*batches_named("a", 1)), script)


def test_the_next_page_is_requested_while_one_is_being_read(monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    server = Server(*batches_named("a", 5))
    requested = []
    read = batches_of_page

    def slow_reading(head: PageHead, data: bytes) -> list[ReadBatch]:
        deadline = time.monotonic() + 5
        token = head.continue_token
        while token and time.monotonic() < deadline:
            if any(query.get("continue") == token for query in server.lists):
                requested.append(token)
                break
            time.sleep(0.001)
        return read(head, data)

    monkeypatch.setattr(batch_informer, "batches_of_page", slow_reading)

    async def script(rig: Rig) -> None:
        key, owner = rig.add("a")
        await rig.informer.load(key, owner)
        assert (rig.count(key), requested) == (5, ["2", "4"])

    play(server, script)


FUTURE = Unavailable("Too large resource version: 120, current: 50")
END = {"type": "END", "object": {}}


@pytest.mark.parametrize(
    "end",
    [END, Unavailable("broken"), FUTURE, Expired("too old"), GONE],
    ids=["timeout", "broken", "future version", "expired", "event of expiry"],
)
@pytest.mark.parametrize("version", [1, 119])
def test_a_restored_api_server_ends_the_informer_and_nothing_is_reconciled_before(
    end: Any, version: int
) -> None:
    async def script(rig: Rig) -> None:
        key, owner = rig.add("a")
        await rig.informer.load(key, owner)
        server = rig.server
        server.events.put_nowait({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "120"}}})  # fmt: skip
        await until(lambda: server.version == 120)
        await rig.informer.connected(NAMESPACE)
        server.is_away = True
        server.events.put_nowait(end)
        count = len(server.lists)
        await until(lambda: len(server.lists) > count + 2)
        waiting = asyncio.create_task(rig.informer.connected(NAMESPACE))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        server.version, server.is_away = version, False
        with pytest.raises(ExceptionGroup) as caught:
            await rig.running
        assert caught.group_contains(Restored, match=f"is {version}, and was 120")
        assert not waiting.done()
        waiting.cancel()
        assert len(server.watches) == 1

    play(Server(*batches_named("a", 1)), script)


def test_an_api_server_of_the_same_version_or_a_later_one_is_followed_on() -> None:
    async def script(rig: Rig) -> None:
        server = rig.server
        for count, version in enumerate((100, 100, 150), start=1):
            await until(lambda count=count: len(server.watches) == count)  # type: ignore[misc]
            server.version = version
            server.events.put_nowait(Unavailable("broken"))
        await until(lambda: len(server.watches) == 4)
        await rig.informer.connected(NAMESPACE)
        assert {seen for _, seen in server.watches} == {100}, "no event is missed"

    play(Server(), script)
