"""The API server for programs that are not asynchronous: the SDK, in a script or a notebook, with a user's own rights."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import urllib3
from kubernetes import client, config
from kubernetes.stream import portforward

from sparksweep_core.api_server.errors import KubeError, Unavailable, error_of
from sparksweep_core.api_server.paths import collection

MANAGER = "sparksweep-sdk"
"""The SDK's name as the manager of fields."""
TIMEOUT_S = 30.0
FORWARDED_TIMEOUT_S = 60.0
"""Seconds that a forwarded port may be silent."""

_JSON = "application/json"
_MERGE = "application/merge-patch+json"
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def is_inside_a_cluster() -> bool:
    """Whether this process is in a pod that has a token for the API server."""
    has_address = bool(os.environ.get("KUBERNETES_SERVICE_HOST"))
    return has_address and (_SERVICE_ACCOUNT / "token").exists()


class SyncClient:
    """The API server, by the kubeconfig's current context or, inside a cluster, by the pod's service account."""

    def __init__(self) -> None:
        """Find out where the API server is; nothing is asked yet.

        Raises:
            Unavailable: there is neither a kubeconfig nor a service account.
        """
        settings = client.Configuration()
        try:
            self.namespace = _configure(settings)
        except config.ConfigException as error:
            raise Unavailable(f"no cluster is configured: {error}") from error
        # What was not even looked at is asked again; any other trouble a user sees at once.
        settings.retries = urllib3.Retry(
            total=5, connect=0, read=0, redirect=0, other=0, status_forcelist=[429], allowed_methods=None,
            backoff_factor=0.2, raise_on_status=False,
        )  # fmt: skip
        self._client = client.ApiClient(settings)
        self._client.user_agent = MANAGER

    def close(self) -> None:
        """Give up its connections."""
        self._client.rest_client.pool_manager.clear()

    def create(self, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object.

        Raises:
            Conflict: there is one of that name.
        """
        query = {"fieldManager": MANAGER}
        return self._request("POST", collection(body["kind"], namespace), body, query=query)

    def get(self, kind: str, namespace: str, name: str) -> dict[str, Any]:
        """An object as it is now.

        Raises:
            NotFound: there is none.
        """
        return self._request("GET", f"{collection(kind, namespace)}/{name}")

    def find(self, kind: str, namespace: str, *, labels: str = "") -> list[dict[str, Any]]:
        """Objects with those labels."""
        query = {"labelSelector": labels} if labels else {}
        found = self._request("GET", collection(kind, namespace), query=query)
        items: list[dict[str, Any]] = found["items"]
        return items

    def merge(
        self, kind: str, namespace: str, name: str, change: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Change some fields of an object; the object as it is now."""
        path = f"{collection(kind, namespace)}/{name}"
        query = {"fieldManager": MANAGER}
        return self._request("PATCH", path, change, query=query, content_type=_MERGE)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object, and what belongs to it.

        Raises:
            NotFound: there is none.
        """
        options = {"propagationPolicy": "Background"}
        self._request("DELETE", f"{collection(kind, namespace)}/{name}", options)

    def connect(self, namespace: str, pod: str, port: int) -> socket.socket:
        """A connection to a port inside a pod, its loopback address included.

        Raises:
            KubeError: the API server does not allow it, or there is no such pod.
        """
        # portforward replaces a method of its client while it connects: it gets one of its own.
        core = client.CoreV1Api(client.ApiClient(self._client.configuration))
        try:
            forwarded = portforward(
                core.connect_get_namespaced_pod_portforward, pod, namespace, ports=str(port)
            )
        except client.ApiException as error:
            raise _refusal(error) from error
        except OSError as error:
            raise Unavailable(f"no answer from the API server: {error}") from error
        opened = cast(socket.socket, forwarded.socket(port))
        opened.settimeout(FORWARDED_TIMEOUT_S)
        return opened

    def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = _JSON,
    ) -> dict[str, Any]:
        try:
            request = self._client.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params={"Accept": _JSON, "Content-Type": content_type},
                body=dict(body) if body is not None else None,
                auth_settings=["BearerToken"],
            )
            response = self._client.call_api(*request, _request_timeout=TIMEOUT_S)
            data = response.read()
        except (urllib3.exceptions.HTTPError, client.ApiException, OSError) as error:
            raise Unavailable(f"no answer from the API server: {error}") from error
        if response.status >= 300:
            raise error_of(response.status, data, response.getheader("Retry-After"))
        answer: dict[str, Any] = json.loads(data)
        return answer


def _refusal(error: client.ApiException) -> KubeError:
    """What a websocket that was refused says; its status is in the text alone."""
    text = str(error.reason)
    found = re.search(r"Handshake status (\d+)", text)
    status = int(found[1]) if found else error.status or 500
    return error_of(status, text.rpartition("-+-+- ")[2].encode())


def _configure(settings: client.Configuration) -> str:
    """Fill the settings in; the namespace that is meant where none is named."""
    if is_inside_a_cluster() and not os.environ.get("KUBECONFIG"):
        config.load_incluster_config(client_configuration=settings)
        return (_SERVICE_ACCOUNT / "namespace").read_text().strip()
    # The library reads the variable when it is imported, which for a notebook is too early.
    file = os.environ.get("KUBECONFIG") or None
    config.load_kube_config(config_file=file, client_configuration=settings)
    _, current = config.list_kube_config_contexts(config_file=file)
    return current["context"].get("namespace") or "default"
