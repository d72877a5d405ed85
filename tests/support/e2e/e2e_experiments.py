"""Experiments for the end-to-end tests: small, quick, and without a framework."""

from __future__ import annotations

from typing import Any

QUICK = """
import time

def training(x, pause=0.2):
    time.sleep(pause)
    return -abs(x - 7.5) - x / 1000
"""
"""The best of 1, 2, 3... is 7: as near to 7.5 as 8, and earlier."""


def experiment(
    name: str,
    *,
    trials: int,
    source: str = QUICK,
    parallel: int = 2,
    memory: str = "768Mi",
    template: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a grid over the integers from 1 to `trials` that maximises the function's value."""
    return {
        "apiVersion": "sparksweep.dev/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": name},
        "spec": {
            "objective": {"type": "maximize", "objectiveMetricName": "score"},
            "algorithm": {"algorithmName": "grid"},
            "parallelTrialCount": min(parallel, trials),
            "parameters": [
                {
                    "name": "x",
                    "parameterType": "int",
                    "feasibleSpace": {"min": "1", "max": str(trials)},
                }
            ],
            "trialTemplate": {
                "function": "train:training",
                "source": {"inline": source},
                "resources": {"cpu": "200m", "memory": memory},
                **(template or {}),
            },
            **(spec or {}),
        },
    }


def pausing(seconds: float) -> str:
    """Return the source of trials that sleep so long."""
    return QUICK.replace("pause=0.2", f"pause={seconds}")
