"""The `RunReader` of an Experiment on a cluster: trials from the API server, files from the viewer in the driver's pod."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sparksweep._listing import Listing
from sparksweep._runs.gateway import Route
from sparksweep._runs.reader import trial_file
from sparksweep.errors import ClusterError, Forbidden
from sparksweep_core.api import Experiment, Trial, TrialBatch, trials_of
from sparksweep_core.contract.labels import DRIVER, experiment_selector, selector_text
from sparksweep_core.contract.names import VIEWER_CONTAINER, driver_number, executor_driver_number
from sparksweep_core.contract.ports import VIEWER_PORT
from sparksweep_core.contract.viewer import FILES_PATH

if TYPE_CHECKING:
    from sparksweep._kube.sync_client import SyncClient


class ClusterRunReader:
    """Reads an Experiment by its name."""

    def __init__(
        self,
        kubernetes: SyncClient,
        name: str,
        namespace: str | None = None,
        *,
        also_absent: str = "",
    ) -> None:
        """Read from a namespace, by default the client's; sends no request.

        Args:
            kubernetes: The client.
            name: The Experiment's name.
            namespace: Its namespace.
            also_absent: Says what else of that name there is not, at the beginning of errors until the Experiment is found.
        """
        self._also_absent = also_absent
        self._kubernetes = kubernetes
        self._name = name
        self._namespace = namespace or kubernetes.namespace
        self._batch_names: dict[int, str] = {}
        """By trial number the TrialBatch that holds the trial, as far as it was needed."""
        self._pod: dict[str, Any] | None = None
        self._connection: _Forwarded | None = None
        self._route = Route(kubernetes, self._namespace, name)
        self.title = f"Experiment {name} in namespace {self._namespace}"

    def experiment(self) -> Experiment:
        """See `RunReader`."""
        with self._explained():
            experiment = self._kubernetes.experiment(self._namespace, self._name)
        self._also_absent = ""
        return experiment

    def trials(self) -> Listing[Trial]:
        """See `RunReader`."""
        batches = self._batches()
        return Listing(trials_of(batches), batches.unreadable)

    def trial(self, number: int) -> Trial | None:
        """See `RunReader`. A second call for a trial reads its TrialBatch alone."""
        name = self._batch_names.get(number)
        if name is None:
            batches = self._batches()
        else:
            batches = Listing([self._kubernetes.batch(self._namespace, name)])
        for batch in batches:
            if any(trial.number == number for trial in batch.spec.trials):
                self._batch_names[number] = batch.metadata.name
                return next(trial for trial in trials_of([batch]) if trial.number == number)
        if batches.unreadable:
            # It may be in one of those.
            raise batches.unreadable[0]
        return None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Put in front of an error what else of that name there is not."""
        try:
            yield
        except ClusterError as error:
            if not self._also_absent:
                raise
            raise type(error)(f"{self._also_absent}, and {error}") from error

    def is_live(self) -> bool:
        """See `RunReader`."""
        status = self.experiment().status
        return status is None or status.completion_time is None

    def read(self, path: str, offset: int) -> bytes | None:
        """See `RunReader`."""
        target = f"{FILES_PATH}{quote(path)}?offset={offset}"
        for again in (True, False):
            connection = self._connected()
            if connection is None:
                return None
            try:
                connection.request("GET", target)
                answer = connection.getresponse()
                data = answer.read()
                return data if answer.status == http.client.OK else None
            except (OSError, http.client.HTTPException, ClusterError) as error:
                # The pod may have been replaced meanwhile.
                self.close()
                if not again or isinstance(error, Forbidden):
                    kind = type(error) if isinstance(error, ClusterError) else ClusterError
                    raise kind(f"the files of {self.title} can't be read: {error}") from error
        raise AssertionError("unreachable")

    def location(self, number: int) -> str:
        """See `RunReader`."""
        status = self.experiment().status
        where = status.results if status is not None else None
        return f"{where}/{trial_file(number, '')}".rstrip("/") if where else "not kept"

    def absence(self, trial: Trial) -> str:
        """See `RunReader`."""
        pod = self._viewer()
        if pod is None:
            return "its files were deleted with the driver's pod, or the pod has not started"
        if self.experiment().spec.storage.persistent_volume_claim is not None:
            return ""
        ran_for = executor_driver_number(trial.status.node or "")
        readable = driver_number(_pod_name(pod))
        if ran_for is not None and readable is not None and ran_for < readable:
            return f"it ran under an earlier driver than {_pod_name(pod)}, whose files were deleted with its pod"
        return ""

    def connect(self, port: int) -> socket.socket:
        """Open a connection to a port of the driver's pod.

        Raises:
            ClusterError: No driver's pod has a running viewer, or the API server refuses.
        """
        # The pod may have been replaced since the last request.
        self._pod = None
        return self._route.connect(port, self._driver_pod)

    def answers(self, port: int) -> bool:
        """Return whether an HTTP server answers at a port of the driver's pod.

        Raises:
            Forbidden: The user may not connect to it.
        """
        connection = _Forwarded(lambda: self.connect(port))
        try:
            connection.request("GET", "/")
            connection.getresponse()
        except Forbidden:
            # It does not pass by waiting.
            raise
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True

    def close(self) -> None:
        """Close the connection to the viewer; the next read opens another one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._pod = None

    def _batches(self) -> Listing[TrialBatch]:
        with self._explained():
            batches = self._kubernetes.batches(self._namespace, self._name)
        if not batches and not batches.unreadable:
            # Raises if the Experiment itself does not exist.
            self.experiment()
        return batches

    def _connected(self) -> _Forwarded | None:
        if self._connection is None:
            if self._viewer() is None:
                return None
            self._connection = _Forwarded(
                lambda: self._route.connect(VIEWER_PORT, self._driver_pod)
            )
        return self._connection

    def _driver_pod(self) -> str:
        pod = self._viewer()
        if pod is None:
            raise ClusterError(f"{self.title} has no driver pod with a running viewer")
        return _pod_name(pod)

    def _viewer(self) -> dict[str, Any] | None:
        """Return the newest driver's pod with a running viewer."""
        if self._pod is None:
            labels = selector_text(experiment_selector(self._name, DRIVER))
            pods = self._kubernetes.list_objects("Pod", self._namespace, labels=labels)
            readable = [pod for pod in pods if _has_running_viewer(pod)]
            readable.sort(key=lambda pod: driver_number(_pod_name(pod)) or 0)
            self._pod = readable[-1] if readable else None
        return self._pod


class _Forwarded(http.client.HTTPConnection):
    """HTTP over a forwarded port."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        super().__init__(VIEWER_CONTAINER)
        self._connect_to = connect

    def connect(self) -> None:
        """Open the port."""
        self.sock = self._connect_to()


def _has_running_viewer(pod: dict[str, Any]) -> bool:
    if "deletionTimestamp" in pod["metadata"]:
        return False
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return any(
        item["name"] == VIEWER_CONTAINER and "running" in (item.get("state") or {})
        for item in statuses
    )


def _pod_name(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["name"])
