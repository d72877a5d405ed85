"""All requests of the operator to the API server, except kopf's watches.

Objects that we own are written by server-side apply of the whole desired object: doing it twice changes nothing.
Objects that a user may have under the same name are created, never applied, so that the user's is not taken over.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

from sparksweep_core.api import API_VERSION, Experiment, ExperimentStatus, TrialBatch
from sparksweep_core.api_server.errors import Conflict, KubeError, NotFound, UndeclaredField
from sparksweep_core.api_server.paths import collection
from sparksweep_core.contract.labels import experiment_selector, selector_text
from sparksweep_core.contract.names import OPERATOR_MANAGER
from sparksweep_operator.events import Event
from sparksweep_operator.kube.bodies import batch_body, event_body
from sparksweep_operator.kube.connection import Connection
from sparksweep_operator.kube.port_forward import PROTOCOL, PortForward
from sparksweep_operator.metrics import Metrics

log = logging.getLogger(__name__)

PAGE_OBJECTS = 200
"""Objects in a page of metadata."""
WATCH_S = 600
"""Seconds after which the API server ends a watch."""
_APPLY = "application/apply-patch+yaml"
_JSON_PATCH = "application/json-patch+json"
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_IDENTITY = ("name", "namespace", "uid", "resourceVersion")


class KubernetesClient(Connection):
    """Client of the API server. An asynchronous context manager."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        """Count requests in `metrics`."""
        super().__init__(metrics or Metrics())
        self._undeclared: set[str] = set()

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

    def watch_batches(self, namespace: str | None, version: int) -> AsyncIterator[bytes]:
        """Return the events of all TrialBatches of a namespace, or of all, each a line of JSON, until the watch ends.

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
        return self._lines(collection("TrialBatch", namespace), query)

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
        path = f"{collection('Pod', namespace)}/{pod}/portforward"
        websocket = await self._websocket(
            path, [("ports", str(port))], protocol=PROTOCOL, what=f"port {port} of pod {pod}"
        )
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
