"""Manifest of a driver's pod: Spark's driver in client mode with the trial server, and the viewer of the run directory."""

from __future__ import annotations

from typing import Any

from sparksweep_core.api import Experiment
from sparksweep_core.contract.directories import (
    ACCOUNT_DIRECTORY,
    CA_FILE,
    CONFIG_DIRECTORY,
    DATA_DIRECTORY,
    SPARK_SECRET_DIRECTORY,
    STORAGE_DIRECTORY,
    TERMINATION_LOG,
    TOKEN_FILE,
)
from sparksweep_core.contract.driver_config import DRIVER_GRACE_S
from sparksweep_core.contract.environment import (
    CONFIG_SEAL_ENV,
    EXECUTOR_PREFIX_ENV,
    POD_IP_ENV,
    POD_NAME_ENV,
    POD_NAMESPACE_ENV,
    RUN_DIRECTORY_ENV,
    SPARK_SECRET_ENV,
    TENSORBOARD_ENV,
    TERMINATION_LOG_ENV,
)
from sparksweep_core.contract.labels import DRIVER
from sparksweep_core.contract.names import (
    DRIVER_COMMAND,
    DRIVER_CONTAINER,
    SPARK_SECRET_VOLUME,
    VIEWER_COMMAND,
    VIEWER_CONTAINER,
    driver_name,
    executor_prefix,
)
from sparksweep_core.contract.ports import METRICS_PORT, METRICS_PORT_NAME, TENSORBOARD_PORT
from sparksweep_core.contract.sealed_files import Seal
from sparksweep_operator.manifests.config_maps import driver_config_map
from sparksweep_operator.manifests.names import owned_metadata, run_directory, run_name
from sparksweep_operator.manifests.sealed_maps import seal_of
from sparksweep_operator.manifests.security import (
    CONTAINER_SECURITY,
    common_pod_spec,
)
from sparksweep_operator.manifests.spark_secret import spark_secret_volume
from sparksweep_operator.settings import Settings

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
TENSORBOARD_REQUEST = "256Mi"
"""Memory that a TensorBoard without TensorFlow holds for a few trials."""

LOST_AFTER_S = 30
"""Seconds that a driver's node may be unreachable before another driver takes over."""


def driver_pod(
    experiment: Experiment, number: int, settings: Settings, *, spark_secret: str
) -> dict[str, Any]:
    """Return a driver's pod. It runs no user code, so it needs neither the trial's image nor its GPUs or volumes.

    Args:
        experiment: the Experiment.
        number: the driver's number.
        settings: the operator's settings.
        spark_secret: name of the Secret with Spark's secret.
    """
    name = experiment.metadata.name
    template = experiment.spec.trial_template
    seal = seal_of(driver_config_map(experiment, settings))
    spec: dict[str, Any] = {
        **common_pod_spec(template, lost_after_s=LOST_AFTER_S),
        # The operator starts another driver instead of the kubelet restarting this one, to count and pace them.
        "restartPolicy": "Never",
        "serviceAccountName": settings.driver_service_account,
        # The driver's container mounts the token itself; the viewer's gets none.
        "automountServiceAccountToken": False,
        # Running trials end first, in their own time: they may save checkpoints.
        "terminationGracePeriodSeconds": template.termination_grace_period_seconds + DRIVER_GRACE_S,
        "containers": [
            _driver(
                experiment,
                number,
                settings,
                seal=seal,
                spark_secret=spark_secret,
            ),
            _viewer(experiment, settings),
        ],
        "volumes": [
            {"name": "config", "configMap": {"name": seal.config_map}},
            {"name": "token", "projected": {"sources": _token_sources(), "defaultMode": 0o440}},
            spark_secret_volume(spark_secret),
            {"name": "scratch", "emptyDir": {}},
            {"name": "viewer-scratch", "emptyDir": {}},
            {"name": "run", **_run_volume(experiment)},
        ],
    }
    secret = experiment.spec.storage.secret_name
    if secret is not None:
        # For the driver only: neither executors, which run user code, nor the viewer, which reads its files, may have them.
        driver = spec["containers"][0]
        # As files: the driver takes the keys that are credentials, and no other variable.
        driver["volumeMounts"].append(
            {"name": "storage", "mountPath": STORAGE_DIRECTORY, "readOnly": True}
        )
        volume = {"name": "storage", "secret": {"secretName": secret, "defaultMode": 0o440}}
        spec["volumes"].append(volume)
    metadata = owned_metadata(experiment, driver_name(name, number), DRIVER)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "annotations": {DEFAULT_CONTAINER: DRIVER_CONTAINER}},
        "spec": spec,
    }


