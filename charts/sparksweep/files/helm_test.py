"""Program of ``helm test``: create a suspended Experiment and wait for the operator's status. No trial starts."""

from __future__ import annotations

import os
import time
from typing import Any

from kubernetes import client, config

NAMESPACE = os.environ["TEST_NAMESPACE"]
NAME = os.environ["TEST_NAME"]
PLACE = {
    "group": "sparksweep.dev",
    "version": "v1alpha1",
    "namespace": NAMESPACE,
    "plural": "experiments",
}
PATIENCE_S = 60

EXPERIMENT: dict[str, Any] = {
    "apiVersion": "sparksweep.dev/v1alpha1",
    "kind": "Experiment",
    "metadata": {"name": NAME},
    "spec": {
        "suspend": True,
        "objective": {"type": "minimize", "objectiveMetricName": "loss"},
        "algorithm": {"algorithmName": "grid"},
        "parameters": [
            {"name": "x", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "2"}}
        ],
        "trialTemplate": {
            "function": "train:training",
            "source": {"inline": "def training(x):\n    return x\n"},
        },
    },
}


def main() -> None:
    """Create an Experiment, wait for its condition `Suspended`, and delete it; exit with an error if it does not come."""
    config.load_incluster_config()
    api = client.CustomObjectsApi()
    refuse_nonsense(api)
    api.create_namespaced_custom_object(**PLACE, body=EXPERIMENT)
    try:
        print(f"{NAMESPACE}/{NAME}: created; waiting for the operator", flush=True)
        reason = wait_for_condition(api)
        print(f"{NAMESPACE}/{NAME}: the operator reports {reason}", flush=True)
    finally:
        api.delete_namespaced_custom_object(**PLACE, name=NAME)


def refuse_nonsense(api: client.CustomObjectsApi) -> None:
    """Check that the API server validates Experiments by the CRD's rules."""
    spec = {**EXPERIMENT["spec"], "parallelTrialCount": 0}
    try:
        api.create_namespaced_custom_object(
            **PLACE, body={**EXPERIMENT, "spec": spec}, dry_run="All"
        )
    except client.ApiException as error:
        if error.status == 422:
            return
        raise
    raise SystemExit("an Experiment with no parallel trial is not refused: are the CRDs current?")


def wait_for_condition(api: client.CustomObjectsApi) -> str:
    """Return the reason of the condition `Suspended`, once the operator has written it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        status = api.get_namespaced_custom_object(**PLACE, name=NAME).get("status", {})
        for condition in status.get("conditions", []):
            if condition["type"] == "Suspended" and condition["status"] == "True":
                return str(condition["reason"])
        time.sleep(0.5)
    raise SystemExit(f"the operator set no status within {PATIENCE_S} s: see its log")


if __name__ == "__main__":
    main()
