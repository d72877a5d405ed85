"""Locations of an Experiment's results and of its TensorBoard, for its status. Pure."""

from __future__ import annotations

from sparksweep_core.api import Experiment
from sparksweep_core.contract.names import tensorboard_name
from sparksweep_core.contract.ports import TENSORBOARD_PORT
from sparksweep_operator.manifests.names import run_directory, run_name


def results_location(experiment: Experiment, pod: str | None) -> str | None:
    """Return the location of the run directory, which holds the trials' table, logs and files.

    Args:
        experiment: the Experiment.
        pod: the driver's pod with a running viewer; None if there is none.
    """
    storage = experiment.spec.storage
    if storage.uri is not None:
        return f"{storage.uri.rstrip('/')}/{run_name(experiment)}"
    if storage.persistent_volume_claim is not None:
        claim = storage.persistent_volume_claim.claim_name
        return f"persistentvolumeclaim/{claim}:/{run_name(experiment)}"
    return None if pod is None else f"pod/{pod}:{run_directory(experiment)}"


def tensorboard_address(experiment: Experiment, pod: str | None) -> str | None:
    """Return the URL of TensorBoard inside the cluster; None if there is none.

    Args:
        experiment: the Experiment.
        pod: the driver's pod that runs TensorBoard; None if there is none.
    """
    if pod is None or not experiment.spec.tensorboard.enabled:
        return None
    service = tensorboard_name(experiment.metadata.name)
    return f"http://{service}.{experiment.metadata.namespace}.svc:{TENSORBOARD_PORT}/"
