"""A namespace with Experiments, and a simulated driver: there are no nodes, so no real driver ever runs."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any

from cluster.client import Cluster
from cluster.helm import Helm
from sparksweep_core.api import limits
from sparksweep_core.validation.reading import VERSION_ANNOTATION
from support.control_plane.kube_api import Document, KubeApi, Refused

EXPERIMENT_LABEL = "sparksweep.dev/experiment"
ROLE = "sparksweep.dev/role"
OURS = ("experiments", "trialbatches", "pods", "configmaps", "services", "secrets")
STATES = ("pending", "running", "succeeded", "failed", "stopped")
FINISHED = ("Succeeded", "Failed", "Stopped")

PLACEHOLDER = "namespace-of-the-lab"

RUNNING: Document = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
"""State of a container that runs."""

SOURCE = "def training(x):\n    return x\n"


def experiment(
    name: str = "digits",
    *,
    trials: int = 3,
    template: dict[str, Any] | None = None,
    goal: float | None = None,
    **spec: Any,
) -> Document:
    """Return a grid over the integers from 1 to `trials`."""
    objective = {"type": "maximize", "objectiveMetricName": "score"}
    return {
        "apiVersion": "sparksweep.dev/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": name},
        "spec": {
            "objective": objective | ({} if goal is None else {"goal": goal}),
            "algorithm": {"algorithmName": "grid"},
            "parallelTrialCount": 2,
            "parameters": [
                {
                    "name": "x",
                    "parameterType": "int",
                    "feasibleSpace": {"min": "1", "max": str(trials)},
                }
            ],
            "trialTemplate": {
                "function": "train:training",
                "source": {"inline": SOURCE},
                **(template or {}),
            },
            **spec,
        },
    }


@cache
def _driver_rights(helm: Helm) -> str:
    """Return the objects that the chart renders for drivers in the namespace `PLACEHOLDER`, as JSON."""
    values = {"watchNamespaces": [PLACEHOLDER]}
    return json.dumps(helm.template(only="driver-rbac.yaml", values=values))


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def wait_for(
    condition: Callable[[], Any],
    what: str,
    *,
    timeout_s: float = 30,
    state: Callable[[], object] = str,
) -> Any:
    """Wait until `condition` returns a true value; return it."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what}\n{state()}")
        time.sleep(0.05)


