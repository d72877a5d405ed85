"""Where what an Experiment leaves is found: the words of its status. Pure."""

from __future__ import annotations

from sparksweep.api import Experiment
from sparksweep_operator.manifests.names import run_directory


def results_location(experiment: Experiment, pod: str | None) -> str | None:
    """Where the run directory is: with the trials' table, logs and files.

    Args:
        experiment: the Experiment.
        pod: the driver's pod whose viewer shows it; None if there is none.
    """
    return None if pod is None else f"pod/{pod}:{run_directory(experiment)}"
