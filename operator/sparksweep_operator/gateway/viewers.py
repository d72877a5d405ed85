"""The driver's pod of an Experiment, and the one port of it that a service has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Protocol

from sparksweep_core.api_server.errors import Forbidden, KubeError, NotFound
from sparksweep_core.contract.gateway import TENSORBOARD_SERVICE, VIEWER_SERVICE
from sparksweep_core.contract.labels import DRIVER
from sparksweep_core.contract.names import driver_number
from sparksweep_core.contract.ports import TENSORBOARD_PORT, VIEWER_PORT
from sparksweep_operator.kube.port_forward import PortForward
from sparksweep_operator.pod_status import Pod

PORTS = {VIEWER_SERVICE: VIEWER_PORT, TENSORBOARD_SERVICE: TENSORBOARD_PORT}


class Refusal(Exception):
    """A connection is refused; the message is the response's body."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class Kubernetes(Protocol):
    """The requests that the gateway needs."""

    async def get_experiment(self, namespace: str, name: str) -> dict[str, Any]:
        """Read an Experiment."""

    async def list_pods(self, namespace: str, experiment: str) -> dict[str, Any]:
        """Return the PodList of an Experiment."""

    async def forward(self, namespace: str, pod: str, port: int) -> PortForward:
        """Open a connection to a port in a pod."""


class Viewers:
    """The viewers of one namespace."""

    def __init__(self, kubernetes: Kubernetes, namespace: str) -> None:
        self._kubernetes = kubernetes
        self._namespace = namespace

    async def connect(self, experiment: str, service: str) -> PortForward:
        """Open a connection to a service of an Experiment.

        Raises:
            Refusal: there is no such Experiment, none of its drivers' pods has a running viewer, or the API server refuses.
        """
        subject = f"Experiment {experiment} in namespace {self._namespace}"
        try:
            owner = (await self._kubernetes.get_experiment(self._namespace, experiment))["metadata"]
            pods = (await self._kubernetes.list_pods(self._namespace, experiment))["items"]
            pod = viewer_pod(pods, experiment_uid=owner["uid"])
            if pod is None:
                message = f"{subject} has no driver's pod with a running viewer"
                raise Refusal(HTTPStatus.NOT_FOUND, message)
            return await self._kubernetes.forward(self._namespace, pod, PORTS[service])
        except NotFound as error:
            raise Refusal(HTTPStatus.NOT_FOUND, f"{subject}: {error}") from error
        except Forbidden as error:
            message = f"{subject}: the gateway lacks a right: {error}"
            raise Refusal(HTTPStatus.BAD_GATEWAY, message) from error
        except KubeError as error:
            raise Refusal(HTTPStatus.BAD_GATEWAY, f"{subject}: {error}") from error


def viewer_pod(pods: Iterable[Mapping[str, Any]], *, experiment_uid: str) -> str | None:
    """Return the name of the newest driver's pod that an Experiment controls and whose viewer runs; None without one."""
    names = [
        pod["metadata"]["name"]
        for pod in pods
        if _is_controlled(pod, experiment_uid) and _has_running_viewer(Pod.from_api(pod))
    ]
    return max(names, key=lambda name: driver_number(name) or 0, default=None)


def _is_controlled(pod: Mapping[str, Any], uid: str) -> bool:
    owners = pod["metadata"].get("ownerReferences") or []
    return any(owner.get("controller") and owner.get("uid") == uid for owner in owners)


def _has_running_viewer(pod: Pod) -> bool:
    is_driver = pod.role == DRIVER and driver_number(pod.name) is not None
    return is_driver and pod.has_viewer and not pod.deleting
