"""The way to a viewer: through the gateway of the namespace, or to the driver's pod itself.

RBAC can name the gateway's pod, so ``sparksweep-edit`` may forward ports to it and to no other pod. Installations without a
gateway, and users who may forward ports to every pod, need none.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from sparksweep.errors import ClusterError, ClusterUnavailable, ExperimentNotFound, Forbidden
from sparksweep_core.contract.gateway import (
    GATEWAY_POD,
    HEAD_END,
    MAX_HEAD_BYTES,
    TENSORBOARD_SERVICE,
    VIEWER_SERVICE,
    connect_request,
    parse_status,
)
from sparksweep_core.contract.ports import GATEWAY_PORT, TENSORBOARD_PORT, VIEWER_PORT

if TYPE_CHECKING:
    from sparksweep._kube.sync_client import SyncClient

log = logging.getLogger(__name__)

SERVICES = {VIEWER_PORT: VIEWER_SERVICE, TENSORBOARD_PORT: TENSORBOARD_SERVICE}
_OK = 200


class Route:
    """Opens connections to the viewer and the TensorBoard of one Experiment."""

    def __init__(self, kubernetes: SyncClient, namespace: str, experiment: str) -> None:
        self._kubernetes = kubernetes
        self._namespace = namespace
        self._experiment = experiment
        self._no_gateway: ClusterError | None = None
        """Reason why the gateway can't be used; a later connection does not try again."""

    def connect(self, port: int, driver_pod: Callable[[], str]) -> socket.socket:
        """Open a connection to a port of the driver's pod.

        Args:
            port: `VIEWER_PORT` or `TENSORBOARD_PORT`.
            driver_pod: Returns the name of the driver's pod; called only where there is no gateway.

        Raises:
            Forbidden: The user may forward ports neither to the gateway nor to the driver's pod.
            ClusterError: There is nothing to connect to, or the API server refuses.
        """
        if self._no_gateway is None:
            opened = self._through_gateway(port)
            if opened is not None:
                return opened
        pod = driver_pod()
        try:
            return self._kubernetes.connect(self._namespace, pod, port)
        except Forbidden as error:
            raise Forbidden(
                f"the viewer of Experiment {self._experiment} can't be reached in namespace {self._namespace}: "
                f"{_reason(self._no_gateway)}, and you lack the right to create and get pods/portforward of pod {pod}; "
                f"the ClusterRole sparksweep-edit has that right for pod {GATEWAY_POD}"
            ) from error

    def _through_gateway(self, port: int) -> socket.socket | None:
        """Open a connection through the gateway; None if there is none that this user can use."""
        try:
            opened = self._kubernetes.connect(self._namespace, GATEWAY_POD, GATEWAY_PORT)
        except ClusterUnavailable as error:
            # Its pod is there and does not run; or the API server is away, and the next request says so.
            log.debug("the gateway does not answer: %s", error)
            return None
        except ClusterError as error:
            self._no_gateway = error
            return None
        try:
            opened.sendall(connect_request(self._experiment, SERVICES[port]))
            head = _read_head(opened)
            if not head:
                opened.close()
                log.debug("the gateway's pod does not listen yet")
                return None
            if parse_status(head) != _OK:
                raise ClusterError(_read_all(opened).decode(errors="replace").strip())
        except (OSError, ValueError) as error:
            opened.close()
            raise ClusterError(
                f"pod {GATEWAY_POD} in namespace {self._namespace}: {error}"
            ) from error
        except BaseException:
            opened.close()
            raise
        return opened


def _reason(error: ClusterError | None) -> str:
    if isinstance(error, Forbidden):
        return f"you lack the right to create and get pods/portforward of pod {GATEWAY_POD}"
    if isinstance(error, ExperimentNotFound):
        return f"there is no pod {GATEWAY_POD}, which the chart makes with viewer.enabled"
    return f"pod {GATEWAY_POD} does not answer"


def _read_head(opened: socket.socket) -> bytes:
    """Return a response's head; empty if the connection ended before it.

    Byte by byte: what follows belongs to the viewer.

    Raises:
        ValueError: The head does not end.
    """
    head = b""
    while not head.endswith(HEAD_END):
        byte = opened.recv(1)
        if not byte:
            return b""
        head += byte
        if len(head) > MAX_HEAD_BYTES:
            raise ValueError("it is no gateway: its response has no end")
    return head


def _read_all(opened: socket.socket) -> bytes:
    data = b""
    while len(data) < MAX_HEAD_BYTES and (more := opened.recv(MAX_HEAD_BYTES)):
        data += more
    return data
