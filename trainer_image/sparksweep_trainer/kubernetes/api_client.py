"""A Kubernetes client with what a driver needs: JSON requests and watches over the standard library's HTTP.

Failures are raised as the errors of `sparksweep_core.api_server`.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from sparksweep_core.api_server.errors import Unavailable, error_of
from sparksweep_core.api_server.paths import collection

TIMEOUT_S = 20.0
"""Seconds to wait for a response."""
MAX_LINE_BYTES = 8 * 1024 * 1024
"""Largest watch event in bytes: an object is below 2 MiB in etcd."""
MAX_RETRY_AFTER_S = 30.0
"""Longest ``Retry-After`` in seconds that is obeyed."""
MERGE_PATCH = "application/merge-patch+json"

PAGE_SIZE = 50
"""Objects that are listed at once. A TrialBatch has some 80 kB, and ten times as many bytes once it is parsed."""

Json = dict[str, Any]


class ListPage(Protocol):
    """One page of a list."""

    @property
    def next_token(self) -> str | None:
        """Token of the next page; None or empty for the last."""


Page = TypeVar("Page", bound=ListPage)


@dataclass(frozen=True)
class JsonPage:
    """A page of objects as JSON."""

    items: list[Json]
    version: str
    """Resource version of the collection, from which a watch goes on."""
    next_token: str | None

    @classmethod
    def read(cls, content: bytes) -> JsonPage:
        """Parse a response.

        Raises:
            Unavailable: it is no list.
        """
        answer = parse_object(content)
        metadata = answer.get("metadata") or {}
        return cls(
            answer.get("items") or [],
            str(metadata.get("resourceVersion", "")),
            metadata.get("continue"),
        )


@dataclass(frozen=True)
class Endpoint:
    """Address of the API server, and the credentials for it."""

    server: str
    """``https://host:port``; plain http is for tests."""
    token_file: Path | None = None
    """File with a bearer token; read for each request, because Kubernetes rotates it every hour."""
    ca_file: Path | None = None
    """File with the certificate authority of the server; None: this machine's own authorities."""


