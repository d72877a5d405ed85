"""``results.parquet``: every trial of a run, one row each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sparksweep.api import Experiment, Parameter, ParameterType, Trial

_PARAMETER_TYPES = {
    ParameterType.DOUBLE: pa.float64(),
    ParameterType.INT: pa.int64(),
    ParameterType.DISCRETE: pa.float64(),
    ParameterType.CATEGORICAL: pa.string(),
}


def write_results(path: Path, experiment: Experiment, trials: Sequence[Trial]) -> None:
    """Write the table, whole or not at all.

    Columns: number, state, attempt, retries, reason, message, ``parameters.<name>`` (typed), ``metrics.<name>``, node,
    start_time, completion_time, duration_seconds, peak_memory_bytes.
    """
    unfinished = path.with_name(f".{path.name}.new")
    pq.write_table(results_table(experiment, trials), unfinished)
    unfinished.replace(path)


def results_table(experiment: Experiment, trials: Sequence[Trial]) -> pa.Table:
    """The trials as a table, by number. What a trial has no value for is null."""
    columns: dict[str, tuple[pa.DataType, list[Any]]] = {
        "number": (pa.int64(), [trial.number for trial in trials]),
        "state": (pa.string(), [trial.state.value for trial in trials]),
        "attempt": (pa.int64(), [trial.status.attempt for trial in trials]),
        "retries": (pa.int64(), [trial.status.retries for trial in trials]),
        "reason": (pa.string(), [trial.status.reason for trial in trials]),
        "message": (pa.string(), [trial.status.message for trial in trials]),
    }
    for parameter in experiment.spec.parameters:
        columns[f"parameters.{parameter.name}"] = (
            _PARAMETER_TYPES[parameter.parameter_type],
            [_typed(parameter, trial.spec.parameters.get(parameter.name)) for trial in trials],
        )
    for metric in metric_names(experiment, trials):
        columns[f"metrics.{metric}"] = (
            pa.float64(),
            [trial.status.metrics.get(metric) for trial in trials],
        )
    moment = pa.timestamp("ms", tz="UTC")
    columns |= {
        "node": (pa.string(), [trial.status.node for trial in trials]),
        "start_time": (moment, [trial.status.start_time for trial in trials]),
        "completion_time": (moment, [trial.status.completion_time for trial in trials]),
        "duration_seconds": (pa.float64(), [trial.status.duration_seconds for trial in trials]),
        "peak_memory_bytes": (pa.int64(), [trial.status.peak_memory_bytes for trial in trials]),
    }
    arrays = {name: pa.array(values, kind) for name, (kind, values) in columns.items()}
    return pa.table(arrays)


def metric_names(experiment: Experiment, trials: Sequence[Trial]) -> list[str]:
    """The objective, the additional metrics, then any others the trials have, by name."""
    objective = experiment.spec.objective
    named: list[str] = []
    if objective is not None:
        named = [objective.objective_metric_name, *objective.additional_metric_names]
    return named + sorted({name for trial in trials for name in trial.status.metrics} - set(named))


def _typed(parameter: Parameter, text: str | None) -> float | int | str | None:
    if text is None or parameter.parameter_type is ParameterType.CATEGORICAL:
        return text
    return int(text) if parameter.parameter_type is ParameterType.INT else float(text)