class Lab:
    """A namespace, its Experiments and their simulated drivers."""

    def __init__(self, cluster: Cluster, helm: Helm, name: str) -> None:
        self.cluster = cluster
        self.name = name
        self.api = KubeApi(cluster.kubeconfig, name)
        cluster.apply(json.loads(_driver_rights(helm).replace(PLACEHOLDER, name)))
        self._finished: dict[str, int] = {}
        self.began = self.api.version("experiments")
        self.audit_from = cluster.audit_size() if cluster.layout else 0

    def close(self) -> None:
        self.api.close()
        if "driver_api" in self.__dict__:
            self.driver_api.close()

    @cached_property
    def driver_api(self) -> KubeApi:
        """A client with the rights of a driver."""
        return KubeApi(self.cluster.kubeconfig_as("sparksweep-driver", self.name), self.name)

    # ------------------------------------------------------------------ looking

    def apply(self, document: Document) -> None:
        self.cluster.apply(document, self.name)

    def kubectl(self, *arguments: str) -> str:
        return self.cluster.kubectl("--namespace", self.name, *arguments)

    def create(self, **arguments: Any) -> Document:
        return self.api.create("experiments", experiment(**arguments))

    def change(self, name: str = "digits", **spec: Any) -> None:
        self.api.patch("experiments", name, {"spec": spec})

    def status(self, name: str = "digits") -> Document:
        status: Document = self.api.get("experiments", name).get("status", {})
        return status

    def condition(self, kind: str, name: str = "digits") -> Document:
        for condition in self.status(name).get("conditions", []):
            if condition["type"] == kind:
                found: Document = condition
                return found
        return {"status": None, "reason": None, "message": ""}

    def batches(self, name: str = "digits") -> list[Document]:
        batches = self.api.items("trialbatches", f"{EXPERIMENT_LABEL}={name}")
        return sorted(batches, key=lambda batch: batch["spec"]["index"])

    def drivers(self, name: str = "digits") -> list[Document]:
        """Return the driver pods that are not being deleted, the newest last."""
        selector = f"{EXPERIMENT_LABEL}={name},{ROLE}=driver"
        pods = self.api.items("pods", selector)
        pods = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return sorted(pods, key=lambda pod: int(pod["metadata"]["name"].rpartition("-")[2]))

    def driver_names(self, name: str = "digits") -> list[str]:
        return [pod["metadata"]["name"] for pod in self.drivers(name)]

    def events(self, name: str = "digits") -> list[tuple[str, str]]:
        """Return reason and message of each event, in the order of their times."""
        events = [item for item in self.api.items("events") if item["involvedObject"].get("name") == name]  # fmt: skip
        events = [item for item in events if item["involvedObject"]["kind"] == "Experiment"]
        return [(item["reason"], item["message"]) for item in sorted(events, key=lambda item: item["lastTimestamp"])]  # fmt: skip

    def left(self) -> list[str]:
        """Return the paths of our objects that still exist."""
        return [
            f"{kind}/{item['metadata']['name']}"
            for kind in OURS
            for item in self.api.items(kind)
            if item["metadata"]["name"] != "kube-root-ca.crt"
        ]

    def state(self) -> str:
        """Describe the objects, for a failure's message."""
        statuses = {item["metadata"]["name"]: item.get("status") for item in self.api.items("experiments")}  # fmt: skip
        return "\n".join(
            [self.kubectl("get", "swx,swb,pods,configmaps", "-o", "wide"), json.dumps(statuses, indent=1), *map(str, self.api.items("events")[-5:])]
        )  # fmt: skip

    def writes(self, agent: str = "sparksweep-operator", since: int | None = None) -> list[Document]:  # fmt: skip
        """Return the operator's writes in this namespace from the audit log, without dry runs."""
        return [
            entry
            for entry in self.cluster.audit(self.audit_from if since is None else since)
            if entry["verb"] in ("create", "update", "patch", "delete")
            and entry.get("objectRef", {}).get("namespace") == self.name
            and entry.get("userAgent") == agent
            and "dryRun" not in entry["requestURI"]
        ]

    # ------------------------------------------------------------------ waiting

    def wait(self, condition: Callable[[], Any], what: str, *, timeout_s: float = 30) -> Any:
        return wait_for(condition, what, timeout_s=timeout_s, state=self.state)

    def wait_for_driver(self, name: str = "digits", number: int = 0, timeout_s: float = 30) -> str:
        wanted = f"{name}-driver-{number}"
        self.wait(lambda: wanted in self.driver_names(name), f"{wanted} is made", timeout_s=timeout_s)  # fmt: skip
        return wanted

    def wait_for_condition(
        self,
        kind: str,
        status: str = "True",
        *,
        reason: str | None = None,
        message: str = "",
        name: str = "digits",
        timeout_s: float = 30,
    ) -> Document:
        def holds() -> Document | None:
            condition = self.condition(kind, name)
            same = condition["status"] == status and reason in (None, condition["reason"])
            return condition if same and message in condition["message"] else None

        what = f"{kind}={status} {reason or ''} {message}"
        condition: Document = self.wait(holds, what, timeout_s=timeout_s)
        return condition

    # ------------------------------------------------------------------ the driver's part

    def take_over(self, name: str = "digits") -> str:
        """Write the newest driver's name into the newest batch, as a driver does that has taken over."""
        driver = self.driver_names(name)[-1]
        batch = self.batches(name)[-1]
        self.report(batch, [], driver=driver)
        return driver

    def set_containers(self, pod: str, *, driver: Document, viewer: Document) -> None:
        """Write the states of the containers of a driver's pod, as the kubelet does."""
        common = {"image": "", "imageID": "", "lastState": {}, "ready": True, "restartCount": 0}
        states = (("driver", driver), ("viewer", viewer))
        statuses = [{"name": name, "state": state, **common} for name, state in states]
        status = {"phase": "Running", "containerStatuses": statuses}
        self.api.patch("pods", pod, {"status": status}, "status")

    def report(self, batch: Document, trials: list[Document], *, driver: str | None = None) -> None:
        """Add the states of some trials to a batch's status."""
        before = batch.get("status", {})
        statuses = {item["number"]: item for item in before.get("trials", [])}
        statuses |= {item["number"]: item for item in trials}
        states = [item["state"].lower() for item in statuses.values()]
        total = len(batch["spec"]["trials"])
        counts = {state: states.count(state) for state in STATES if state != "pending"}
        counts["pending"] = total - sum(counts.values())
        status = {
            "observedGeneration": batch["metadata"]["generation"],
            "driver": driver or before.get("driver"),
            "progress": f"{sum(item['state'] in FINISHED for item in statuses.values())}/{total}",
            "counts": {**counts, "created": total},
            "trials": sorted(statuses.values(), key=lambda item: item["number"]),
        }
        name = batch["metadata"]["name"]
        answer = self.driver_api.patch("trialbatches", name, {"status": status}, "status")
        batch.update(answer)

    def play(self, name: str = "digits", *, most: int | None = None) -> int:
        """Finish pending trials as the newest driver would; return their number."""
        drivers = self.drivers(name)
        if not drivers:
            return 0
        driver, played = drivers[-1]["metadata"]["name"], 0
        owner = drivers[-1]["metadata"]["ownerReferences"][0]["uid"]
        for batch in self._unfinished_batches(name, owner):
            finished = {item["number"] for item in batch.get("status", {}).get("trials", []) if item["state"] in FINISHED}  # fmt: skip
            waiting = [item for item in batch["spec"]["trials"] if item["number"] not in finished]
            stop = batch["spec"].get("stop")
            if stop:
                trials = [stopped(item["number"], stop) for item in waiting]
            else:
                room = math.inf if most is None else most - played
                chosen = [item for number, item in enumerate(waiting) if number < room]
                trials = [succeeded(item) for item in chosen]
            if trials:
                self.report(batch, trials, driver=driver)
                played += len(trials)
        return played

    def _unfinished_batches(self, name: str, owner: str) -> Iterator[Document]:
        """Iterate over the batches after those that are statuses to be finished: a large experiment has many."""
        index = self._finished.get(owner, 0)
        while batch := self.api.find("trialbatches", f"{name}-{index:05d}"):
            if batch["metadata"]["ownerReferences"][0]["uid"] == owner:
                ended = [item for item in batch.get("status", {}).get("trials", []) if item["state"] in FINISHED]  # fmt: skip
                if len(ended) < limits.BATCH_TRIALS:
                    yield batch
                elif self._finished.get(owner, 0) == index:
                    self._finished[owner] = index + 1
            index += 1

    def play_to_the_end(self, name: str = "digits", timeout_s: float = 40) -> Document:
        """Play until the experiment is finished; return its status."""

        def step() -> bool:
            if self.status(name).get("completionTime"):
                return True
            try:
                self.play(name)
            except Refused as error:
                # The operator was quicker: retry.
                if error.code not in (404, 409):
                    raise
            return False

        self.wait(step, f"{name} ends", timeout_s=timeout_s)
        return self.status(name)

    # ------------------------------------------------------------------ what must always hold

    def check_history(self) -> list[Document]:
        """Check every version of every status: counts add up, and finished trials stay finished."""
        versions: list[Document] = []
        ended: dict[str, int] = {}
        for event in self.api.history("experiments", self.began).events:
            body = event["object"]
            assert "finalizers" not in body["metadata"], body["metadata"]
            annotations = set(body["metadata"].get("annotations", {}))
            assert annotations <= {"kubectl.kubernetes.io/last-applied-configuration", VERSION_ANNOTATION}  # fmt: skip
            status = body.get("status")
            if not status:
                continue
            versions.append(body)
            counts = status["trials"]
            assert counts["created"] == sum(counts[state] for state in STATES), counts
            over = sum(counts[state] for state in ("succeeded", "failed", "stopped"))
            uid = body["metadata"]["uid"]
            assert over >= ended.get(uid, 0), "a finished trial is no longer finished"
            ended[uid] = over
        return versions


def succeeded(trial: Document) -> Document:
    return {
        "number": trial["number"],
        "state": "Succeeded",
        "attempt": 1,
        "metrics": {"score": float(trial["parameters"]["x"])},
        "reason": "Completed",
        "node": "node-1",
        "startTime": now(),
        "completionTime": now(),
        "durationSeconds": 0.01,
    }


def running(number: int) -> Document:
    return {"number": number, "state": "Running", "attempt": 1, "startTime": now()}


def failed(number: int, message: str = "ValueError: no") -> Document:
    return {
        "number": number,
        "state": "Failed",
        "attempt": 1,
        "reason": "Exception",
        "message": message,
        "startTime": now(),
        "completionTime": now(),
    }


def stopped(number: int, stop: Document) -> Document:
    return {
        "number": number,
        "state": "Stopped",
        "attempt": 0,
        "reason": stop["reason"],
        "message": stop.get("message", ""),
        "completionTime": now(),
    }
