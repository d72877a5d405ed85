"""Where what an Experiment leaves is found: the words of its status. Pure."""

from __future__ import annotations

from sparksweep.api import Experiment
from sparksweep.api.viewing import TENSORBOARD_PORT
from sparksweep_operator.manifests.names import run_directory, tensorboard_name


def results_location(experiment: Experiment, pod: str | None) -> str | None:
    """Where the run directory is: with the trials' table, logs and files.

    Args:
        experiment: the Experiment.
        pod: the driver's pod whose viewer shows it; None if there is none.
    """
    return None if pod is None else f"pod/{pod}:{run_directory(experiment)}"


def tensorboard_address(experiment: Experiment, pod: str | None) -> str | None:
    """Where TensorBoard is, for whoever is in the cluster.

    Args:
        experiment: the Experiment.
        pod: the driver's pod that it runs in; None if there is none.
    """
    if pod is None or not experiment.spec.tensorboard.enabled:
        return None
    service = tensorboard_name(experiment.metadata.name)
    return f"http://{service}.{experiment.metadata.namespace}.svc:{TENSORBOARD_PORT}/"
