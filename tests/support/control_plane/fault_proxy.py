"""A proxy before the API server that cuts a namespace's connections at a chosen write, before or after it is done.

After that nothing of the namespace passes until it is mended: to the API server it is as if its client had been killed at
that moment. The next client may be served lists from before that write for a moment, as by an API server whose cache lags
behind.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import aiohttp
import pytest
import yaml
from aiohttp import web
from yarl import URL

WRITES = ("POST", "PUT", "PATCH", "DELETE")
LISTED = ("experiments", "trialbatches", "pods")
_NAMESPACE = re.compile(r"/namespaces/([^/?]+)")
_SKIPPED = ("Host", "Content-Length", "Transfer-Encoding", "Connection", "Accept-Encoding")


When = Literal["before", "after", "stale"]
STALE_S = 0.7
"""Seconds for which a client with a stale view is served lists of before, and its watches are held back."""


@dataclass(frozen=True)
class Interference:
    """Treatment of one request: a delay, then a refusal or a lost connection; the default lets it pass."""

    delay_s: float = 0.0
    code: int | None = None
    """HTTP status to answer instead of forwarding the request."""
    retry_after_s: int | None = None
    lost: Literal["request", "answer"] | None = None
    late_s: float | None = None
    """Seconds after which the request is forwarded, though its client's connection is lost at once."""


@dataclass
class Fault:
    """Treatment of a namespace's requests."""

    at: int | None = None
    """Index of the write that is cut, from 0; None for none."""
    when: When = "before"
    """Cut the connection before the request is forwarded, or after, without the answer; stale: after, and the next client
    is served the lists of before."""
    cut: threading.Event = field(default_factory=threading.Event)
    writes: list[str] = field(default_factory=list)
    """Requests in order: "POST pods 201"."""
    late: list[str] = field(default_factory=list)
    """Requests that were forwarded after their clients had gone, in the same form."""
    gone: list[str] = field(default_factory=list)
    """Resources whose next watch is answered by 410 Gone, as after an outage."""
    interfere: Callable[[str, str], Interference | None] = lambda method, resource: None
    """Chooses the treatment of a request by its method, WATCH included, and its resource."""
    version: str | None = None
    """resourceVersion before the write that was cut; None if none was."""
    past: str | None = None
    """resourceVersion of the stale view."""
    stale_lists: dict[str, float] = field(default_factory=dict)
    """Moment until which lists of a resource are those of `past`; 0.0: until some time after the first."""
    stale_watches: set[str] = field(default_factory=set)
    """Resources whose next watch is held back."""

    def mend(self) -> None:
        """Let requests pass again; after a cut of the variant "stale" the next client's view is that of before."""
        self.past, self.version = self.version, None
        listed = LISTED if self.past is not None else ()
        self.stale_lists, self.stale_watches = dict.fromkeys(listed, 0.0), set(listed)
        self.at = None
        self.cut.clear()

    def is_stale(self, resource: str, now: float) -> bool:
        """Return True if a list of a resource that is asked for now is one of before."""
        if resource in self.stale_lists and not self.stale_lists[resource]:
            self.stale_lists[resource] = now + STALE_S
        return now < self.stale_lists.get(resource, 0.0)


