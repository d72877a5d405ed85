"""A synchronous client of the API server, for scripts and notebooks."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import urllib3
from kubernetes import client, config
from kubernetes.stream import portforward

from sparksweep._kube.errors import sdk_error
from sparksweep._kube.reading import read, read_all
from sparksweep._listing import Listing
from sparksweep.errors import ClusterUnavailable
from sparksweep_core.api import Experiment, TrialBatch
from sparksweep_core.api_server.errors import KubeError, error_of
from sparksweep_core.api_server.paths import collection
from sparksweep_core.contract.directories import ACCOUNT_DIRECTORY, TOKEN_FILE
from sparksweep_core.contract.labels import experiment_selector, selector_text
from sparksweep_core.contract.names import SDK_MANAGER

TIMEOUT_S = 30.0
FORWARDED_TIMEOUT_S = 60.0
"""Seconds that a forwarded port may be silent."""
NO_ANSWER = "no answer from the API server"

_JSON = "application/json"
# Otherwise the API server drops what it does not know: a field of this version that its CRDs lack.
_WRITING = {"fieldManager": SDK_MANAGER, "fieldValidation": "Strict"}
_MERGE = "application/merge-patch+json"


def is_inside_a_cluster() -> bool:
    """Return whether this process is in a pod that has a token for the API server."""
    has_address = bool(os.environ.get("KUBERNETES_SERVICE_HOST"))
    return has_address and Path(ACCOUNT_DIRECTORY, TOKEN_FILE).exists()


class SyncClient:
    """Client of the API server.

    Authenticates with the kubeconfig's current context or, inside a cluster, with the pod's service account. Every request raises the SDK's
    errors: see `sparksweep._kube.errors`; one that returns a model raises `Unreadable`, too, and one that returns several
    names in its `Listing` those that can't be read.
    """

    def __init__(self) -> None:
        """Find the API server's address; sends no request.

        Raises:
            ClusterUnavailable: There is neither a kubeconfig nor a service account.
        """
        settings = client.Configuration()
        try:
            self.namespace = _configure(settings)
        except config.ConfigException as error:
            raise ClusterUnavailable(f"no cluster is configured: {error}") from error
        # A request that was rejected with 429 is sent again; a user sees any other trouble at once.
        settings.retries = urllib3.Retry(
            total=5, connect=0, read=0, redirect=0, other=0, status_forcelist=[429], allowed_methods=None,
            backoff_factor=0.2, raise_on_status=False,
        )  # fmt: skip
        self._client = client.ApiClient(settings)
        self._client.user_agent = SDK_MANAGER

    def close(self) -> None:
        """Close the connections."""
        self._client.rest_client.pool_manager.clear()

    # ------------------------------------------------------------------ Experiments and their batches

    def experiment(self, namespace: str, name: str) -> Experiment:
        """Return an Experiment as it is now.

        Raises:
            ExperimentNotFound: There is none of that name.
        """
        return read(Experiment, self._request("GET", _Target("Experiment", namespace, name)))

    def experiments(self, namespace: str) -> Listing[Experiment]:
        """Return all Experiments of a namespace."""
        return read_all(Experiment, self.list_objects("Experiment", namespace))

    def batches(self, namespace: str, experiment: str) -> Listing[TrialBatch]:
        """Return the TrialBatches of an Experiment."""
        labels = selector_text(experiment_selector(experiment))
        return read_all(TrialBatch, self.list_objects("TrialBatch", namespace, labels=labels))

    def batch(self, namespace: str, name: str) -> TrialBatch:
        """Return one TrialBatch."""
        return read(TrialBatch, self._request("GET", _Target("TrialBatch", namespace, name)))

    # ------------------------------------------------------------------ objects of any kind

    def create(self, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object, and return it as the API server stored it.

        Raises:
            ExperimentExists: There is one of that kind and name.
            ExperimentRefused: The API server does not accept it.
        """
        target = _Target(body["kind"], namespace, body["metadata"]["name"])
        return self._request("POST", target, body, query=_WRITING)

    def list_objects(self, kind: str, namespace: str, *, labels: str = "") -> list[dict[str, Any]]:
        """Return the objects of a kind that match a label selector; without one all of the namespace."""
        query = {"labelSelector": labels} if labels else {}
        items: list[dict[str, Any]] = self._request("GET", _Target(kind, namespace), query=query)["items"]  # fmt: skip
        return items

    def merge(
        self, kind: str, namespace: str, name: str, change: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Apply a JSON merge patch to an object, and return the object as it is now.

        Raises:
            ExperimentRefused: The API server does not accept the change.
        """
        target = _Target(kind, namespace, name)
        return self._request("PATCH", target, change, query=_WRITING, content_type=_MERGE)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object and its dependents.

        Raises:
            ExperimentNotFound: There is none of that kind and name.
        """
        options = {"propagationPolicy": "Background"}
        self._request("DELETE", _Target(kind, namespace, name), options)

    def connect(self, namespace: str, pod: str, port: int) -> socket.socket:
        """Open a connection to a port inside a pod, its loopback address included.

        Raises:
            ClusterError: The API server does not allow it, or there is no such pod.
        """
        # portforward replaces a method of its client while it connects: it gets one of its own.
        core = client.CoreV1Api(client.ApiClient(self._client.configuration))
        subject = str(_Target("Pod", namespace, pod))
        try:
            forwarded = portforward(
                core.connect_get_namespaced_pod_portforward, pod, namespace, ports=str(port)
            )
        except client.ApiException as error:
            raise sdk_error(_handshake_error(error), subject) from error
        except OSError as error:
            raise ClusterUnavailable(f"{subject}: {NO_ANSWER}: {error}") from error
        opened = cast(socket.socket, forwarded.socket(port))
        opened.settimeout(FORWARDED_TIMEOUT_S)
        return opened

    def _request(
        self,
        method: str,
        target: _Target,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = _JSON,
    ) -> dict[str, Any]:
        writes = method in ("POST", "PATCH")
        try:
            request = self._client.param_serialize(
                method,
                # An object is created by a request to its collection.
                replace(target, name=None).path if method == "POST" else target.path,
                query_params=list((query or {}).items()),
                header_params={"Accept": _JSON, "Content-Type": content_type},
                body=dict(body) if body is not None else None,
                auth_settings=["BearerToken"],
            )
            response = self._client.call_api(*request, _request_timeout=TIMEOUT_S)
            data = response.read()
        except (urllib3.exceptions.HTTPError, client.ApiException, OSError) as error:
            raise ClusterUnavailable(f"{target}: {NO_ANSWER}: {error}") from error
        if response.status >= 300:
            refusal = error_of(response.status, data, response.getheader("Retry-After"))
            raise sdk_error(refusal, str(target), writes=writes)
        answer: dict[str, Any] = json.loads(data)
        return answer


@dataclass(frozen=True)
class _Target:
    """The object, or the objects of a kind, that a request is about."""

    kind: str
    namespace: str
    name: str | None = None

    @property
    def path(self) -> str:
        """The path of its URL."""
        root = collection(self.kind, self.namespace)
        return root if self.name is None else f"{root}/{self.name}"

    def __str__(self) -> str:
        subject = f"{self.kind} {self.name}" if self.name is not None else f"{self.kind} list"
        return f"{subject} in namespace {self.namespace}"


def _handshake_error(error: client.ApiException) -> KubeError:
    """Return the error of a refused websocket, whose HTTP status is in the text alone."""
    text = str(error.reason)
    match = re.search(r"Handshake status (\d+)", text)
    status = int(match[1]) if match else error.status or 500
    return error_of(status, text.rpartition("-+-+- ")[2].encode())


def _configure(settings: client.Configuration) -> str:
    """Fill the settings in, and return the default namespace."""
    if is_inside_a_cluster() and not os.environ.get("KUBECONFIG"):
        config.load_incluster_config(client_configuration=settings)
        return Path(ACCOUNT_DIRECTORY, "namespace").read_text().strip()
    # The library reads the variable when it is imported, which for a notebook is too early.
    file = os.environ.get("KUBECONFIG") or None
    config.load_kube_config(config_file=file, client_configuration=settings)
    _, current = config.list_kube_config_contexts(config_file=file)
    return current["context"].get("namespace") or "default"
