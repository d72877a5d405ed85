"""Client of the API server by plain requests: fast, and with the server's own words where it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
from kubernetes import config

Document = dict[str, Any]

GROUP = "/apis/sparksweep.dev/v1alpha1"
PATHS = {
    "experiments": GROUP, "trialbatches": GROUP, "roles": "/apis/rbac.authorization.k8s.io/v1",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1", "deployments": "/apis/apps/v1",
}  # fmt: skip
MERGE = "application/merge-patch+json"
GONE = 410


class Refused(AssertionError):
    """A request that the API server refused; an assertion failure in a test that does not expect it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


@dataclass(frozen=True)
class History:
    """Events of a resource."""

    version: str
    """resourceVersion up to which all events of objects that still exist are among them."""
    events: Iterator[Document]


class KubeApi:
    """Client for one namespace, with the rights of a kubeconfig.

    Args:
        waits_for_connection: False: a request fails at once while nothing listens there.
    """

    def __init__(
        self, kubeconfig: Path, namespace: str, *, waits_for_connection: bool = True
    ) -> None:
        self.namespace = namespace
        self._client = config.new_client_from_config(str(kubeconfig))
        self._pool: urllib3.PoolManager = self._client.rest_client.pool_manager
        settings = self._client.configuration
        self._host = settings.host
        token = settings.get_api_key_with_prefix("authorization", "BearerToken")
        self._headers = {"Authorization": token} if token else {}
        # The API server answers 429 just after its start.
        self._retries = urllib3.Retry(
            total=8,
            connect=None if waits_for_connection else 0,
            allowed_methods=None,
            status_forcelist=[429],
            backoff_factor=0.2,
        )

    def close(self) -> None:
        self._pool.clear()
        self._client.close()

    def create(self, kind: str, body: Document) -> Document:
        return self._request("POST", self._path(kind), body)

    def get(self, kind: str, name: str) -> Document:
        return self._request("GET", self._path(kind, name))

    def find(self, kind: str, name: str) -> Document | None:
        """Return the object, or None if it does not exist."""
        try:
            return self.get(kind, name)
        except Refused as error:
            if error.code == 404:
                return None
            raise

    def items(self, kind: str, selector: str = "") -> list[Document]:
        query = urlencode({"labelSelector": selector}) if selector else ""
        items: list[Document] = self._request("GET", self._path(kind) + f"?{query}")["items"]
        return items

    def version(self, kind: str) -> str:
        """Return the current resourceVersion, to read the history from."""
        version: str = self._request("GET", f"{self._path(kind)}?limit=1")["metadata"][
            "resourceVersion"
        ]
        return version

    def patch(self, kind: str, name: str, body: Document, subresource: str = "") -> Document:
        return self._request("PATCH", self._path(kind, name, subresource), body, MERGE)

    def delete(self, kind: str, name: str, **options: Any) -> None:
        self._request("DELETE", self._path(kind, name), options)

    def history(self, kind: str, since: str) -> History:
        """Return the watch events since a resourceVersion: every version of every object until now."""
        listed = self._request("GET", self._path(kind))
        return History(
            listed["metadata"]["resourceVersion"], self._events(kind, since, listed["items"])
        )

    def _events(self, kind: str, since: str, listed: list[Document]) -> Iterator[Document]:
        """Yield the events after a resourceVersion until each of the listed objects has come."""
        left = {item["metadata"]["uid"]: int(item["metadata"]["resourceVersion"]) for item in listed}  # fmt: skip
        left = {uid: version for uid, version in left.items() if version > int(since)}
        if not left:
            return
        query = urlencode({"watch": "1", "resourceVersion": since, "timeoutSeconds": "2"})
        response = self._pool.request(
            "GET", f"{self._host}{self._path(kind)}?{query}", headers=self._headers, preload_content=False
        )  # fmt: skip
        rest = b""
        try:
            for chunk in response.stream():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR" and event["object"]["code"] == GONE:
                        # A restarted API server has no older events: only the current objects are left.
                        yield from ({"type": "ADDED", "object": item} for item in listed)
                        return
                    assert event["type"] != "ERROR", event
                    yield event
                    metadata = event["object"]["metadata"]
                    if left.get(metadata["uid"]) == int(metadata["resourceVersion"]):
                        del left[metadata["uid"]]
                        if not left:
                            return
        finally:
            response.close()

    def _path(self, kind: str, name: str = "", subresource: str = "") -> str:
        root = PATHS.get(kind, "/api/v1")
        parts = [root, "namespaces", self.namespace, kind, name, subresource]
        return "/".join(part for part in parts if part)

    def _request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Document:
        response = self._pool.request(
            method,
            f"{self._host}{path}",
            body=None if body is None else json.dumps(body),
            headers={**self._headers, "Content-Type": content_type},
            retries=self._retries,
            timeout=30,
        )
        answer: Document = json.loads(response.data)
        if response.status >= 300:
            raise Refused(response.status, answer.get("message", str(answer)))
        return answer
