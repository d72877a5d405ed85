"""The operator's requests cost little: no thread for each, and no compression, which takes longer than a cluster's network."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from aiohttp import web

from sparksweep_operator.kube import KubernetesClient, async_client
from support.control_plane.operator_processes import free_port

REQUESTS = 5


def test_a_request_uses_no_thread_no_proxy_and_no_compression(monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    encodings: list[str] = []
    port = free_port()

    async def answer(request: web.Request) -> web.Response:
        encodings.append(request.headers["Accept-Encoding"])
        return web.json_response({"metadata": {"name": "digits"}})

    async def load_config(*, client_configuration: Any) -> None:
        client_configuration.host = f"http://127.0.0.1:{port}"

    # aiohttp would send the request to this proxy, where nothing listens.
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setattr(f"{async_client.__name__}.config.load_config", load_config)

    async def run() -> tuple[int, int]:
        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        threads = threading.active_count()
        try:
            async with KubernetesClient() as client:
                for _ in range(REQUESTS):
                    await client.get_experiment("lab", "digits")
        finally:
            await runner.cleanup()
        return threads, threading.active_count()

    before, after = asyncio.run(run())
    assert (encodings, after) == (["identity"] * REQUESTS, before)
