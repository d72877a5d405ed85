"""Trials that try all they can against a real executor, driver and cluster, and exactly what they get."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from support.e2e import hostile_trial
from support.e2e.e2e_cluster import Namespace
from support.e2e.e2e_experiments import experiment

pytestmark = pytest.mark.nodes

TRIALS = 10
SHARED = {"name": "shared", "mountPath": "/shared", "persistentVolumeClaim": {"claimName": "shared"}}  # fmt: skip
SPEC = {
    "storage": {"persistentVolumeClaim": {"claimName": "shared"}},
    "maxFailedTrialCount": TRIALS,
}
READABLE = {"/etc/sparksweep/spark/spark-secret", "/proc/1/environ"}
"""Things that a trial may read of its application, by docs/security.md: Spark's secret and its executor's environment."""
MAY_READ = READABLE | {"/proc/1/mem"}
"""Its executor's memory, too, where the kernel lets a user's processes read each other's."""
WRITABLE = {"/tmp", "/var/lib/sparksweep", "/var/lib/sparksweep/trials"}
PORTS = {7078, 7079, 7780, 7782, 6006}
"""Ports of the driver's pod that docs/security.md names."""


def visible(namespace: Namespace) -> str:
    """Return all that Kubernetes' role `view` and `sparksweep-view` may read in a namespace."""
    kinds = "pods,configmaps,events,services,experiments.sparksweep.dev,trialbatches.sparksweep.dev,endpoints"
    texts = [namespace.kubectl("get", kinds, "-o", "json")]
    for pod in namespace.items("pods"):
        name = pod["metadata"]["name"]
        try:
            texts.append(namespace.kubectl("logs", name, "--all-containers"))
        except AssertionError:
            # An executor that has not started, or is gone.
            continue
    return "\n".join(texts)


def test_hostile_trials_get_what_the_page_on_security_says_and_nothing_else(
    namespace: Namespace, shared_volume: Path
) -> None:
    volume = shared_volume.parent
    source = Path(hostile_trial.__file__).read_text()
    namespace.apply(
        experiment(
            "hostile",
            trials=TRIALS,
            source=source,
            memory="1200Mi",
            template={"volumes": [SHARED], "maxRetries": 2},
            spec=SPEC,
        )
    )
    seen = ""

    def finished() -> bool:
        nonlocal seen
        # While it runs, too: executors go.
        seen += visible(namespace)
        return bool(namespace.status("hostile").get("completionTime"))

    namespace.wait_for(finished, "all trials have ended", timeout_s=300)
    found: dict[int, Any] = {
        int(path.stem.partition("-")[2]): json.loads(path.read_text())
        for path in volume.glob("found-*.json")
    }
    trials = namespace.trials("hostile")

    files = found[1]
    assert READABLE <= set(files["readable"]) <= MAY_READ
    assert set(files["writable"]) <= WRITABLE
    assert files["user"] != 0
    assert not [name for name in files["environment"] if "SECRET" in name or "TOKEN" in name]

    network = found[2]
    assert {network["secrets"], network["pods"], network["experiments"]} <= {401, 403}
    assert set(network["kubelet"]) <= {401, 403, "URLError", "TimeoutError", "ConnectionRefusedError"}  # fmt: skip
    assert network["metadata"] is False
    assert set(network["ports"]) <= PORTS
    for what in ("no token", "a wrong token", "Spark's secret as token"):
        assert network[what] == 401
    assert isinstance(network["in the clear"], str), "the trial server speaks plain HTTP"
    assert "hostile" not in network["metrics"]

    assert found[3], "no link was planted"
    assert found[4] == "sent", found[4]
    assert "filter status: REJECTED" in seen

    # With its slot's token, where the kernel lets it read that: nothing for any other trial. What has no token is refused.
    for code, text in found[10]:
        assert code in (401, 403) or (code, json.loads(text)) == (200, {"taken": False})

    # Everybody's trials are counted, once, with their own values.
    assert sorted(trials) == list(range(1, TRIALS + 1))
    for number, trial in trials.items():
        if number in (6, 7, 8):
            assert trial["attempt"] > 1 or trial["state"] == "Failed"
        else:
            assert trial["state"] == "Succeeded", trial
        if trial["state"] == "Succeeded":
            assert trial["metrics"]["score"] == float(number)
    assert namespace.status("hostile")["bestTrial"]["objective"] == TRIALS

    # The driver's token is nowhere in the claim.
    for path in volume.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert b"eyJhbGciOi" not in path.read_bytes(), path
    secrets = [
        base64.b64decode(item["data"]["spark-secret"])
        for item in namespace.items("secrets")
        if "spark-secret" in item.get("data", {})
    ]
    assert secrets
    for value in secrets:
        key = base64.b64encode(value).decode()
        for text in (key, value.hex(), base64.b64encode(key.encode()).decode()):
            assert text not in seen, "a viewer sees Spark's secret"
