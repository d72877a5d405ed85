"""The result of an experiment: the best trial, all trials as a DataFrame, and the run directory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sparksweep._html import result_html
from sparksweep.errors import MissingDependency
from sparksweep_core.api import Experiment, Parameter, Trial, best_of
from sparksweep_core.api.columns import columns_of
from sparksweep_core.api.parameter_values import typed_value
from sparksweep_core.contract.run_layout import trial_path

if TYPE_CHECKING:
    import pandas

__all__ = ["Result"]

Value = Any
"""A parameter's value: float, int, str, or any object that was given in a list."""


class Result:
    """The result of an experiment. It unpacks as Hops': ``best_dir, best_params, outputs = result``."""

    def __init__(
        self,
        experiment: Experiment,
        trials: Sequence[Trial],
        *,
        logdir: str | None,
        values: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        self.experiment = experiment
        """The Experiment with its last status."""
        self.logdir = logdir
        """The run directory, with each trial's files; None if it is unknown."""
        self._trials = list(trials)
        self._values = values or {}

    @property
    def best_trial(self) -> Trial | None:
        """The best trial; None when no trial succeeded, or when there is no objective."""
        return best_of(self._trials, self.experiment.spec.objective)

    @property
    def best_value(self) -> float | None:
        """The best trial's objective; None without a best trial."""
        best = self.best_trial
        return None if best is None else best.objective_value(self.experiment.spec.objective)

    @property
    def best_params(self) -> dict[str, Value]:
        """The best trial's parameters, as the function received them; empty without a best trial."""
        best = self.best_trial
        return {} if best is None else self.parameters_of(best)

    @property
    def best_metrics(self) -> dict[str, float]:
        """The best trial's metrics; empty without a best trial."""
        best = self.best_trial
        return {} if best is None else dict(best.status.metrics)

    @property
    def best_dir(self) -> str | None:
        """The best trial's directory; the run directory without a best trial."""
        best = self.best_trial
        return self.logdir if best is None else self.directory_of(best)

    @property
    def trials(self) -> pandas.DataFrame:
        """A DataFrame with a row for each trial, indexed by its number.

        Columns: state, attempt, retries, reason, message, ``parameters.<name>``, ``metrics.<name>``, node, start_time,
        completion_time, duration_seconds, peak_memory_bytes.

        Raises:
            MissingDependency: pandas is not installed.
        """
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise MissingDependency(
                "pandas is not installed. A DataFrame needs it: pip install 'sparksweep[notebook]'"
            ) from error
        columns = columns_of(self.experiment.spec, self._trials)
        data = {
            name: pandas.Series(column.values, dtype=column.pandas)
            for name, column in columns.items()
        }
        for name, by_text in self._values.items():
            column = columns[f"parameters.{name}"]
            data[f"parameters.{name}"] = pandas.Series(
                [by_text.get(text) for text in column.values], dtype=object
            )
        return pandas.DataFrame(data).set_index("number")

    def parameters_of(self, trial: Trial) -> dict[str, Value]:
        """Return a trial's parameters, as the function received them."""
        return {
            parameter.name: self._value(parameter, trial.spec.parameters[parameter.name])
            for parameter in self.experiment.spec.parameters
            if parameter.name in trial.spec.parameters
        }

    def directory_of(self, trial: Trial) -> str | None:
        """Return a trial's directory; None if the run directory is unknown."""
        if self.logdir is None:
            return None
        return os.path.join(self.logdir, trial_path(trial.number))

    def __iter__(self) -> Iterator[Any]:
        yield from (self.best_dir, self.best_params, self.best_metrics)

    def __repr__(self) -> str:
        name = self.experiment.metadata.name
        best = self.best_trial
        if best is None:
            return f"<Result of {name}: {len(self._trials)} trials, no best trial>"
        return f"<Result of {name}: trial {best.number} of {len(self._trials)}, {self.best_value}, {self.best_params}>"

    def _repr_html_(self) -> str:
        return result_html(self.experiment, self._trials)

    def _value(self, parameter: Parameter, text: str) -> Value:
        if parameter.name in self._values:
            return self._values[parameter.name][text]
        return typed_value(parameter.parameter_type, text)