def _driver(
    experiment: Experiment, number: int, settings: Settings, *, seal: Seal, spark_secret: str
) -> dict[str, Any]:
    prefix = executor_prefix(experiment.metadata.name, number)
    return {
        "name": DRIVER_CONTAINER,
        "image": settings.trainer_image,
        "imagePullPolicy": settings.image_pull_policy,
        "args": [DRIVER_COMMAND],
        "ports": [{"name": METRICS_PORT_NAME, "containerPort": METRICS_PORT}],
        "env": [
            _from_field(POD_NAME_ENV, "metadata.name"),
            _from_field(POD_NAMESPACE_ENV, "metadata.namespace"),
            _from_field(POD_IP_ENV, "status.podIP"),
            {"name": EXECUTOR_PREFIX_ENV, "value": prefix},
            {"name": RUN_DIRECTORY_ENV, "value": run_directory(experiment)},
            {"name": SPARK_SECRET_ENV, "value": spark_secret},
            {"name": CONFIG_SEAL_ENV, "value": seal.to_json()},
            {"name": TERMINATION_LOG_ENV, "value": TERMINATION_LOG},
        ],
        "resources": {
            "requests": {"cpu": settings.driver_cpu, "memory": settings.driver_memory},
            "limits": {"memory": settings.driver_memory},
        },
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [
            {"name": "config", "mountPath": CONFIG_DIRECTORY, "readOnly": True},
            {"name": "token", "mountPath": ACCOUNT_DIRECTORY, "readOnly": True},
            {"name": SPARK_SECRET_VOLUME, "mountPath": SPARK_SECRET_DIRECTORY, "readOnly": True},
            {"name": "scratch", "mountPath": "/tmp"},
            _run_mount(experiment),
        ],
    }


def _viewer(experiment: Experiment, settings: Settings) -> dict[str, Any]:
    """Return the viewer's container. It reads files of user code, so it has no token and can write to its /tmp only."""
    env = [{"name": RUN_DIRECTORY_ENV, "value": run_directory(experiment)}]
    container: dict[str, Any] = {
        "name": VIEWER_CONTAINER,
        "image": settings.trainer_image,
        "imagePullPolicy": settings.image_pull_policy,
        "args": [VIEWER_COMMAND],
        "env": env,
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [
            {"name": "viewer-scratch", "mountPath": "/tmp"},
            {**_run_mount(experiment), "readOnly": True},
        ],
    }
    if experiment.spec.tensorboard.enabled:
        env.append({"name": TENSORBOARD_ENV, "value": experiment.metadata.name})
        container["ports"] = [{"name": "tensorboard", "containerPort": TENSORBOARD_PORT}]
        memory = settings.tensorboard_memory
        container["resources"] = {
            "requests": {"cpu": "10m", "memory": TENSORBOARD_REQUEST},
            "limits": {"memory": memory},
        }
    return container


def _run_mount(experiment: Experiment) -> dict[str, Any]:
    """Return the mount of the run directory.

    Trials may have the same claim, and could put a link where the run directory was. So the kubelet mounts this directory
    itself, which it makes without following a link out of the volume, and the rest of the claim is not in the pod.
    """
    if experiment.spec.storage.persistent_volume_claim is None:
        return {"name": "run", "mountPath": DATA_DIRECTORY}
    directory = run_directory(experiment)
    return {"name": "run", "mountPath": directory, "subPath": run_name(experiment)}


def _run_volume(experiment: Experiment) -> dict[str, Any]:
    storage = experiment.spec.storage
    if storage.persistent_volume_claim is not None:
        return {"persistentVolumeClaim": storage.persistent_volume_claim.to_dict()}
    # Kubernetes evicts the pod beyond this limit; `run_bytes` keeps the driver below it.
    return {"emptyDir": {"sizeLimit": storage.size_limit}}


def _token_sources() -> list[dict[str, Any]]:
    """Return the sources that Kubernetes itself mounts for a service account, without the namespace."""
    return [
        {"serviceAccountToken": {"path": TOKEN_FILE, "expirationSeconds": 3607}},
        {
            "configMap": {
                "name": "kube-root-ca.crt",
                "items": [{"key": "ca.crt", "path": CA_FILE}],
            }
        },
    ]


def _from_field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
