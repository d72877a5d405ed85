"""A cluster with the operator, for the end-to-end tests: apply, wait, read, count."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import urllib3
import yaml

from cluster.client import Cluster, KubectlError
from cluster.faults import Faults
from cluster.helm import CHART, Helm, value_flags
from sparksweep_core.contract.gateway import GATEWAY_NAME, GATEWAY_POD
from support.control_plane.kube_api import KubeApi, Refused

EXPERIMENT_LABEL = "sparksweep.dev/experiment"
OURS = (
    "experiments",
    "trialbatches",
    "pods",
    "configmaps",
    "services",
)
STATES = ("pending", "running", "succeeded", "failed", "stopped")
FINISHED = ("Succeeded", "Failed", "Stopped")
POLL_S = 0.2

SYSTEM = "sparksweep-system"
OPERATOR = ("-n", SYSTEM)
RELEASE = "sparksweep"
IMAGES = {"image.tag": "dev", "trainer.image.tag": "dev"}
REPOSITORY = Path(__file__).parents[3]


class Installed:
    """A cluster with the CRDs and the operator.

    Attributes:
        audit_from: Where the audit log was when the first worker's tests began.
    """

    def __init__(self, cluster: Cluster, helm: Helm, *, audit_from: int) -> None:
        self.cluster = cluster
        self.helm = helm
        self.kubectl = cluster.kubectl
        self.audit = cluster.audit
        self.audit_from = audit_from

    @property
    def faults(self) -> Faults:
        """Faults of its parts; the test is skipped on a foreign cluster."""
        return self.cluster.faults

    def install(self) -> None:
        """Install or upgrade the chart of this checkout, in a namespace of the strictest profile."""
        self.cluster.apply(restricted_namespace(SYSTEM))
        before = self.operator_pods()
        self.upgrade()
        if before:
            # Another image by the same name is no change that Helm would see.
            self.kubectl(*OPERATOR, "rollout", "restart", "deployment/sparksweep-operator")
        self.wait_for_operator()

    def upgrade(self, values: dict[str, Any] | None = None) -> None:
        """Upgrade the chart with these values in addition to those of all tests."""
        # Kinds that a test or an earlier installation has left become the release's.
        taken = ("--take-ownership", "--force-conflicts")
        flags = value_flags({**IMAGES, **(values or {})})
        self.helm.run(
            "upgrade", "--install", RELEASE, str(CHART), *OPERATOR, *taken, "--wait", *flags
        )

    def wait_for_operator(self) -> None:
        self.kubectl(
            *OPERATOR,
            "rollout",
            "status",
            "deployment/sparksweep-operator",
            "--timeout=120s",
            timeout_s=130,
        )

    def operator_pods(self) -> list[dict[str, Any]]:
        listed = json.loads(
            self.kubectl(
                *OPERATOR,
                "get",
                "pods",
                "-l",
                f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=operator",
                "-o",
                "json",
            )
        )
        pods: list[dict[str, Any]] = listed["items"]
        return pods

    def scale_operator(self, replicas: int) -> None:
        """Set the operator's number of replicas; 0 stops it."""
        self.kubectl(*OPERATOR, "scale", "deployment/sparksweep-operator", f"--replicas={replicas}")
        if replicas:
            self.wait_for_operator()
            return
        deadline = time.monotonic() + 60
        while self.operator_pods():
            assert time.monotonic() < deadline, "the operator does not end"
            time.sleep(0.5)

    def make_namespace(self, name: str) -> Namespace:
        """Create a namespace for Experiments, under Pod Security's strictest profile."""
        self.cluster.apply(restricted_namespace(name))
        account = self.helm.template(only="driver-rbac.yaml", values={"driver.namespaces": [name]})
        self.cluster.apply([item for item in account if item["kind"] != "ClusterRole"])
        return Namespace(self, name)


