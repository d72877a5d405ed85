"""The operator's requests cost little: no thread for each, and no compression, which takes longer than a cluster's network."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiohttp import web

from sparksweep_operator.kube import KubernetesClient, connection
from support.control_plane.operator_processes import free_port

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Script = Callable[[KubernetesClient], Awaitable[None]]


@contextmanager
def served(handler: Handler, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Script], None]]:
    """Yield a function that runs a script with a client of an API server, whose answers `handler` makes."""
    port = free_port()

    async def load_config(*, client_configuration: Any) -> None:
        client_configuration.host = f"http://127.0.0.1:{port}"

    monkeypatch.setattr(f"{connection.__name__}.config.load_config", load_config)

    async def run(script: Script) -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            async with KubernetesClient() as client:
                await script(client)
        finally:
            await runner.cleanup()

    yield lambda script: asyncio.run(run(script))


def test_a_request_uses_no_thread_no_proxy_and_no_compression(monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    encodings: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        encodings.append(request.headers["Accept-Encoding"])
        return web.json_response({"metadata": {"name": "digits"}})

    async def script(client: KubernetesClient) -> None:
        threads = threading.active_count()
        for _ in range(5):
            await client.get_experiment("lab", "digits")
        assert threading.active_count() == threads

    # aiohttp would send the request to this proxy, where nothing listens.
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    with served(answer, monkeypatch) as run:
        run(script)
    assert encodings == ["identity"] * 5


def test_requests_wait_for_each_other_beyond_a_number_and_before_their_time_counts(monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    under_way, most = 0, 0

    async def answer(_: web.Request) -> web.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        # Until as many as may be are under way, or no more come.
        for _attempt in range(200):
            if under_way >= connection.REQUESTS:
                break
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        under_way -= 1
        return web.json_response({})

    async def script(client: KubernetesClient) -> None:
        number = 3 * connection.REQUESTS
        await asyncio.gather(*(client.get_experiment("lab", "digits") for _ in range(number)))

    with served(answer, monkeypatch) as run:
        run(script)
    assert most == connection.REQUESTS
