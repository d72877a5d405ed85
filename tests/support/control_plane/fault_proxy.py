"""A proxy before the API server that cuts a namespace's connections at a chosen write, before or after it is done.

After that nothing of the namespace passes until it is mended: to the API server it is as if the operator had been
killed at that moment.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import aiohttp
import yaml
from aiohttp import web

WRITES = ("POST", "PUT", "PATCH", "DELETE")
_NAMESPACE = re.compile(r"/namespaces/([^/?]+)")
_SKIPPED = ("Host", "Content-Length", "Transfer-Encoding", "Connection", "Accept-Encoding")


@dataclass
class Fault:
    """Treatment of a namespace's requests."""

    at: int | None = None
    """Index of the write that is cut, from 0; None for none."""
    when: Literal["before", "after"] = "before"
    """Cut the connection before the request is forwarded, or after, without the answer."""
    cut: threading.Event = field(default_factory=threading.Event)
    writes: list[str] = field(default_factory=list)
    """Requests in order: "POST pods 201"."""
    gone: list[str] = field(default_factory=list)
    """Resources whose next watch is answered by 410 Gone, as after an outage."""

    def mend(self) -> None:
        self.at = None
        self.cut.clear()


class FaultProxy:
    """Plain HTTP server on a port of this machine that forwards with the rights of a kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        self.faults: dict[str, Fault] = {}
        self.url = ""
        self._kubeconfig = kubeconfig
        self._loop = asyncio.new_event_loop()
        self._open: dict[str, dict[int, web.Request]] = {}
        self._ready = threading.Event()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(timeout=30)

    def write_kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig that leads to the proxy; return its path."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proxy", "cluster": {"server": self.url}}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "nobody"}}],
            "current-context": "proxy",
        }
        path.write_text(yaml.safe_dump(document))
        return path

    def cut_connections(self, namespace: str) -> None:
        """Close open connections; later requests pass."""
        self._loop.call_soon_threadsafe(self._cut_open, namespace)

    # ------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server, context = _credentials(self._kubeconfig)
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        async with aiohttp.ClientSession(
            server, connector=connector, timeout=aiohttp.ClientTimeout(total=None)
        ) as self._session:
            application = web.Application(client_max_size=2**24)
            application.router.add_route("*", "/{path:.*}", self._forward)
            runner = web.AppRunner(
                application, access_log=None, shutdown_timeout=1, handler_cancellation=True
            )
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            self.url = f"http://{host}:{port}"
            self._ready.set()
            await self._end.wait()
            for namespace in list(self._open):
                self._cut_open(namespace)
            await runner.cleanup()

    def _cut_open(self, namespace: str) -> None:
        for request in self._open.get(namespace, {}).values():
            _abort(request)

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        match = _NAMESPACE.search(request.path)
        namespace = match[1] if match else ""
        fault = self.faults.setdefault(namespace, Fault())
        if fault.cut.is_set():
            return _abort(request)
        number = -1
        if request.method in WRITES and "dryRun" not in request.query_string:
            number = len(fault.writes)
            fault.writes.append(request.method)
        if number == fault.at and fault.when == "before":
            self._cut(namespace, fault)
            return _abort(request)
        resource = request.path.rpartition("/")[2]
        if "watch" in request.query and resource in fault.gone:
            fault.gone.remove(resource)
            return _expired()
        self._open.setdefault(namespace, {})[id(request)] = request
        try:
            return await self._answer(request, namespace, fault, number)
        finally:
            del self._open[namespace][id(request)]

    async def _answer(
        self, request: web.Request, namespace: str, fault: Fault, number: int
    ) -> web.StreamResponse:
        headers = {key: value for key, value in request.headers.items() if key not in _SKIPPED}
        async with self._session.request(
            request.method, request.rel_url, data=await request.read() or None, headers=headers
        ) as answer:
            if number >= 0:
                resource = request.path.split("/namespaces/")[-1].split("/")[1]
                fault.writes[number] = f"{request.method} {resource} {answer.status}"
            if number >= 0 and number == fault.at:
                await answer.read()
                self._cut(namespace, fault)
                return _abort(request)
            response = web.StreamResponse(status=answer.status)
            response.content_type = answer.content_type
            if "Retry-After" in answer.headers:
                response.headers["Retry-After"] = answer.headers["Retry-After"]
            try:
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
            except (ConnectionError, aiohttp.ClientError):
                pass
            return response

    def _cut(self, namespace: str, fault: Fault) -> None:
        fault.cut.set()
        self._cut_open(namespace)


def _abort(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)


def _expired() -> web.Response:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410}  # fmt: skip
    return web.json_response({"type": "ERROR", "object": status})


def _credentials(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    import base64
    import tempfile

    document = yaml.safe_load(kubeconfig.read_text())
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    with tempfile.TemporaryDirectory() as folder:
        for key in ("client-certificate-data", "client-key-data"):
            (Path(folder) / key).write_bytes(base64.b64decode(user[key]))
        context.load_cert_chain(
            Path(folder) / "client-certificate-data", Path(folder) / "client-key-data"
        )
    return cluster["server"], context


def description(fault: Fault) -> str:
    """Describe the requests, for a failure's message."""
    return json.dumps({"at": fault.at, "when": fault.when, "writes": fault.writes})
