"""Trials as a table of columns, for Parquet files and DataFrames. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, assert_never

from sparksweep_core.api.search_spec import Objective, Parameter, ParameterType
from sparksweep_core.api.trials import Trial

Kind = Literal["int", "float", "text", "moment"]

_PANDAS = {"int": "Int64", "float": "float64", "text": "object", "moment": "datetime64[ms, UTC]"}
_KINDS: dict[ParameterType, Kind] = {
    ParameterType.DOUBLE: "float",
    ParameterType.INT: "int",
    ParameterType.DISCRETE: "float",
    ParameterType.CATEGORICAL: "text",
}


class SearchDescription(Protocol):
    """The parameters and the objective of a search: of an Experiment's spec, or of the driver's program."""

    @property
    def parameters(self) -> Sequence[Parameter]:
        """The hyperparameters."""

    @property
    def objective(self) -> Objective | None:
        """The metrics to record, if any are named."""


@dataclass(frozen=True)
class Column:
    """One column."""

    kind: Kind
    values: list[Any]
    """One value for each trial; None where a trial has none."""

    @property
    def pandas(self) -> str:
        """The dtype in a DataFrame."""
        return _PANDAS[self.kind]


def columns_of(search: SearchDescription, trials: Sequence[Trial]) -> dict[str, Column]:
    """Return the columns of the trials, by name.

    number, state, attempt, retries, reason, message, ``parameters.<name>`` (typed), ``metrics.<name>``, node,
    start_time, completion_time, duration_seconds, peak_memory_bytes.
    """
    columns = {
        "number": Column("int", [trial.number for trial in trials]),
        "state": Column("text", [trial.state.value for trial in trials]),
        "attempt": Column("int", [trial.status.attempt for trial in trials]),
        "retries": Column("int", [trial.status.retries for trial in trials]),
        "reason": Column("text", [trial.status.reason for trial in trials]),
        "message": Column("text", [trial.status.message for trial in trials]),
    }
    for parameter in search.parameters:
        columns[f"parameters.{parameter.name}"] = Column(
            _KINDS[parameter.parameter_type],
            [_typed(parameter, trial.spec.parameters.get(parameter.name)) for trial in trials],
        )
    for metric in metric_names(search, trials):
        columns[f"metrics.{metric}"] = Column(
            "float", [trial.status.metrics.get(metric) for trial in trials]
        )
    return columns | {
        "node": Column("text", [trial.status.node for trial in trials]),
        "start_time": Column("moment", [trial.status.start_time for trial in trials]),
        "completion_time": Column("moment", [trial.status.completion_time for trial in trials]),
        "duration_seconds": Column("float", [trial.status.duration_seconds for trial in trials]),
        "peak_memory_bytes": Column("int", [trial.status.peak_memory_bytes for trial in trials]),
    }


def metric_names(search: SearchDescription, trials: Sequence[Trial]) -> list[str]:
    """Return the names of the objective, of the additional metrics, then of all others that the trials have, sorted."""
    objective = search.objective
    named: list[str] = []
    if objective is not None:
        named = [objective.objective_metric_name, *objective.additional_metric_names]
    return named + sorted({name for trial in trials for name in trial.status.metrics} - set(named))


def _typed(parameter: Parameter, text: str | None) -> float | int | str | None:
    if text is None:
        return None
    match parameter.parameter_type:
        case ParameterType.CATEGORICAL:
            return text
        case ParameterType.INT:
            return int(text)
        case ParameterType.DOUBLE | ParameterType.DISCRETE:
            return float(text)
        case unreachable:
            assert_never(unreachable)
