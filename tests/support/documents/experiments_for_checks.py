"""Base documents for the tables of this directory, and changes to them by path."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

REMOVED = object()
"""As a value: the field is removed."""

_PART = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")

FUNCTION: dict[str, Any] = {
    "apiVersion": "sparksweep.dev/v1alpha1",
    "kind": "Experiment",
    "metadata": {"name": "digits"},
    "spec": {
        "objective": {"type": "maximize", "objectiveMetricName": "accuracy"},
        "algorithm": {"algorithmName": "random"},
        "parameters": [
            {
                "name": "lr",
                "parameterType": "double",
                "feasibleSpace": {"min": "0.1", "max": "0.5"},
            },
            {"name": "layers", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "9"}},
            {"name": "width", "parameterType": "discrete", "feasibleSpace": {"list": ["8", "16"]}},
            {
                "name": "activation",
                "parameterType": "categorical",
                "feasibleSpace": {"list": ["relu", "tanh"]},
            },
        ],
        "parallelTrialCount": 2,
        "maxTrialCount": 10,
        "trialTemplate": {"function": "train:training"},
    },
}
"""A random search over one parameter of each type, by a function."""

COMMAND: dict[str, Any] = {
    **FUNCTION,
    "spec": {
        **FUNCTION["spec"],
        "trialTemplate": {
            "trialParameters": [
                {"name": "learningRate", "reference": "lr"},
                {"name": "layers", "reference": "layers"},
            ],
            "command": [
                "python",
                "train.py",
                "--lr=${trialParameters.learningRate}",
                "--layers=${trialParameters.layers}",
            ],
        },
    },
}
"""The same search by a command."""


def changed(base: Mapping[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    """Return the document with each path's value replaced; a list grows by the index after its last."""
    document = copy.deepcopy(dict(base))
    for path, value in changes.items():
        parts: list[Any] = [
            int(index) if index.isdigit() else (index or name)
            for index, name in _PART.findall(path)
        ]
        here: Any = document
        for part in parts[:-1]:
            here = here.setdefault(part, {}) if isinstance(here, dict) else here[part]
        last = parts[-1]
        if value is REMOVED:
            del here[last]
        elif isinstance(here, list) and last == len(here):
            here.append(copy.deepcopy(value))
        else:
            here[last] = copy.deepcopy(value)
    return document
