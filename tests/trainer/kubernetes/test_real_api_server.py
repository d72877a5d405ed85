"""The driver pod's process and its watch of executors against a real API server, with the rights that drivers have."""

from __future__ import annotations

import base64
import json
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.client import Cluster
from cluster.helm import Helm
from sparksweep_core.api import TrialReason
from sparksweep_core.api_server.errors import Forbidden, NotFound
from sparksweep_trainer.driver.slot_loss import Loss
from sparksweep_trainer.kubernetes.api_client import ApiClient, Endpoint, batches_path, pods_path
from sparksweep_trainer.kubernetes.executor_watch import ExecutorWatch, selector
from sparksweep_trainer.kubernetes.informer import Informer
from support.trainer.driver_process import DriverProcess
from support.trainer.fake_api_server import eventually
from support.trainer.trial_batches import EXPERIMENT, batch, name

Json = dict[str, Any]


class Pod:
    """The surroundings of a driver pod: its namespace, a token and the certificate authority."""

    def __init__(self, cluster: Cluster, helm: Helm, namespace: str, directory: Path) -> None:
        self.cluster = cluster
        self.namespace = namespace
        values = {"watchNamespaces": [namespace]}
        cluster.apply(helm.template(only="driver-rbac.yaml", values=values))
        config = json.loads(cluster.kubeconfig_as("sparksweep-driver", namespace).read_text())
        server = config["clusters"][0]["cluster"]
        self.endpoint = Endpoint(
            server=server["server"], token_file=directory / "token", ca_file=directory / "ca.crt"
        )
        (directory / "token").write_text(config["users"][0]["user"]["token"])
        (directory / "ca.crt").write_bytes(base64.b64decode(server["certificate-authority-data"]))

    @property
    def variables(self) -> dict[str, str]:
        return {
            "POD_NAMESPACE": self.namespace,
            "SPARKSWEEP_API_SERVER": self.endpoint.server,
            "SPARKSWEEP_API_TOKEN_FILE": str(self.endpoint.token_file),
            "SPARKSWEEP_API_CA_FILE": str(self.endpoint.ca_file),
        }

    def apply(self, item: Json) -> None:
        del item["metadata"]["namespace"]
        self.cluster.apply(item, self.namespace)

    def status(self, index: int = 0) -> Json:
        found: Json = self.cluster.get("trialbatch", name(index), self.namespace).get("status", {})
        return found


@pytest.fixture
def pod(control_plane: Cluster, helm: Helm, crds: None, namespace: str) -> Iterator[Pod]:
    with tempfile.TemporaryDirectory(prefix="sparksweep-test-") as directory:
        yield Pod(control_plane, helm, namespace, Path(directory))


@pytest.mark.spark
def test_the_driver_works_with_its_rights_and_outlives_the_api_server(pod: Pod) -> None:
    pod.apply(batch(0, range(1, 5), parallel=2))
    with (
        tempfile.TemporaryDirectory() as directory,
        DriverProcess(pod.variables, Path(directory), seconds=0.2) as driver,
    ):
        eventually(lambda: pod.status().get("driver") == "digits-driver-0", within_s=20)
        eventually(lambda: pod.status().get("progress") == "4/4", within_s=90)
        assert pod.status()["counts"]["succeeded"] == 4
        pod.apply(batch(1, range(5, 35), parallel=4))
        eventually(lambda: pod.status(1).get("counts", {}).get("succeeded", 0) >= 1, within_s=60)
        with pod.cluster.faults.killed("apiserver"):
            time.sleep(3)
        pod.apply(batch(2, range(35, 37), parallel=4))
        eventually(lambda: pod.status(1)["progress"] == "30/30", within_s=60)
        eventually(lambda: pod.status(2).get("progress") == "2/2", within_s=60)
        assert {trial["attempt"] for trial in pod.status(1)["trials"]} == {1}
        assert driver.end(signal.SIGTERM) == 0
        assert "Traceback" not in driver.log.read_text()


def test_executors_ends_are_seen_and_their_pods_removed(pod: Pod) -> None:
    lost: dict[str, Loss] = {}
    watch = ExecutorWatch(
        prefix="digits-3-exec-",
        driver_number=3,
        memory="1Gi",
        lose=lost.__setitem__,
        give_up=lambda _: None,
        has_registered=lambda _: True,
        monotonic=lambda: time.monotonic() * 100,
    )
    path = pods_path(pod.namespace)
    informer = Informer(pod.endpoint, path, watch, selector=selector(EXPERIMENT))
    stop = threading.Event()
    sweeping = threading.Thread(
        target=watch.run, args=(ApiClient(pod.endpoint), pod.namespace), kwargs={"stop": stop}
    )
    names = [f"digits-3-exec-{number}" for number in range(1, 4)]
    with ApiClient(pod.endpoint) as api:
        for pod_name in [*names, "digits-2-exec-1"]:
            api.request("POST", path, body=executor(pod_name))
        informer.start()
        sweeping.start()
        ended = {"reason": "OOMKilled", "exitCode": 137, "startedAt": None, "finishedAt": None}
        end(pod, names[0], ended)
        eventually(lambda: lost[names[0]].reason is TrialReason.OOM_KILLED if lost else False)
        api.request("DELETE", f"{path}/{names[1]}", query={"gracePeriodSeconds": "0"})
        eventually(lambda: names[1] in lost)
        eventually(lambda: left(api, path) == {names[2]}, within_s=15)
        api.request("DELETE", path, query={"labelSelector": "sparksweep.dev/experiment=digits"})
        eventually(lambda: left(api, path) == set())
        assert set(lost) == set(names)
        with pytest.raises(Forbidden):
            api.request("GET", f"/api/v1/namespaces/{pod.namespace}/secrets")
        with pytest.raises(NotFound):
            api.request("GET", batches_path(pod.namespace, "none"))
    stop.set()
    informer.close()
    sweeping.join(10)


def executor(pod_name: str) -> Json:
    labels = {"sparksweep.dev/experiment": EXPERIMENT, "sparksweep.dev/role": "executor"}
    container = {"name": "executor", "image": "none"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod_name, "labels": labels},
        "spec": {
            "containers": [container],
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
        },
    }


def left(api: ApiClient, path: str) -> set[str]:
    return {item["metadata"]["name"] for item in api.request("GET", path)["items"]}


def end(pod: Pod, pod_name: str, ended: Json) -> None:
    """Write the end of a container as the kubelet does."""
    container = {
        "name": "executor",
        "image": "none",
        "imageID": "none",
        "ready": False,
        "restartCount": 0,
    }
    status = {
        "phase": "Failed",
        "containerStatuses": [container | {"state": {"terminated": ended}}],
    }
    text = json.dumps({"status": status})
    pod.cluster.kubectl(
        "patch", "pod", pod_name, "-n", pod.namespace, "--subresource=status", "-p", text
    )
