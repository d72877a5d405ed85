"""Results of experiments: `Result`, which `Experiment.wait` returns, and its `Trial` objects with their reports."""

from __future__ import annotations

from sparksweep._result import Result
from sparksweep._runs.history import ReportedStep
from sparksweep._trials import Trial, Trials

__all__ = ["ReportedStep", "Result", "Trial", "Trials"]

# Tracebacks and reprs name the module that users import them from, not the one that defines them.
for _class in (ReportedStep, Result, Trial, Trials):
    _class.__module__ = __name__