class ApiClient:
    """One connection to the API server. Not thread-safe: each thread needs its own. A context manager."""

    def __init__(self, endpoint: Endpoint, *, timeout_s: float = TIMEOUT_S) -> None:
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> ApiClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        """Send a request and return the JSON of the response.

        Raises:
            KubeError: the server refused it; see `sparksweep_core.api_server.errors`.
            Unavailable: no response, or one that says to try again later.
        """
        return parse_object(self._exchange(method, path, query, body, content_type))

    def pages(
        self,
        path: str,
        *,
        query: Mapping[str, str],
        read: Callable[[bytes], Page],
        size: int = PAGE_SIZE,
    ) -> Iterator[Page]:
        """Yield a collection in pages, all of the state at one resource version.

        Args:
            path: path of the collection.
            query: selectors.
            read: parses the response of one request.
            size: number of objects in a page.

        Raises:
            Expired: the state of the first page is not kept any more; begin anew.
            Unavailable: try again, see `request`. The generator can't be resumed.
        """
        token: str | None = None
        while True:
            paged = {**query, "limit": str(size), **({"continue": token} if token else {})}
            page = read(self._exchange("GET", path, paged, None, ""))
            token = page.next_token
            yield page
            # Of a large collection one page at a time is in memory.
            del page
            if not token:
                return

    def _exchange(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Json | None,
        content_type: str,
    ) -> bytes:
        response = self._send(method, path, query, body, content_type)
        try:
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unavailable(f"{method} {path}: {error!r}") from error
        _check(response, content)
        return content

    def patch_status(self, path: str, status: Json, *, resource_version: str | None) -> Json:
        """Merge into an object's status unless the object has changed; return the object after that.

        Raises:
            Conflict: it is not the version that was read any more.
        """
        body: Json = {"status": status}
        if resource_version is not None:
            body["metadata"] = {"resourceVersion": resource_version}
        return self.request("PATCH", f"{path}/status", body=body, content_type=MERGE_PATCH)

    def watch(
        self, path: str, *, query: Mapping[str, str], read_timeout_s: float
    ) -> Iterator[tuple[str, Json]]:
        """Yield the events of a collection as pairs of type and object, until the server ends the watch.

        Args:
            path: path of the collection.
            query: selectors, ``resourceVersion`` and ``timeoutSeconds``.
            read_timeout_s: a watch that is silent for longer counts as broken.

        Raises:
            Expired: list again.
            Unavailable: watch again.
        """
        response = self._send(
            "GET", path, {**query, "watch": "1", "allowWatchBookmarks": "true"}, None, ""
        )
        try:
            if response.status != http.client.OK:
                _check(response, response.read())
            if self._connection is not None and self._connection.sock is not None:
                self._connection.sock.settimeout(read_timeout_s)
            while line := response.readline(MAX_LINE_BYTES):
                if not line.endswith(b"\n"):
                    raise Unavailable("the watch broke off in the middle of an event")
                yield _event(line)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unavailable(f"watch of {path}: {error!r}") from error
        finally:
            # The rest of the response belongs to the watch: the connection can't be reused.
            response.close()
            self.close()

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Json | None,
        content_type: str,
    ) -> http.client.HTTPResponse:
        target = f"{path}?{urlencode(query)}" if query else path
        data = None if body is None else json.dumps(body).encode()
        # The server may have closed an idle connection, which shows when it is used: then try once more on a new one.
        # Every request here may be sent twice: patches carry the resource version that they are for.
        for reused in ([True] if self._connection is not None else []) + [False]:
            try:
                if self._connection is None:
                    self._connection = self._connect()
                self._connection.request(method, target, data, self._headers(data, content_type))
                return self._connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if not reused or isinstance(error, TimeoutError):
                    raise Unavailable(f"{method} {path}: {error!r}") from error
        raise AssertionError("unreachable")

    def _headers(self, data: bytes | None, content_type: str) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "sparksweep-driver"}
        if data is not None:
            headers["Content-Type"] = content_type
        if self._endpoint.token_file is not None:
            headers["Authorization"] = f"Bearer {self._endpoint.token_file.read_text().strip()}"
        return headers

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self._endpoint.server)
        host = parts.hostname or ""
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, parts.port, timeout=self._timeout_s)
        context = ssl.create_default_context(
            cafile=None if self._endpoint.ca_file is None else str(self._endpoint.ca_file)
        )
        return http.client.HTTPSConnection(
            host, parts.port, timeout=self._timeout_s, context=context
        )


def batches_path(namespace: str, name: str = "") -> str:
    """Return the path of a namespace's TrialBatches, or of one."""
    return _path("TrialBatch", namespace, name)


def pods_path(namespace: str, name: str = "") -> str:
    """Return the path of a namespace's pods, or of one."""
    return _path("Pod", namespace, name)


def _path(kind: str, namespace: str, name: str) -> str:
    path = collection(kind, quote(namespace, safe=""))
    return f"{path}/{quote(name, safe='')}" if name else path


def _check(response: http.client.HTTPResponse, content: bytes) -> None:
    if response.status < 300:
        return
    error = error_of(response.status, content, response.headers.get("Retry-After"))
    if isinstance(error, Unavailable):
        error.retry_after_s = min(error.retry_after_s, MAX_RETRY_AFTER_S)
    raise error


def _event(line: bytes) -> tuple[str, Json]:
    event = parse_object(line)
    kind, item = event.get("type"), event.get("object")
    if not isinstance(kind, str) or not isinstance(item, dict):
        raise Unavailable("the watch sent something that is not an event")
    if kind == "ERROR":
        raise error_of(int(item.get("code") or 500), json.dumps(item).encode())
    return kind, item


def parse_object(content: bytes) -> Json:
    """Parse a response.

    Raises:
        Unavailable: it is no JSON object; perhaps a proxy has sent it.
    """
    try:
        value = json.loads(content)
    except ValueError as error:
        raise Unavailable(f"an answer that is not JSON: {content[:100]!r}") from error
    if not isinstance(value, dict):
        raise Unavailable(f"an answer that is no object: {content[:100]!r}")
    return value
