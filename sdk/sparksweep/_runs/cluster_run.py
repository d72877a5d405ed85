"""An Experiment on a cluster, as a `RunReader`: trials from the API server, files from the viewer in the driver's pod."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from sparksweep._kube.sync_client import SyncClient
from sparksweep._runs.reader import trial_file
from sparksweep.errors import ClusterError, ClusterUnavailable, ExperimentNotFound, Forbidden
from sparksweep_core.api import Experiment, Trial, TrialBatch, trials_of
from sparksweep_core.api.metadata import EXPERIMENT_LABEL, ROLE_LABEL
from sparksweep_core.api_server import errors as kube
from sparksweep_core.contract.viewer import FILES_PATH, VIEWER_CONTAINER, VIEWER_PORT

_DRIVER = re.compile(r"-driver-(\d+)$")
_EXECUTOR = re.compile(r"-(\d+)-exec-\d+$")

_ERRORS: dict[type[kube.KubeError], type[ClusterError]] = {
    kube.NotFound: ExperimentNotFound,
    kube.Forbidden: Forbidden,
    kube.Unavailable: ClusterUnavailable,
}


class ClusterRunReader:
    """An Experiment, by its name."""

    def __init__(self, kubernetes: SyncClient, name: str, namespace: str | None = None) -> None:
        """Look for it in a namespace, by default the current one; nothing is asked yet."""
        self._kubernetes = kubernetes
        self._name = name
        self._namespace = namespace or kubernetes.namespace
        self._home: dict[int, str] = {}
        self._pod: dict[str, Any] | None = None
        self._connection: _Forwarded | None = None
        self.title = f"Experiment {name} in namespace {self._namespace}"

    def experiment(self) -> Experiment:
        """See `RunReader`."""
        with self._translated():
            found = self._kubernetes.get("Experiment", self._namespace, self._name)
        return Experiment.model_validate_json(json.dumps(found))

    def trials(self) -> list[Trial]:
        """See `RunReader`."""
        return trials_of(self._batches())

    def trial(self, number: int) -> Trial | None:
        """See `RunReader`. Only its batch is read again."""
        home = self._home.get(number)
        if home is None:
            batches = self._batches()
        else:
            with self._translated():
                batches = [_batch(self._kubernetes.get("TrialBatch", self._namespace, home))]
        found = [batch for batch in batches if any(t.number == number for t in batch.spec.trials)]
        if not found:
            return None
        self._home[number] = found[0].metadata.name
        return next(trial for trial in trials_of(found) if trial.number == number)

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
            except (OSError, http.client.HTTPException, kube.KubeError) as error:
                # The pod may have been replaced meanwhile.
                self.close()
                if not again or isinstance(error, kube.Forbidden):
                    kind = _ERRORS.get(type(error), ClusterError)  # type: ignore[arg-type]
                    raise kind(f"the files of {self.title} can't be read: {error}") from error
        raise AssertionError("unreachable")

    def location(self, number: int) -> str:
        """See `RunReader`."""
        status = self.experiment().status
        where = status.results if status is not None else None
        return f"{where}/{trial_file(number, '')}".rstrip("/") if where else "none are kept"

    def absence(self, trial: Trial) -> str:
        """See `RunReader`."""
        pod = self._viewer()
        if pod is None:
            return "its files went with the driver's pod, or there is none yet"
        if self.experiment().spec.storage.persistent_volume_claim is not None:
            return ""
        ran, shows = _number(_EXECUTOR, trial.status.node or ""), _number(_DRIVER, _pod_name(pod))
        if ran is not None and shows is not None and ran < shows:
            return (
                f"it ran for an earlier driver than {_pod_name(pod)}, with whose pod its files went"
            )
        return ""

    def connect(self, port: int) -> socket.socket:
        """A connection to a port of the driver's pod.

        Raises:
            ClusterError: there is none that has a viewer, or the API server refuses.
        """
        # The pod may have been replaced since it was looked for.
        self._pod = None
        pod = self._viewer()
        if pod is None:
            raise ClusterError(f"{self.title} has no driver's pod with a viewer that runs")
        with self._translated():
            return self._kubernetes.connect(self._namespace, _pod_name(pod), port)

    def answers(self, port: int) -> bool:
        """Whether something speaks HTTP at a port of the driver's pod."""
        connection = _Forwarded(lambda: self.connect(port))
        try:
            connection.request("GET", "/")
            connection.getresponse()
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

    def _batches(self) -> list[TrialBatch]:
        labels = f"{EXPERIMENT_LABEL}={self._name}"
        with self._translated():
            found = self._kubernetes.find("TrialBatch", self._namespace, labels=labels)
        if not found:
            # There may be no such Experiment at all.
            self.experiment()
        return [_batch(body) for body in found]

    def _connected(self) -> _Forwarded | None:
        if self._connection is None:
            pod = self._viewer()
            if pod is None:
                return None
            name = _pod_name(pod)
            self._connection = _Forwarded(
                lambda: self._kubernetes.connect(self._namespace, name, VIEWER_PORT)
            )
        return self._connection

    def _viewer(self) -> dict[str, Any] | None:
        """The newest driver's pod with a viewer that runs."""
        if self._pod is None:
            labels = f"{EXPERIMENT_LABEL}={self._name},{ROLE_LABEL}=driver"
            with self._translated():
                pods = self._kubernetes.find("Pod", self._namespace, labels=labels)
            shown = [pod for pod in pods if _shows(pod)]
            shown.sort(key=lambda pod: _number(_DRIVER, _pod_name(pod)) or 0)
            self._pod = shown[-1] if shown else None
        return self._pod

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except kube.KubeError as error:
            raise _ERRORS.get(type(error), ClusterError)(f"{self.title}: {error}") from error


class _Forwarded(http.client.HTTPConnection):
    """HTTP over a forwarded port."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        super().__init__("viewer")
        self._connect_to = connect

    def connect(self) -> None:
        """Open the port."""
        self.sock = self._connect_to()


def _shows(pod: dict[str, Any]) -> bool:
    if "deletionTimestamp" in pod["metadata"]:
        return False
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return any(
        item["name"] == VIEWER_CONTAINER and "running" in (item.get("state") or {})
        for item in statuses
    )


def _pod_name(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["name"])


def _number(pattern: re.Pattern[str], name: str) -> int | None:
    match = pattern.search(name)
    return int(match[1]) if match else None


def _batch(body: dict[str, Any]) -> TrialBatch:
    return TrialBatch.model_validate_json(json.dumps(body))
