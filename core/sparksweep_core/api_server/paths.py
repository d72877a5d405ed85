"""Paths of the API server's collections."""

from __future__ import annotations

from sparksweep_core.api import API_VERSION

_ROOTS = {
    "Pod": "/api/v1",
    "ConfigMap": "/api/v1",
    "Event": "/api/v1",
    "Service": "/api/v1",
    "Secret": "/api/v1",
}
_PLURALS = {"Experiment": "experiments", "TrialBatch": "trialbatches"}


def collection(kind: str, namespace: str | None) -> str:
    """Return the path of a namespace's objects of a kind; of those of all namespaces without one."""
    root = _ROOTS.get(kind, f"/apis/{API_VERSION}")
    plural = _PLURALS.get(kind, f"{kind.lower()}s")
    return f"{root}/{plural}" if namespace is None else f"{root}/namespaces/{namespace}/{plural}"
