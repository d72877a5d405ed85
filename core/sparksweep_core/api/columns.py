"""Trials as a table of columns, for Parquet files and DataFrames. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, assert_never

from sparksweep_core.api.parameter_values import ParameterValue, typed_value
from sparksweep_core.api.reasons import TrialState
from sparksweep_core.api.search_spec import Objective, Parameter, ParameterType
from sparksweep_core.api.trials import Trial

Kind = Literal["int", "unsigned", "large", "float", "mixed", "text", "moment"]
"""Kinds of columns: integers of 64 bits, of 64 bits without a sign, and of any size; floats; integers and floats that
no float column holds exactly; text; points in time."""

_PANDAS: dict[Kind, tuple[str, str]] = {
    "int": ("int64", "Int64"),
    "unsigned": ("uint64", "UInt64"),
    "large": ("object", "object"),
    "float": ("float64", "float64"),
    "mixed": ("object", "object"),
    "text": ("object", "object"),
    "moment": ("datetime64[ms, UTC]", "datetime64[ms, UTC]"),
}
"""Type of a complete column in a DataFrame, and of one with missing values."""
_INT64 = range(-(2**63), 2**63)
_UINT64 = range(2**64)


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
        """The dtype in a DataFrame: integers stay integers where values are missing."""
        complete, incomplete = _PANDAS[self.kind]
        return incomplete if None in self.values else complete


def columns_of(search: SearchDescription, trials: Sequence[Trial]) -> dict[str, Column]:
    """Return the columns of the trials, by name.

    number, state, attempt, retries, reason, message, ``parameters.<name>`` (typed), ``metrics.<name>`` (of a running
    trial those of its last report), node, start_time, completion_time, duration_seconds, peak_memory_bytes.
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
            _kind(parameter),
            [_typed(parameter, trial.spec.parameters.get(parameter.name)) for trial in trials],
        )
    for metric in metric_names(search, trials):
        columns[f"metrics.{metric}"] = Column(
            "float", [_metrics(trial).get(metric) for trial in trials]
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
    return named + sorted({name for trial in trials for name in _metrics(trial)} - set(named))


def _metrics(trial: Trial) -> Mapping[str, float]:
    """Return a trial's metrics: of a running one those that it reported last."""
    reported = trial.status.reported
    if trial.state is TrialState.RUNNING and reported is not None:
        return reported.metrics
    return trial.status.metrics


def _kind(parameter: Parameter) -> Kind:
    """Return the kind of a parameter's column. It depends on the feasible space alone, so that all runs have the same."""
    match parameter.parameter_type:
        case ParameterType.DOUBLE:
            return "float"
        case ParameterType.INT:
            # Validation refuses bounds beyond 64 bits.
            return "int"
        case ParameterType.CATEGORICAL:
            return "text"
        case ParameterType.DISCRETE:
            texts = parameter.feasible_space.list or []
            return _kind_of_numbers([typed_value(ParameterType.DISCRETE, text) for text in texts])
        case unreachable:
            assert_never(unreachable)


def _kind_of_numbers(numbers: Sequence[ParameterValue]) -> Kind:
    integers = [number for number in numbers if isinstance(number, int)]
    if len(integers) < len(numbers):
        exact = all(int(float(number)) == number for number in integers)
        return "float" if exact else "mixed"
    if all(number in _INT64 for number in integers):
        return "int"
    return "unsigned" if all(number in _UINT64 for number in integers) else "large"


def _typed(parameter: Parameter, text: str | None) -> ParameterValue | None:
    return None if text is None else typed_value(parameter.parameter_type, text)
