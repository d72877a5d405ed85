"""Metadata of the objects made for an Experiment, and the name of its run directory."""

from __future__ import annotations

from typing import Any

from sparksweep_core.api import API_VERSION, Experiment
from sparksweep_core.contract.directories import DATA_DIRECTORY
from sparksweep_core.contract.labels import (
    COMPONENT_LABEL,
    EXPERIMENT_LABEL,
    PART_OF,
    PART_OF_LABEL,
    ROLE_LABEL,
)
from sparksweep_core.contract.names import OPERATOR_MANAGER


def run_name(experiment: Experiment) -> str:
    """Return the name of the run directory, unique among Experiments of the same name."""
    return f"{experiment.metadata.name}-{(experiment.metadata.uid or '')[:8]}"


def run_directory(experiment: Experiment) -> str:
    """Return the path of the run directory in a driver's pod. Experiments that share a volume have one each."""
    return f"{DATA_DIRECTORY}/{run_name(experiment)}"


def labels(experiment: Experiment, role: str | None = None) -> dict[str, str]:
    """Return the labels of an Experiment's object; `role` is a pod's."""
    common = {
        "app.kubernetes.io/name": PART_OF,
        PART_OF_LABEL: PART_OF,
        "app.kubernetes.io/managed-by": OPERATOR_MANAGER,
        EXPERIMENT_LABEL: experiment.metadata.name,
    }
    return common if role is None else {**common, COMPONENT_LABEL: role, ROLE_LABEL: role}


def owned_metadata(experiment: Experiment, name: str, role: str | None = None) -> dict[str, Any]:
    """Return the metadata of an object that is deleted with its Experiment."""
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
