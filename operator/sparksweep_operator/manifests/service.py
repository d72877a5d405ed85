"""Manifest of the Service in front of an Experiment's TensorBoard."""

from __future__ import annotations

from typing import Any

from sparksweep_core.api import Experiment
from sparksweep_core.contract.labels import DRIVER, experiment_selector
from sparksweep_core.contract.names import tensorboard_name
from sparksweep_core.contract.ports import TENSORBOARD_PORT
from sparksweep_operator.manifests.names import owned_metadata


def tensorboard_service(experiment: Experiment) -> dict[str, Any] | None:
    """Return the Service; None if TensorBoard is off."""
    if not experiment.spec.tensorboard.enabled:
        return None
    name = experiment.metadata.name
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owned_metadata(experiment, tensorboard_name(name)),
        "spec": {
            "selector": experiment_selector(name, DRIVER),
            "ports": [{"name": "http", "port": TENSORBOARD_PORT}],
            # A pod whose driver has ended is not ready, but its TensorBoard still runs.
            "publishNotReadyAddresses": True,
        },
    }
