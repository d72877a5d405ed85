"""A kubelet for drivers' pods: runs the driver of each pod in a thread, and writes the pod's status."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from sparksweep_core.contract.labels import DRIVER, ROLE_LABEL
from sparksweep_core.contract.names import DRIVER_CONTAINER
from support.control_plane.driver_threads import DriverThread, Script, settings_in
from support.control_plane.kube_api import Document, KubeApi, Refused
from support.control_plane.lab import now

INTERVAL_S = 0.1
EXIT_KILLED = 137


class RunningDriver(Protocol):
    """A driver that the kubelet has started."""

    @property
    def error(self) -> BaseException | None: ...

    @property
    def has_ended(self) -> bool: ...

    @property
    def exit_code(self) -> int: ...

    def lose_a_slot(self) -> None: ...

    def stop(self) -> None: ...


Start = Callable[[dict[str, str], str, Script], RunningDriver]
"""Starts a driver, given its pod's variables, the API server's URL, and the script of its trials."""


def start_thread(environment: dict[str, str], server: str, script: Script) -> DriverThread:
    """Start this version's driver in a thread."""
    return DriverThread(settings_in(environment, server), script)


class SimulatedKubelet:
    """Runs the drivers of one namespace until closed. A context manager.

    Args:
        api: the API server, for the kubelet itself.
        server: URL at which drivers reach the API server without credentials.
        script: returns the script of an experiment's trials by the Experiment's UID.
        start: starts a driver.
    """

    def __init__(
        self,
        api: KubeApi,
        server: str,
        script: Callable[[str], Script],
        *,
        start: Start = start_thread,
    ) -> None:
        self._api = api
        self.start = start
        self._server = server
        self._script = script
        self._drivers: dict[str, tuple[Document, RunningDriver]] = {}
        self._ended: set[str] = set()
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._directory = tempfile.TemporaryDirectory(prefix="sparksweep-test-")
        self.errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="kubelet", daemon=True)

    def __enter__(self) -> SimulatedKubelet:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.set()
        self._thread.join(60)
        for _, driver in self._drivers.values():
            driver.stop()
        self._directory.cleanup()

    @property
    def drivers(self) -> list[RunningDriver]:
        """The drivers that run."""
        with self._lock:
            return [driver for _, driver in self._drivers.values()]

    def kill(self, driver: RunningDriver) -> None:
        """End a driver as by SIGKILL, if its requests are cut off; its pod fails."""
        driver.stop()
        with self._lock:
            for uid, (pod, running) in list(self._drivers.items()):
                if running is driver:
                    self._note_end(uid, pod, EXIT_KILLED)

    # ------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closing.wait(INTERVAL_S):
            try:
                self._reconcile()
            except (Refused, OSError):
                # The API server is away, or the pod is gone: look again.
                continue
            except BaseException as error:
                self.errors.append(error)
                raise

    def _reconcile(self) -> None:
        pods = {pod["metadata"]["uid"]: pod for pod in self._api.items("pods", f"{ROLE_LABEL}={DRIVER}")}  # fmt: skip
        with self._lock:
            for uid, pod in pods.items():
                deleting = "deletionTimestamp" in pod["metadata"]
                if uid not in self._drivers and uid not in self._ended and not deleting:
                    self._start(uid, pod)
            for uid, (pod, driver) in list(self._drivers.items()):
                current = pods.get(uid)
                if current is None or "deletionTimestamp" in current["metadata"]:
                    driver.stop()
                if driver.has_ended:
                    assert driver.error is None, driver.error
                    self._note_end(uid, pod, driver.exit_code)

    def _start(self, uid: str, pod: Document) -> None:
        environment = self._environment(pod)
        owner = pod["metadata"]["ownerReferences"][0]["uid"]
        self._write_status(pod, "Running", {"running": {"startedAt": now()}})
        self._drivers[uid] = pod, self.start(environment, self._server, self._script(owner))

    def _note_end(self, uid: str, pod: Document, code: int) -> None:
        del self._drivers[uid]
        self._ended.add(uid)
        state = {"exitCode": code, "reason": "Error" if code else "Completed", "finishedAt": now()}
        try:
            self._write_status(pod, "Failed" if code else "Succeeded", {"terminated": state})
        except Refused as error:
            if error.code != 404:
                raise

    def _write_status(self, pod: Document, phase: str, state: Document) -> None:
        container = {
            "name": DRIVER_CONTAINER, "state": state, "ready": False, "restartCount": 0,
            "image": "none", "imageID": "none",
        }  # fmt: skip
        status = {"phase": phase, "containerStatuses": [container]}
        self._api.patch("pods", pod["metadata"]["name"], {"status": status}, "status")

    def _environment(self, pod: Document) -> dict[str, str]:
        """Return the variables that the driver has in its pod, with the files that they name."""
        directory = Path(self._directory.name, pod["metadata"]["uid"])
        directory.mkdir(exist_ok=True)
        volumes = {item["name"]: item for item in pod["spec"]["volumes"]}
        name = volumes["config"]["configMap"]["name"]
        for key, text in self._api.get("configmaps", name)["data"].items():
            (directory / key).write_text(text)
        environment = {"SPARKSWEEP_DRIVER_CONFIG": str(directory), "POD_IP": "127.0.0.1"}
        fields = {"metadata.name": pod["metadata"]["name"], "metadata.namespace": pod["metadata"]["namespace"]}  # fmt: skip
        container = next(item for item in pod["spec"]["containers"] if item["name"] == DRIVER_CONTAINER)  # fmt: skip
        for item in container["env"]:
            value = item.get("value") or fields.get(_field(item))
            if value is not None:
                environment.setdefault(item["name"], value)
        return environment | {"KUBERNETES_SERVICE_HOST": "none", "KUBERNETES_SERVICE_PORT": "1"}


def _field(item: dict[str, Any]) -> str:
    path: str = item.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", "")
    return path
