"""The metrics that a trial reported while it ran, step by step, from its ``metrics.jsonl``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sparksweep._runs.reader import RunReader, find_attempt, read_from, trial_file
from sparksweep.errors import ClusterError
from sparksweep_core.contract.run_layout import METRICS_FILE, earlier_name
from sparksweep_trainer.files.reports import ReportParser


@dataclass(frozen=True)
class ReportedStep:
    """Metrics that a trial reported for one step."""

    step: int
    """The step, such as an epoch."""
    time: datetime
    """The time of the report, in UTC."""
    metrics: Mapping[str, float]
    """Values by name; they may be NaN or infinite."""


def read_history(run: RunReader, number: int, *, attempt: int | None = None) -> list[ReportedStep]:
    """Return the reports of a trial's attempt in the order in which they were made, also while it runs.

    Args:
        run: The run, in a directory or on a cluster.
        number: The trial's number.
        attempt: The attempt, from 1; by default the last one.

    Returns:
        The reports; none if the attempt has reported nothing.

    Raises:
        TrialNotFound: There is no such trial, or no such attempt.
        ClusterError: The trial's files were deleted with the driver's pod, or can't be read.
    """
    trial, wanted = find_attempt(run, number, attempt)
    if not wanted:
        return []
    name = METRICS_FILE if wanted == trial.status.attempt else earlier_name(METRICS_FILE, wanted)
    path = trial_file(number, name)
    if run.read(path, 0) is None:
        if reason := run.absence(trial):
            raise ClusterError(
                f"the reports of trial {number} of {run.title} can't be read: {reason}"
            )
        return []
    parser = ReportParser()
    return [
        ReportedStep(report.step, datetime.fromtimestamp(report.time, UTC), report.metrics)
        for data in read_from(run, path, 0)
        for report in parser.feed(number, data)
    ]
