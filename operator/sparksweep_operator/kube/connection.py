"""Connection to the API server: requests, a watch's lines and websockets, with bounds, time-outs and errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.stream import WsApiClient

from sparksweep_core.api import API_VERSION
from sparksweep_core.api_server.errors import Unavailable, error_of
from sparksweep_core.contract.names import OPERATOR_MANAGER
from sparksweep_operator.metrics import Metrics

TIMEOUT_S = 30.0
REQUESTS = 50
"""Requests that are made at the same time. After a start beside a thousand Experiments, more would only wait in the API
server, and each would time out there together with those behind it."""
SILENCE_S = 90.0
"""Seconds without a line after which a watch is taken for dead: a bookmark comes every minute."""
LINE_BYTES = 16 * 2**20
"""Maximum length of a watch's event: etcd stores objects of at most 1.5 MiB."""

_JSON = "application/json"
_TIMEOUT = aiohttp.ClientTimeout(total=TIMEOUT_S)

_Body = Mapping[str, Any] | list[dict[str, Any]]


class Options(TypedDict, total=False):
    """Further parts of a request."""

    query: Mapping[str, str]
    """Parameters by name."""
    content_type: str
    """Type of the body, JSON by default."""
    accept: str
    """Type of the answer, JSON by default."""


class Connection:
    """Base of `KubernetesClient`. An asynchronous context manager."""

    def __init__(self, metrics: Metrics) -> None:
        """Count requests in `metrics`."""
        self._metrics = metrics
        self._slots = asyncio.Semaphore(REQUESTS)
        self._client: client.ApiClient | None = None
        self._websockets: WsApiClient | None = None

    async def __aenter__(self) -> Self:
        settings = client.Configuration()
        # Otherwise aiohttp reads .netrc and the proxies' variables at each request, in a thread each: more than half of the
        # request's CPU time. kopf's watches use neither.
        settings.client_session_kwargs = {"trust_env": False}
        # Each watch holds a connection, and `_slots` bounds the others. aiohttp would count the time until a connection is
        # free as part of a request's.
        settings.connection_pool_maxsize = 0
        await config.load_config(client_configuration=settings)
        self._client = client.ApiClient(settings)
        self._client.user_agent = OPERATOR_MANAGER
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for opened in (self._client, self._websockets):
            if opened is not None:
                await opened.close()
        self._client = self._websockets = None

    async def _request(
        self,
        method: str,
        path: str,
        body: _Body | None = None,
        **options: Unpack[Options],
    ) -> dict[str, Any]:
        """Send a request, and return the JSON of its answer; see `_send`."""
        answer: dict[str, Any] = json.loads(await self._send(method, path, body, **options))
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        body: _Body | None = None,
        **options: Unpack[Options],
    ) -> bytes:
        """Send a request as soon as fewer than `REQUESTS` are under way, and return its answer.

        Raises:
            Unavailable: there is no answer.
            KubeError: the API server refuses it.
        """
        try:
            async with self._slots:
                response = await self._call(method, path, body, timeout=_TIMEOUT, **options)
                data: bytes = await response.read()
        except (aiohttp.ClientError, client.ApiException, TimeoutError, OSError) as error:
            self._metrics.count_request(method, _resource(path), None)
            raise Unavailable(f"no answer from the API server: {error!r}") from error
        self._metrics.count_request(method, _resource(path), response.status)
        if response.status >= 300:
            raise error_of(response.status, data, response.getheader("Retry-After"))
        return data

    async def _call(
        self,
        method: str,
        path: str,
        body: _Body | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
        timeout: aiohttp.ClientTimeout,
    ) -> Any:
        if self._client is None:
            raise RuntimeError("the client is not open")
        request = await self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={
                "Accept": accept,
                "Accept-Encoding": "identity",
                "Content-Type": content_type,
            },
            body=dict(body) if isinstance(body, Mapping) else body,
            auth_settings=["BearerToken"],
        )
        return await self._client.call_api(*request, _request_timeout=timeout)

    async def _lines(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Yield the lines of an answer as they come, until it ends.

        Raises:
            Unavailable: there is no answer, or the connection broke.
            KubeError: the API server refuses the request.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_S, sock_read=SILENCE_S)
        try:
            response = await self._call("GET", path, query=query, timeout=timeout)
            try:
                if response.status >= 300:
                    raise error_of(response.status, await response.read())
                rest = b""
                async for chunk in response.response.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        yield line
                    if len(rest) > LINE_BYTES:
                        raise Unavailable(f"an event of more than {LINE_BYTES} bytes")
            finally:
                response.response.close()
        except (aiohttp.ClientError, client.ApiException, TimeoutError, OSError) as error:
            raise Unavailable(f"no answer from the API server: {error!r}") from error

    async def _websocket(
        self, path: str, query: list[tuple[str, str]], *, protocol: str, what: str
    ) -> aiohttp.ClientWebSocketResponse:
        """Open a websocket.

        Args:
            path: path of the request.
            query: its parameters.
            protocol: protocol to speak on the websocket.
            what: name of the other end, for errors.

        Raises:
            Unavailable: there is no answer.
            KubeError: the API server refuses it.
        """
        if self._client is None:
            raise RuntimeError("the client is not open")
        if self._websockets is None:
            self._websockets = WsApiClient(self._client.configuration)
        request = await self._websockets.param_serialize(
            "GET",
            path,
            query_params=query,
            header_params={"sec-websocket-protocol": protocol},
            auth_settings=["BearerToken"],
        )
        try:
            response = await self._websockets.call_api(*request, _preload_content=False)
            websocket: aiohttp.ClientWebSocketResponse = await response.response
        except aiohttp.WSServerHandshakeError as error:
            raise error_of(error.status, f"{what}: {error.message}".encode()) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"no answer from the API server: {error!r}") from error
        return websocket


def _resource(path: str) -> str:
    """Return the resource of a path, such as ``experiments/status``; ``kinds`` for the discovery of our API group."""
    if path == f"/apis/{API_VERSION}":
        return "kinds"
    parts = path.partition("/namespaces/")[2].split("/")[1:] or path.split("/")[-1:]
    return "/".join(parts[:1] + parts[2:])
