"""Names of what belongs to an Experiment. Deterministic, so that making a thing twice makes it once."""

from __future__ import annotations

import re
from typing import Any

from sparksweep_core.api import API_VERSION, Experiment
from sparksweep_core.api.metadata import EXPERIMENT_LABEL, ROLE_LABEL

DRIVER = "driver"
EXECUTOR = "executor"
"""Values of the role label."""

CONFIG_DIRECTORY = "/etc/sparksweep/driver"
"""Where the driver finds its configuration."""
CODE_DIRECTORY = "/opt/sparksweep/code"
"""Where executors, and nobody else, find the trial code."""
DATA_DIRECTORY = "/var/lib/sparksweep"
"""Where driver and executors may write what outlives a process."""
TRIALS_DIRECTORY = f"{DATA_DIRECTORY}/trials"
"""Where executors keep the trials' directories."""
COMMAND_SOURCE = "trial_source.py"
"""File name of a command's source."""

_DRIVER_NAME = re.compile(r"-driver-(\d+)$")


def driver_name(experiment: str, number: int) -> str:
    """Name of an Experiment's driver; each one has a higher number than all before it."""
    return f"{experiment}-driver-{number}"


def driver_number(name: str) -> int | None:
    """The number in a driver's name; None if it is none."""
    match = _DRIVER_NAME.search(name)
    return int(match[1]) if match else None


def executor_prefix(experiment: str, number: int) -> str:
    """What the names of a driver's executors begin with; Spark allows 47 characters."""
    return f"{experiment}-{number}"


def driver_config_name(experiment: str) -> str:
    """Name of the ConfigMap that a driver reads."""
    return f"{experiment}-driver"


def run_name(experiment: Experiment) -> str:
    """Name of the run directory: that of a later Experiment of the same name is another one."""
    return f"{experiment.metadata.name}-{(experiment.metadata.uid or '')[:8]}"


def run_directory(experiment: Experiment) -> str:
    """Where driver and viewer find the run directory; in a volume that several share, each has its own."""
    return f"{DATA_DIRECTORY}/{run_name(experiment)}"


def tensorboard_name(experiment: str) -> str:
    """Name of the Service that leads to TensorBoard."""
    return f"{experiment}-tensorboard"


def code_name(experiment: str) -> str:
    """Name of the ConfigMap with the inline source."""
    return f"{experiment}-code"


def labels(experiment: Experiment, role: str | None = None) -> dict[str, str]:
    """Labels of an object of an Experiment."""
    found = {
        "app.kubernetes.io/name": "sparksweep",
        "app.kubernetes.io/part-of": "sparksweep",
        "app.kubernetes.io/managed-by": "sparksweep-operator",
        EXPERIMENT_LABEL: experiment.metadata.name,
    }
    if role is not None:
        found |= {"app.kubernetes.io/component": role, ROLE_LABEL: role}
    return found


def owned_metadata(experiment: Experiment, name: str, role: str | None = None) -> dict[str, Any]:
    """Metadata of an object that is deleted with its Experiment."""
    return {
        "name": name,
        "namespace": experiment.metadata.namespace,
        "labels": labels(experiment, role),
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": experiment.kind,
                "name": experiment.metadata.name,
                "uid": experiment.metadata.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