def restricted_namespace(name: str) -> dict[str, Any]:
    """Return a namespace under Pod Security's strictest profile."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


class Namespace:
    """A namespace of a cluster, for Experiments.

    What tests wait for is asked without kubectl, whose start costs what a hundred requests do.
    """

    def __init__(self, cluster: Installed, name: str) -> None:
        self.cluster = cluster
        self.name = name
        self._api = KubeApi(cluster.cluster.kubeconfig, name, waits_for_connection=False)

    def close(self) -> None:
        """Close its connections to the API server."""
        self._api.close()

    # ------------------------------------------------------------------ objects

    def kubectl(self, *arguments: str, input: str | None = None, timeout_s: float = 60) -> str:
        return self.cluster.kubectl("-n", self.name, *arguments, input=input, timeout_s=timeout_s)

    def apply(self, document: Any) -> None:
        text = document if isinstance(document, str) else yaml.safe_dump(document)
        self.kubectl("apply", "-f", "-", input=text)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return self._api.get(kind, name)

    def items(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        return self._api.items(kind, selector)

    def status(self, experiment: str) -> dict[str, Any]:
        status: dict[str, Any] = self.get("experiments", experiment).get("status", {})
        return status

    def condition(self, experiment: str, kind: str) -> dict[str, Any]:
        for condition in self.status(experiment).get("conditions", []):
            if condition["type"] == kind:
                return dict(condition)
        return {}

    def trials(self, experiment: str) -> dict[int, dict[str, Any]]:
        """Return every trial by number, its spec and status in one."""
        trials: dict[int, dict[str, Any]] = {}
        for batch in self.items("trialbatches", f"{EXPERIMENT_LABEL}={experiment}"):
            known = {t["number"]: t for t in batch.get("status", {}).get("trials", [])}
            for spec in batch["spec"]["trials"]:
                number = spec["number"]
                assert number not in trials, f"trial {number} is in two batches"
                trials[number] = {"state": "Pending", **spec, **known.get(number, {})}
        return trials

    def pods(self, experiment: str, role: str) -> list[dict[str, Any]]:
        return self.items("pods", f"{EXPERIMENT_LABEL}={experiment},sparksweep.dev/role={role}")

    def running(self, experiment: str, role: str) -> list[str]:
        """Return the names of pods that are not being deleted and whose driver or executor container runs."""
        return [
            pod["metadata"]["name"]
            for pod in self.pods(experiment, role)
            if "deletionTimestamp" not in pod["metadata"]
            and any(
                item["name"] == role and "running" in item["state"]
                for item in pod["status"].get("containerStatuses", [])
            )
        ]

    def logs(self, pod: str) -> str:
        """Return the output of its container; empty while it has not started."""
        try:
            return self.kubectl("logs", pod)
        except KubectlError:
            return ""

    def ended(self, experiment: str) -> int:
        return sum(trial["state"] in FINISHED for trial in self.trials(experiment).values())

    # ------------------------------------------------------------------ waiting

    def wait_for(self, condition: Callable[[], Any], what: str, *, timeout_s: float = 120) -> Any:
        """Wait until `condition` returns a true value; return it."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = condition()
            if found:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout_s:g} s: {what}\n{self.describe()}")
            time.sleep(POLL_S)

    def wait_until_finished(self, experiment: str, *, timeout_s: float = 240) -> dict[str, Any]:
        """Wait for Complete or Failed; return the status."""
        self.wait_for(
            lambda: self.status(experiment).get("completionTime"),
            f"{experiment} ends",
            timeout_s=timeout_s,
        )
        return self.status(experiment)

    def describe(self) -> str:
        """Describe the objects, for a failure's message."""
        texts = [self.kubectl("get", "swx,swb,pods", "-o", "wide")]
        texts += [json.dumps(item.get("status"), indent=1) for item in self.items("experiments")]
        for pod in self.items("pods", EXPERIMENT_LABEL):
            name = pod["metadata"]["name"]
            try:
                log = self.kubectl("logs", name, "--tail", "25")
            except KubectlError as error:
                log = str(error)
            texts.append(f"--- {name}\n{log}")
        return "\n".join(texts)

    # ------------------------------------------------------------------ what must always hold

    @contextmanager
    def watched(self, experiment: str) -> Iterator[list[dict[str, Any]]]:
        """Read the Experiment's status repeatedly; in every version the counts add up and only grow."""
        seen: list[dict[str, Any]] = []
        over = Event()

        def look() -> None:
            while not over.wait(POLL_S):
                try:
                    status = self.status(experiment)
                except (Refused, urllib3.exceptions.HTTPError):
                    continue
                if not seen or status != seen[-1]:
                    seen.append(status)

        thread = Thread(target=look, daemon=True)
        thread.start()
        try:
            yield seen
        finally:
            over.set()
            thread.join()
        ended_before = 0
        for status in seen:
            counts = status.get("trials")
            if counts:
                assert counts["created"] == sum(counts[state] for state in STATES), counts
                ended = sum(counts[state] for state in ("succeeded", "failed", "stopped"))
                assert ended >= ended_before, "a finished trial is no longer finished"
                ended_before = ended

    def assert_complete(self, experiment: str, *, trials: int) -> dict[str, Any]:
        """Assert that every trial succeeded once, and that the best is that of an undisturbed run; return the status."""
        status = self.status(experiment)
        assert self.condition(experiment, "Complete").get("status") == "True", self.describe()
        counts = status["trials"]
        assert (counts["created"], counts["succeeded"]) == (trials, trials), counts
        assert status["bestTrial"]["parameters"] == {"x": str(min(7, trials))}
        found = self.trials(experiment)
        assert sorted(found) == list(range(1, trials + 1))
        assert {trial["state"] for trial in found.values()} == {"Succeeded"}
        return status

    def left(self) -> list[str]:
        """Return the objects of Experiments that are left in the namespace."""
        names = [f"{kind}/{item['metadata']['name']}" for kind in OURS for item in self.items(kind)]
        return [
            name
            for name in names
            if name not in ("configmaps/kube-root-ca.crt", f"pods/{GATEWAY_POD}")
        ]

    # ------------------------------------------------------------------ users

    def add_gateway(self) -> None:
        """Add the gateway to the viewers, as the chart does."""
        values = {**IMAGES, "driver.namespaces": [self.name]}
        self.cluster.cluster.apply(self.cluster.helm.template(only="viewer.yaml", values=values))
        self.kubectl(
            "rollout",
            "status",
            f"statefulset/{GATEWAY_NAME}",
            "--timeout=120s",
            timeout_s=130,
        )

    def kubeconfig_of_an_editor(self) -> Path:
        """Return the kubeconfig of a user who has ``sparksweep-edit`` in this namespace, and nothing else."""
        self.kubectl("create", "serviceaccount", "editor")
        role = (f"--clusterrole={RELEASE}-edit", f"--serviceaccount={self.name}:editor")
        self.kubectl("create", "rolebinding", "editor", *role)
        return self.cluster.cluster.kubeconfig_as("editor", self.name)
