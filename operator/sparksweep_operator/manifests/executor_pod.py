"""Pod template of an Experiment's executors: all their properties that are no Spark settings."""

from __future__ import annotations

from typing import Any

from sparksweep_core.api import Experiment
from sparksweep_core.api.quantities import memory_bytes
from sparksweep_core.contract.directories import (
    CODE_DIRECTORY,
    DATA_DIRECTORY,
    SPARK_SECRET_DIRECTORY,
)
from sparksweep_core.contract.environment import CLEARED_ENV, CODE_SEAL_ENV
from sparksweep_core.contract.labels import EXECUTOR
from sparksweep_core.contract.names import EXECUTOR_CONTAINER, SPARK_SECRET_VOLUME
from sparksweep_operator.manifests.code import code_seal, code_volume
from sparksweep_operator.manifests.names import labels
from sparksweep_operator.manifests.security import (
    CONTAINER_SECURITY,
    common_pod_spec,
)
from sparksweep_operator.manifests.spark_secret import spark_secret_volume
from sparksweep_operator.settings import Settings

SECRET_OF_THE_DRIVER = "set-by-the-driver"
"""Stands for the name of the Secret with Spark's secret."""
CLEARED = ("/tmp", "/dev/shm", DATA_DIRECTORY)
"""All directories that a trial can write to and that are no volumes of the user's."""
LOST_AFTER_S = 60
"""Seconds that an executor's node may be unreachable; equal to Spark's time-out for heartbeats."""


def executor_pod(experiment: Experiment) -> dict[str, Any]:
    """Return the pod template; Spark adds image, memory, CPU, environment and the driver as owner.

    One template serves all drivers of the Experiment, so each of them replaces the name of the Secret with Spark's secret
    by its own (`sparksweep_trainer.kubernetes.executor_template`).
    """
    template = experiment.spec.trial_template
    spec: dict[str, Any] = {
        **common_pod_spec(template, lost_after_s=LOST_AFTER_S),
        # Spark assigns the driver's account to executors that name none. Without a token this one has no rights.
        "serviceAccountName": "default",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 5,
        "nodeSelector": dict(template.node_selector),
        "containers": [_container(experiment)],
        "volumes": _volumes(experiment),
    }
    if template.affinity is not None:
        spec["affinity"] = template.affinity.to_dict()
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"labels": labels(experiment, EXECUTOR)},
        "spec": spec,
    }


def executor_probe(experiment: Experiment, settings: Settings) -> dict[str, Any]:
    """Return a copy of an executor's pod for a dry run, which surfaces quota and admission errors that Spark only logs."""
    pod = executor_pod(experiment)
    template = experiment.spec.trial_template
    memory = str(memory_bytes(template.resources.memory) // 2**20 * 2**20)
    container = pod["spec"]["containers"][0]
    container["image"] = template.image or settings.trainer_image
    resources = container.setdefault("resources", {})
    resources["requests"] = {"cpu": template.resources.cpu, "memory": memory}
    resources.setdefault("limits", {})["memory"] = memory
    pod["metadata"] |= {
        "generateName": f"{experiment.metadata.name}-probe-",
        "namespace": experiment.metadata.namespace,
    }
    return pod


def _container(experiment: Experiment) -> dict[str, Any]:
    template = experiment.spec.trial_template
    container: dict[str, Any] = {
        "name": EXECUTOR_CONTAINER,
        "securityContext": CONTAINER_SECURITY,
        "env": [
            *(item.to_dict() for item in template.env),
            {"name": CLEARED_ENV, "value": ":".join(CLEARED)},
        ],
        "volumeMounts": [
            {"name": "sparksweep-scratch", "mountPath": "/tmp"},
            {"name": "sparksweep-data", "mountPath": DATA_DIRECTORY},
            {"name": SPARK_SECRET_VOLUME, "mountPath": SPARK_SECRET_DIRECTORY, "readOnly": True},
        ],
    }
    if template.source is not None:
        container["volumeMounts"].append(
            {"name": "sparksweep-code", "mountPath": CODE_DIRECTORY, "readOnly": True}
        )
    seal = code_seal(experiment)
    if seal is not None:
        container["env"].append({"name": CODE_SEAL_ENV, "value": seal.to_json()})
    for volume in template.volumes:
        mount = {"name": volume.name, "mountPath": volume.mount_path, "readOnly": volume.read_only}
        if volume.sub_path is not None:
            mount["subPath"] = volume.sub_path
        container["volumeMounts"].append(mount)
    gpu = template.resources.gpu
    if gpu.count:
        # In the template and not in Spark's settings: with one trial for each executor Spark need not count GPUs, and
        # its discovery of devices would keep an executor from registering.
        container["resources"] = {"limits": {gpu.resource_name: str(gpu.count)}}
    return container


def _volumes(experiment: Experiment) -> list[dict[str, Any]]:
    template = experiment.spec.trial_template
    volumes: list[dict[str, Any]] = [
        {"name": "sparksweep-scratch", "emptyDir": {}},
        {"name": "sparksweep-data", "emptyDir": {}},
        spark_secret_volume(SECRET_OF_THE_DRIVER),
    ]
    code = code_volume(experiment)
    if code is not None:
        volumes.append({"name": "sparksweep-code", "configMap": code})
    sources = ("persistentVolumeClaim", "configMap", "secret", "emptyDir")
    for volume in template.volumes:
        described = volume.to_dict()
        volumes.append(
            {"name": volume.name}
            | {source: described[source] for source in sources if source in described}
        )
    return volumes
