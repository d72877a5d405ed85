"""Results of experiments: `Result`, which `Experiment.wait` returns, and its `Trial` objects with their reports."""

from __future__ import annotations

import os
from pathlib import Path

from sparksweep._result import Result
from sparksweep._run_list import DEFAULT, RunList, RunSummary, list_runs
from sparksweep._runs.history import ReportedStep
from sparksweep._trials import Trial, Trials

__all__ = ["ReportedStep", "Result", "RunList", "RunSummary", "Trial", "Trials"]

# Tracebacks and reprs name the module that users import them from, not the one that defines them.
for _class in (ReportedStep, Result, RunList, RunSummary, Trial, Trials):
    _class.__module__ = __name__


def runs(directory: str | os.PathLike[str] = DEFAULT) -> RunList:
    """Return the local runs in a directory, the newest first.

    Runs that were started from Python and by ``sparksweep run`` are the same. A directory that is no run is left out; a
    damaged run is in the list, with its error.

    Args:
        directory: The directory that has the run directories, or one of them.

    Returns:
        A sequence with directory, name, state, trials, best objective and start of each run, which shows as a table.

    Raises:
        RunDirectoryError: It does not exist. Before the first run, ``runs`` has no runs.
    """
    return list_runs(Path(directory).expanduser())