class FaultProxy:
    """Plain HTTP server on a port of this machine that forwards with the rights of a kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        self.faults: dict[str, Fault] = {}
        self.url = ""
        self._kubeconfig = kubeconfig
        self._loop = asyncio.new_event_loop()
        self._open: dict[str, dict[int, web.Request]] = {}
        self._late: set[asyncio.Task[None]] = set()
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

    def lead_operators(self, patch: pytest.MonkeyPatch, kubeconfig: Path) -> None:
        """Lead operators of this process to the proxy, by a kubeconfig at that path."""
        self.write_kubeconfig(kubeconfig)
        patch.setenv("KUBECONFIG", str(kubeconfig))
        # The client has read the variable when it was imported.
        for name in ("kubernetes.aio.config", "kubernetes.aio.config.kube_config"):
            patch.setattr(f"{name}.KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig))

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
            for task in self._late:
                task.cancel()
            await runner.cleanup()
        # The session does not wait for the ends of its TLS connections.
        await asyncio.sleep(0.25)

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
        watches = "watch" in request.query
        if watches and resource in fault.gone:
            fault.gone.remove(resource)
            return _expired()
        self._open.setdefault(namespace, {})[id(request)] = request
        try:
            parts = request.path.split("/namespaces/")[-1].split("/")
            kind = parts[1] if len(parts) > 1 else ""
            chosen = fault.interfere("WATCH" if watches else request.method, kind)
            chosen = chosen or Interference()
            await asyncio.sleep(chosen.delay_s)
            if chosen.code is not None:
                return _refused(chosen)
            if chosen.lost == "request":
                return _abort(request)
            if chosen.late_s is not None:
                await self._forward_later(request, fault, chosen.late_s)
                return _abort(request)
            if number == fault.at and fault.when == "stale":
                fault.version = await self._version(namespace)
            url = await self._url(request, fault, resource)
            return await self._answer(request, namespace, fault, number, url, chosen)
        finally:
            del self._open[namespace][id(request)]

    async def _version(self, namespace: str) -> str:
        """Return the current resourceVersion."""
        path = f"/api/v1/namespaces/{namespace}/pods?limit=1"
        async with self._session.get(path) as answer:
            version: str = (await answer.json())["metadata"]["resourceVersion"]
            return version

    async def _url(self, request: web.Request, fault: Fault, resource: str) -> URL:
        """Return the URL to forward to: where the client's view is stale, a list of then, or a watch some time later."""
        url = request.rel_url
        if request.method != "GET":
            return url
        if "watch" in request.query:
            if resource in fault.stale_watches:
                fault.stale_watches.discard(resource)
                await asyncio.sleep(STALE_S)
        elif (
            "continue" not in request.query
            and fault.past is not None
            and fault.is_stale(resource, asyncio.get_running_loop().time())
        ):
            then = {"resourceVersion": fault.past, "resourceVersionMatch": "Exact"}
            return url.update_query(then)
        return url

    async def _forward_later(self, request: web.Request, fault: Fault, seconds: float) -> None:
        """Forward a request after its client has gone, as one that was under way for long."""
        data = await request.read() or None
        headers = _forwarded(request)

        async def forward() -> None:
            await asyncio.sleep(seconds)
            with suppress(aiohttp.ClientError):
                async with self._session.request(
                    request.method, request.rel_url, data=data, headers=headers
                ) as answer:
                    await answer.read()
                    fault.late.append(_described(request, answer.status))

        task = asyncio.create_task(forward())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _answer(
        self,
        request: web.Request,
        namespace: str,
        fault: Fault,
        number: int,
        url: URL,
        chosen: Interference,
    ) -> web.StreamResponse:
        async with self._session.request(
            request.method, url, data=await request.read() or None, headers=_forwarded(request)
        ) as answer:
            if number >= 0:
                fault.writes[number] = _described(request, answer.status)
            if number >= 0 and number == fault.at:
                await answer.read()
                self._cut(namespace, fault)
                return _abort(request)
            if chosen.lost == "answer":
                await answer.read()
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


def _described(request: web.Request, status: int) -> str:
    resource = request.path.split("/namespaces/")[-1].split("/")[1]
    return f"{request.method} {resource} {status}"


def _forwarded(request: web.Request) -> dict[str, str]:
    """Return the headers of a request that are forwarded."""
    return {key: value for key, value in request.headers.items() if key not in _SKIPPED}


def _abort(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)


def _refused(chosen: Interference) -> web.Response:
    assert chosen.code is not None
    message = f"the test answers {chosen.code}"
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": chosen.code}  # fmt: skip
    headers = {} if chosen.retry_after_s is None else {"Retry-After": str(chosen.retry_after_s)}
    return web.json_response(status, status=chosen.code, headers=headers)


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
