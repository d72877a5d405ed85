"""Labels of the objects made for an Experiment, by which programs, users and network policies select them."""

from __future__ import annotations

from sparksweep_core.api.metadata import GROUP

EXPERIMENT_LABEL = f"{GROUP}/experiment"
"""Name of the Experiment; on every object made for it."""
ROLE_LABEL = f"{GROUP}/role"
"""`DRIVER` or `EXECUTOR`; on every pod made for an Experiment."""

DRIVER = "driver"
"""Role of a pod with Spark's driver and the viewer."""
EXECUTOR = "executor"
"""Role of a pod with a Spark executor, in which trials run."""

PART_OF_LABEL = "app.kubernetes.io/part-of"
PART_OF = "sparksweep"
"""Value of `PART_OF_LABEL` on all objects that the operator and the chart make."""
COMPONENT_LABEL = "app.kubernetes.io/component"
"""Role of a pod, or ``operator``."""


def experiment_selector(experiment: str, role: str | None = None) -> dict[str, str]:
    """Return the labels that select an Experiment's objects, or its pods of one role."""
    labels = {EXPERIMENT_LABEL: experiment}
    return labels if role is None else {**labels, ROLE_LABEL: role}


def selector_text(labels: dict[str, str]) -> str:
    """Return labels as the API server's ``labelSelector``."""
    return ",".join(f"{key}={value}" for key, value in labels.items())
