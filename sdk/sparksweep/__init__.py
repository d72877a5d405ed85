"""Hyperparameter experiments on Kubernetes, and on this machine.

from sparksweep import Experiment, search          an experiment as an object
from sparksweep import experiment                  Hops' functions: experiment.grid_search(training, {...})
from sparksweep import runs                        the local runs: runs(), Experiment.open("runs/digits")
from sparksweep import report, tensorboard, hdfs   inside a training function
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparksweep.context import report

if TYPE_CHECKING:
    from sparksweep import context, errors, experiment, search
    from sparksweep._experiment import Experiment
    from sparksweep.client import Client
    from sparksweep.results import Result, Trial, runs

__all__ = [
    "Client",
    "Experiment",
    "Result",
    "Trial",
    "__version__",
    "context",
    "errors",
    "experiment",
    "report",
    "runs",
    "search",
]

_NAMES = {
    "Client": "sparksweep.client",
    "Experiment": "sparksweep._experiment",
    "Result": "sparksweep.results",
    "Trial": "sparksweep.results",
    "runs": "sparksweep.results",
}
"""By name, the modules of classes and functions that are imported on their first use."""
_MODULES = (
    "api", "client", "context", "data", "errors", "experiment", "hdfs", "keras", "results", "search", "tensorboard",
)  # fmt: skip
"""Modules that are imported on their first use."""

if TYPE_CHECKING:
    __version__: str


def __getattr__(name: str) -> Any:
    # Trials import this package for `report`: importing what they don't use would slow down each trial's start.
    from importlib import import_module

    value: Any
    if name in _NAMES:
        value = getattr(import_module(_NAMES[name]), name)
    elif name in _MODULES:
        value = import_module(f"{__name__}.{name}")
    elif name == "__version__":
        from importlib.metadata import version

        value = version("sparksweep")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
