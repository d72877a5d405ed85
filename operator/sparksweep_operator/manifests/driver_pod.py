"""The driver's pod: Spark's driver in client mode, the trial server, and the writer of the batches' statuses."""

from __future__ import annotations

from typing import Any

from sparksweep.api import Experiment
from sparksweep_operator.manifests.names import (
    CONFIG_DIRECTORY,
    DATA_DIRECTORY,
    DRIVER,
    driver_config_name,
    driver_name,
    executor_prefix,
    owned_metadata,
)
from sparksweep_operator.manifests.security import (
    CONTAINER_SECURITY,
    common_pod_spec,
)
from sparksweep_operator.settings import Settings

METRICS_PORT = 7782
"""Where a driver serves its metrics: the trainer's constant, which the operator can't import."""
GRACE_S = 15
"""Seconds that a driver has to stop Spark, and with it to give its executors back."""
LOST_AFTER_S = 30
"""Seconds that its node may be unreachable before another driver takes over."""


def driver_pod(experiment: Experiment, number: int, settings: Settings) -> dict[str, Any]:
    """The driver's pod. It runs no user code, so it needs neither the trial's image nor its GPUs or volumes."""
    name = experiment.metadata.name
    template = experiment.spec.trial_template
    spec: dict[str, Any] = {
        **common_pod_spec(template, lost_after_s=LOST_AFTER_S),
        # Another driver takes over rather than this one starting again: the operator counts and paces them.
        "restartPolicy": "Never",
        "serviceAccountName": settings.driver_service_account,
        "terminationGracePeriodSeconds": GRACE_S,
        "containers": [
            {
                "name": DRIVER,
                "image": settings.trainer_image,
                "imagePullPolicy": settings.image_pull_policy,
                "args": ["driver"],
                "ports": [{"name": "metrics", "containerPort": METRICS_PORT}],
                "env": [
                    _from_field("POD_NAME", "metadata.name"),
                    _from_field("POD_NAMESPACE", "metadata.namespace"),
                    _from_field("POD_IP", "status.podIP"),
                    {"name": "EXECUTOR_PREFIX", "value": executor_prefix(name, number)},
                ],
                "resources": {
                    "requests": {"cpu": settings.driver_cpu, "memory": settings.driver_memory},
                    "limits": {"memory": settings.driver_memory},
                },
                "securityContext": CONTAINER_SECURITY,
                "volumeMounts": [
                    {"name": "config", "mountPath": CONFIG_DIRECTORY, "readOnly": True},
                    {"name": "scratch", "mountPath": "/tmp"},
                    {"name": "data", "mountPath": DATA_DIRECTORY},
                ],
            }
        ],
        "volumes": [
            {"name": "config", "configMap": {"name": driver_config_name(name)}},
            {"name": "scratch", "emptyDir": {}},
            {"name": "data", "emptyDir": {}},
        ],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": owned_metadata(experiment, driver_name(name, number), DRIVER),
        "spec": spec,
    }


def _from_field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
