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
    from sparksweep._experiment import Experiment
    from sparksweep.results import Result, Trial, runs

__all__ = ["Experiment", "Result", "Trial", "report", "runs"]


def __getattr__(name: str) -> Any:
    # Trials import this package for `report`: importing what they don't use would slow down each trial's start.
    if name == "Experiment":
        from sparksweep._experiment import Experiment

        return Experiment
    if name in ("Result", "Trial", "runs"):
        from sparksweep import results

        return getattr(results, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
