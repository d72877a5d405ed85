"""TrialBatches as the operator would make them, for tests of the driver pod."""

from __future__ import annotations

from typing import Any

from sparksweep_trainer.kubernetes.api_client import batches_path, pods_path

NAMESPACE = "lab"
EXPERIMENT = "digits"
BATCHES = batches_path(NAMESPACE)
PODS = pods_path(NAMESPACE)


def batch(
    index: int,
    numbers: range,
    *,
    parallel: int | None = None,
    status: dict[str, Any] | None = None,
    stop: dict[str, Any] | None = None,
    generation: int = 1,
) -> dict[str, Any]:
    """One batch; trial n has x = n."""
    spec: dict[str, Any] = {
        "experiment": EXPERIMENT,
        "index": index,
        "trials": [{"number": n, "parameters": {"x": str(n)}} for n in numbers],
    }
    if parallel is not None:
        spec["parallelTrialCount"] = parallel
    if stop is not None:
        spec["stop"] = stop
    item: dict[str, Any] = {
        "apiVersion": "sparksweep.dev/v1alpha1",
        "kind": "TrialBatch",
        "metadata": {
            "name": f"{EXPERIMENT}-{index:05d}",
            "namespace": NAMESPACE,
            "generation": generation,
            "labels": {"sparksweep.dev/experiment": EXPERIMENT},
        },
        "spec": spec,
    }
    if status is not None:
        item["status"] = status
    return item


def name(index: int) -> str:
    return f"{EXPERIMENT}-{index:05d}"
