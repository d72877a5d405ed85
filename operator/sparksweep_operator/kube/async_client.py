"""All requests of the operator to the API server, except kopf's watches.

Objects that we own are written by server-side apply of the whole desired object: doing it twice changes nothing.
Objects that a user may have under the same name are created, never applied, so that the user's is not taken over.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Collection, Mapping
from types import TracebackType
from typing import Any

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.stream import WsApiClient

from sparksweep_core.api import API_VERSION, Experiment, ExperimentStatus, TrialBatch
from sparksweep_core.api_server.errors import (
    Conflict,
    KubeError,
    NotFound,
    Unavailable,
    UndeclaredField,
    error_of,
)
from sparksweep_core.api_server.paths import collection
from sparksweep_core.contract.labels import experiment_selector, selector_text
from sparksweep_core.contract.names import OPERATOR_MANAGER
from sparksweep_operator.events import Event
from sparksweep_operator.kube.bodies import batch_body, event_body
from sparksweep_operator.kube.port_forward import PROTOCOL, PortForward
from sparksweep_operator.metrics import Metrics

log = logging.getLogger(__name__)

TIMEOUT_S = 30.0
REQUESTS = 50
"""Requests that are made at the same time. After a start beside a thousand Experiments, more would only wait in the API
server, and each would time out there together with those behind it."""
PAGE_OBJECTS = 200
"""Objects in a page of metadata."""
WATCH_S = 600
"""Seconds after which the API server ends a watch."""
SILENCE_S = 90.0
"""Seconds without a line after which a watch is taken for dead: a bookmark comes every minute."""
LINE_BYTES = 16 * 2**20
"""Maximum length of a watch's event: etcd stores objects of at most 1.5 MiB."""

_APPLY = "application/apply-patch+yaml"
_JSON = "application/json"
_JSON_PATCH = "application/json-patch+json"
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_IDENTITY = ("name", "namespace", "uid", "resourceVersion")
_TIMEOUT = aiohttp.ClientTimeout(total=TIMEOUT_S)

_Body = Mapping[str, Any] | list[dict[str, Any]]


class KubernetesClient:
    """Client of the API server. An asynchronous context manager."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        """Count requests in `metrics`."""
        self._metrics = metrics or Metrics()
        self._slots = asyncio.Semaphore(REQUESTS)
        self._client: client.ApiClient | None = None
        self._websockets: WsApiClient | None = None
        self._undeclared: set[str] = set()

    async def __aenter__(self) -> KubernetesClient:
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

    # ------------------------------------------------------------------ our kinds

    async def serves(self, plurals: Collection[str]) -> bool:
        """Return True if the API server serves these resources of our API group.

        Raises:
            KubeError: the request failed.
        """
        try:
            api = await self._request("GET", f"/apis/{API_VERSION}")
        except NotFound:
            return False
        return {item["name"] for item in api["resources"]}.issuperset(plurals)

    # ------------------------------------------------------------------ experiments and batches

    async def apply_status(
        self, experiment: Experiment, status: ExperimentStatus
    ) -> dict[str, Any]:
        """Write an Experiment's status, unless the Experiment has changed since it was read; return the updated object.

        A write that arrives late, such as one that was under way when its operator was killed, changes nothing.

        Raises:
            Conflict: it has changed, or the name now belongs to another Experiment.
            NotFound: the Experiment no longer exists.
        """
        return await self.apply_status_values(experiment.metadata.model_dump(), status.to_dict())

    async def apply_status_values(
        self, metadata: Mapping[str, Any], status: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Write an Experiment's status as JSON values, perhaps with fields of a later version; see `apply_status`."""
        body = {
            "apiVersion": API_VERSION,
            "kind": "Experiment",
            "metadata": {name: metadata[name] for name in _IDENTITY},
            "status": dict(status),
        }
        return await self._apply(body, "status")

    async def create_batch(self, batch: TrialBatch) -> dict[str, Any]:
        """Create a batch; return the created object.

        Raises:
            Conflict: a batch of that name exists: our own, not in the cache yet, or one that is being deleted.
        """
        return await self.create(batch_body(batch))

    async def apply_batch(self, batch: TrialBatch) -> dict[str, Any]:
        """Update the spec of an existing batch; return the updated object.

        Raises:
            Conflict: the name now belongs to another batch.
            Invalid: the update would change or remove a trial.
        """
        body = batch_body(batch)
        body["metadata"]["uid"] = batch.metadata.uid
        return await self._apply(body)

    async def list_batches(self, namespace: str | None, query: Mapping[str, str]) -> bytes:
        """Return a page of the TrialBatches of a namespace, or of all, as JSON.

        Raises:
            Expired: the token to continue a list is too old.
        """
        return await self._send("GET", collection("TrialBatch", namespace), query=query)

    async def newest_batch(self, namespace: str, experiment: str) -> str | None:
        """Return the name of an Experiment's batch with the highest index; None if it has none."""
        selector = selector_text(experiment_selector(experiment))
        names = [name async for _, name in self._names("TrialBatch", namespace, selector)]
        # They end with the index, of at least five digits.
        return max(names, key=lambda name: (len(name), name), default=None)

    async def experiment_keys(self, namespace: str | None) -> list[tuple[str, str]]:
        """Return namespace and name of each Experiment of a namespace, or of all."""
        return [key async for key in self._names("Experiment", namespace)]

    async def _names(
        self, kind: str, namespace: str | None, selector: str = ""
    ) -> AsyncIterator[tuple[str, str]]:
        """Yield namespace and name of each object of a kind, by pages of metadata."""
        query = {"limit": str(PAGE_OBJECTS)} | ({"labelSelector": selector} if selector else {})
        while True:
            page = await self._request(
                "GET", collection(kind, namespace), query=query, accept=_METADATA
            )
            # Of no objects, the items of a list of metadata are null.
            for item in page.get("items") or ():
                yield item["metadata"]["namespace"], item["metadata"]["name"]
            token = page["metadata"].get("continue")
            if not token:
                return
            query["continue"] = token

    async def watch_batches(self, namespace: str | None, version: int) -> AsyncIterator[bytes]:
        """Yield the events of all TrialBatches of a namespace, or of all, each a line of JSON, until the watch ends.

        Args:
            namespace: the namespace; None for all.
            version: resourceVersion after which the events begin.

        Raises:
            Expired: the API server no longer has the events since.
            Unavailable: the connection broke.
        """
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": str(version),
            "timeoutSeconds": str(WATCH_S),
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_S, sock_read=SILENCE_S)
        try:
            response = await self._call(
                "GET", collection("TrialBatch", namespace), query=query, timeout=timeout
            )
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

    async def get_experiment(self, namespace: str, name: str) -> dict[str, Any]:
        """Read an Experiment.

        Raises:
            NotFound: it does not exist.
        """
        return await self._request("GET", f"{collection('Experiment', namespace)}/{name}")

    async def delete_experiment(self, experiment: Experiment) -> None:
        """Delete an Experiment and everything that belongs to it."""
        metadata = experiment.metadata
        await self._delete("Experiment", metadata.namespace, metadata.name, metadata.uid)

    # ------------------------------------------------------------------ pods, ConfigMaps, events

    async def create(self, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Create an object; return it as the API server has it.

        Raises:
            Conflict: an object of that name exists.
            Forbidden: a right is missing, or a quota is used up.
            AdmissionFailed: a webhook that has to agree does not answer.
            KubeError: any other refusal; all of them name the object.
        """
        query = {"fieldManager": OPERATOR_MANAGER} | ({"dryRun": "All"} if dry_run else {})
        kind, metadata = body["kind"], body["metadata"]
        try:
            return await self._request(
                "POST", collection(kind, metadata["namespace"]), body, query=query
            )
        except KubeError as error:
            error.name_object(kind, metadata.get("name") or metadata["generateName"])
            raise

    async def create_sealed(self, config_map: Mapping[str, Any]) -> None:
        """Create a ConfigMap whose name stands for its content, unless there is one of that name.

        The operator has no right to read ConfigMaps: the pods that mount it check its content.
        """
        try:
            await self.create(config_map)
        except Conflict:
            return

    async def create_owned(self, body: Mapping[str, Any]) -> None:
        """Create an object that an Experiment owns and that never changes, unless it exists.

        Raises:
            Conflict: an object of that name exists and has another owner.
        """
        try:
            await self.create(body)
        except Conflict:
            metadata = body["metadata"]
            path = f"{collection(body['kind'], metadata['namespace'])}/{metadata['name']}"
            existing = await self._request("GET", path)
            owner = metadata["ownerReferences"][0]["uid"]
            owners = existing["metadata"].get("ownerReferences", [])
            if owner not in [item["uid"] for item in owners]:
                raise Conflict(
                    f"{body['kind']} {metadata['name']} exists already and does not belong to this Experiment: "
                    "delete it, or give the Experiment another name"
                ) from None

    async def list_pods(self, namespace: str, experiment: str) -> dict[str, Any]:
        """Return the PodList of an Experiment."""
        query = {"labelSelector": selector_text(experiment_selector(experiment))}
        return await self._request("GET", collection("Pod", namespace), query=query)

    async def forward(self, namespace: str, pod: str, port: int) -> PortForward:
        """Open a connection to a port in a pod, its loopback address included. For the gateway; the operator may not.

        Raises:
            Forbidden: the right is missing.
            NotFound: there is no such pod.
            Unavailable: the pod does not run, or the API server does not answer.
        """
        if self._client is None:
            raise RuntimeError("the client is not open")
        if self._websockets is None:
            self._websockets = WsApiClient(self._client.configuration)
        path = f"{collection('Pod', namespace)}/{pod}/portforward"
        request = await self._websockets.param_serialize(
            "GET",
            path,
            query_params=[("ports", str(port))],
            header_params={"sec-websocket-protocol": PROTOCOL},
            auth_settings=["BearerToken"],
        )
        try:
            response = await self._websockets.call_api(*request, _preload_content=False)
            websocket = await response.response
        except aiohttp.WSServerHandshakeError as error:
            message = f"port {port} of pod {pod}: {error.message}"
            raise error_of(error.status, message.encode()) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"no answer from the API server: {error!r}") from error
        return PortForward(websocket)

    async def delete_pod(self, namespace: str, name: str, uid: str) -> None:
        """Delete a pod, if it still exists."""
        await self._delete("Pod", namespace, name, uid)

    async def post_event(
        self, experiment: Experiment, event: Event, *, moment: str, name: str
    ) -> None:
        """Create an event about an Experiment.

        Args:
            experiment: the Experiment.
            event: the event.
            moment: its time, in RFC 3339 with seconds.
            name: name of the Event object.
        """
        await self.create(event_body(experiment, event, moment=moment, name=name))

    # ------------------------------------------------------------------ requests

    async def _apply(self, body: Mapping[str, Any], subresource: str = "") -> dict[str, Any]:
        """Apply an object's spec, or its status, without the fields that the CRD of an earlier version lacks."""
        metadata = body["metadata"]
        path = f"{collection(body['kind'], metadata['namespace'])}/{metadata['name']}"
        path = f"{path}/{subresource}".rstrip("/")
        query = {"fieldManager": OPERATOR_MANAGER, "force": "true"}
        try:
            return await self._apply_declared(path, body, subresource or "spec", query=query)
        except KubeError as error:
            error.name_object(body["kind"], metadata["name"])
            raise

    async def _apply_declared(
        self, path: str, body: Mapping[str, Any], half: str, *, query: Mapping[str, str]
    ) -> dict[str, Any]:
        try:
            return await self._request("PATCH", path, body, query=query, content_type=_APPLY)
        except UndeclaredField as error:
            self._warn_of_undeclared(error)
        # Any write but an apply drops such fields: a dry run of one tells what is left.
        replaced = [{"op": "add", "path": f"/{half}", "value": body[half]}]
        dry_run = {"fieldManager": OPERATOR_MANAGER, "dryRun": "All"}
        stored = await self._request(
            "PATCH", path, replaced, query=dry_run, content_type=_JSON_PATCH
        )
        pruned = {**body, half: stored[half]}
        return await self._request("PATCH", path, pruned, query=query, content_type=_APPLY)

    def _warn_of_undeclared(self, error: UndeclaredField) -> None:
        """Log once for each set of fields that the CRDs are of an earlier version."""
        fields = str(error).partition("): ")[2] or str(error)
        if fields not in self._undeclared:
            self._undeclared.add(fields)
            log.warning("the CRDs are older than this operator, update them: %s", fields)

    async def _delete(self, kind: str, namespace: str | None, name: str, uid: str | None) -> None:
        options = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            await self._request("DELETE", f"{collection(kind, namespace)}/{name}", options)
        except (NotFound, Conflict):
            return

    async def _request(
        self,
        method: str,
        path: str,
        body: _Body | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
    ) -> dict[str, Any]:
        data = await self._send(
            method, path, body, query=query, content_type=content_type, accept=accept
        )
        answer: dict[str, Any] = json.loads(data)
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        body: _Body | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
    ) -> bytes:
        try:
            async with self._slots:
                response = await self._call(
                    method,
                    path,
                    body,
                    query=query,
                    content_type=content_type,
                    accept=accept,
                    timeout=_TIMEOUT,
                )
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


def _resource(path: str) -> str:
    """Return the resource of a path, such as ``experiments/status``; ``kinds`` for the discovery of our API group."""
    if path == f"/apis/{API_VERSION}":
        return "kinds"
    parts = path.partition("/namespaces/")[2].split("/")[1:] or path.split("/")[-1:]
    return "/".join(parts[:1] + parts[2:])
