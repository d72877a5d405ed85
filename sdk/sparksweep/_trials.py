"""The trials of a result: each one an object, and all of them a sequence that also answers as a DataFrame."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import index
from typing import TYPE_CHECKING, Any, overload

from sparksweep._html import trials_html
from sparksweep._runs.follow import read_log
from sparksweep._runs.history import ReportedStep, read_history
from sparksweep._runs.reader import RunReader
from sparksweep.errors import MissingDependency, SparksweepError
from sparksweep_core import api
from sparksweep_core.api import TrialState
from sparksweep_core.api.columns import columns_of
from sparksweep_core.api.parameter_values import typed_values
from sparksweep_core.contract.run_layout import STREAMS, trial_path

if TYPE_CHECKING:
    import pandas

_REPR = 200
"""Most characters of a trial's repr."""
_DETAILS = ("attempt", "retries", "message", "node", "start_time", "completion_time", "peak_memory_bytes")  # fmt: skip
"""Columns of the DataFrame that the repr of several trials leaves out."""


@dataclass(frozen=True)
class RunContents:
    """A run's Experiment, the values of its parameters, and the place of its files."""

    experiment: api.Experiment
    """The Experiment with its last status."""
    logdir: str | None = None
    """The run directory; None if it is unknown."""
    values: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """By parameter, the Python value of each text that stands for an object."""
    reader: RunReader | None = None
    """The reader of logs and files; None if there is none."""

    def parameters_of(self, trial: api.Trial) -> dict[str, Any]:
        """Return a trial's parameters, as the function received them."""
        typed = typed_values(self.experiment.spec.parameters, trial.spec.parameters)
        return {
            name: self.values[name].get(trial.spec.parameters[name], value)
            if name in self.values
            else value
            for name, value in typed.items()
        }


class Trial:
    """One trial of a run: its parameters, metrics, state and files."""

    __slots__ = ("_run", "_trial")

    def __init__(self, trial: api.Trial, run: RunContents) -> None:
        self._trial = trial
        self._run = run

    @property
    def number(self) -> int:
        """Number of the trial, from 1."""
        return self._trial.number

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters by name, as the function received them: int, float, str, or any object that was in a list."""
        return self._run.parameters_of(self._trial)

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics by name, the objective included; empty until the trial has succeeded."""
        return dict(self._trial.status.metrics)

    @property
    def objective(self) -> float | None:
        """Value of the objective's metric; None unless the trial succeeded, or without an objective."""
        return self._trial.objective_value(self._run.experiment.spec.objective)

    @property
    def state(self) -> TrialState:
        """State: Pending, Running, Succeeded, Failed or Stopped; it equals its text."""
        return self._trial.state

    @property
    def ran(self) -> bool:
        """True if the trial was started at least once. One that was stopped while it waited never ran."""
        return self._trial.status.attempt > 0

    @property
    def attempt(self) -> int:
        """Number of the last attempt, from 1; 0 if the trial never ran."""
        return self._trial.status.attempt

    @property
    def retries(self) -> int:
        """Number of attempts that were made because the one before had failed."""
        return self._trial.status.retries

    @property
    def reason(self) -> str | None:
        """Reason for the end of the last attempt, in one word: ``Completed``, ``Exception``, ``TimedOut``."""
        return self._trial.status.reason

    @property
    def message(self) -> str | None:
        """Explanation of the reason, with the traceback of a failed function."""
        return self._trial.status.message

    @property
    def start_time(self) -> datetime | None:
        """Start of the last attempt, in UTC."""
        return self._trial.status.start_time

    @property
    def end_time(self) -> datetime | None:
        """End of the last attempt, in UTC."""
        return self._trial.status.completion_time

    @property
    def duration(self) -> float | None:
        """Duration of the last attempt in seconds."""
        return self._trial.status.duration_seconds

    @property
    def node(self) -> str | None:
        """Machine or executor that ran the last attempt."""
        return self._trial.status.node

    @property
    def peak_memory(self) -> int | None:
        """Largest memory of the last attempt's processes together, in bytes."""
        return self._trial.status.peak_memory_bytes

    @property
    def directory(self) -> str | None:
        """Directory with the trial's files; None if the run directory is unknown."""
        if self._run.logdir is None:
            return None
        return os.path.join(self._run.logdir, trial_path(self.number))

    @property
    def spec(self) -> api.TrialSpec:
        """Specification of the trial, as the API's type."""
        return self._trial.spec

    @property
    def status(self) -> api.TrialStatus:
        """Status of the trial, as the API's type."""
        return self._trial.status

    def logs(self, stream: str | None = None, *, attempt: int | None = None) -> str:
        """Return the trial's output.

        Args:
            stream: ``stdout`` or ``stderr``; by default both, merged in the order of their times.
            attempt: The attempt, from 1; by default the last one.

        Raises:
            ValueError: There is no such stream.
            TrialNotFound: There is no such attempt.
            SparksweepError: The output can't be read.
        """
        if stream is not None and stream not in STREAMS:
            raise ValueError(f"stream: {stream!r} is none of {', '.join(STREAMS)}")
        reader = self._reader()
        lines = read_log(reader, self.number, attempt=attempt)
        wanted = (line.text for line in lines if stream is None or line.stream == stream)
        text = b"".join(wanted).decode(errors="replace")
        if not text and self.ran and (reason := reader.absence(self._trial)):
            raise SparksweepError(f"the output of trial {self.number} can't be read: {reason}")
        return text

    def history(self, *, attempt: int | None = None) -> list[ReportedStep]:
        """Return the metrics that the trial reported while it ran, in the order of the reports.

        Args:
            attempt: The attempt, from 1; by default the last one.

        Returns:
            A record with ``step``, ``time`` and ``metrics`` for each report; none if nothing was reported.

        Raises:
            TrialNotFound: There is no such attempt.
            SparksweepError: The reports can't be read.
        """
        return read_history(self._reader(), self.number, attempt=attempt)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trial) and self._trial == other._trial

    def __hash__(self) -> int:
        return hash(self.number)

    def __repr__(self) -> str:
        shown = []
        objective = self._run.experiment.spec.objective
        if objective is not None and self.objective is not None:
            shown.append(f"{objective.objective_metric_name}={self.objective:.6g}")
        elif self.reason is not None:
            shown.append(self.reason)
        shown += [f"{name}={_short(value)}" for name, value in self.parameters.items()]
        text = f"<Trial {self.number}: {self.state.value}, {', '.join(shown)}"
        return f"{text if len(text) < _REPR else text[: _REPR - 4] + '...'}>"

    def _reader(self) -> RunReader:
        if self._run.reader is None:
            raise SparksweepError(f"the files of trial {self.number} are out of reach")
        return self._run.reader


class Trials:
    """The trials of a run, sorted by number: a sequence of `Trial`, and a DataFrame by its attributes and columns.

    ``len(trials)``, ``trials[0]``, ``trials[:5]`` and a loop give trials; ``trials["state"]``, ``trials.loc[3]``,
    ``trials.columns`` and every other attribute are those of `Result.dataframe`, whose rows have the trials' numbers.
    """

    __slots__ = ("_frame", "_run", "_trials")

    def __init__(self, trials: Sequence[api.Trial], run: RunContents) -> None:
        self._trials = tuple(trials)
        self._run = run
        self._frame: pandas.DataFrame | None = None

    def __len__(self) -> int:
        return len(self._trials)

    def __iter__(self) -> Iterator[Trial]:
        return (Trial(trial, self._run) for trial in self._trials)

    def __reversed__(self) -> Iterator[Trial]:
        return (Trial(trial, self._run) for trial in reversed(self._trials))

    def __contains__(self, item: object) -> bool:
        if isinstance(item, Trial):
            return any(trial == item for trial in self)
        return item in self._table

    @overload
    def __getitem__(self, key: int) -> Trial: ...
    @overload
    def __getitem__(self, key: slice) -> Trials: ...
    @overload
    def __getitem__(self, key: Any) -> Any: ...
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return Trials(self._trials[key], self._run)
        try:
            position = index(key)
        except TypeError:
            return self._column(key)
        if not -len(self) <= position < len(self):
            there = f"the indices are 0 to {len(self) - 1}" if len(self) else "there are no trials"
            message = f"there is no trial at index {position}: {there}"
            raise IndexError(f"{message}; result.trial(number) counts from 1")
        return Trial(self._trials[position], self._run)

    def _column(self, key: Any) -> Any:
        table = self._table
        try:
            return table[key]
        except KeyError:
            full = [
                name for name in table.columns if name in (f"metrics.{key}", f"parameters.{key}")
            ]
            if not full:
                raise
            raise KeyError(f"{key}: did you mean {' or '.join(full)}?") from None

    def __setitem__(self, key: Any, value: Any) -> None:
        self._table[key] = value

    def __getattr__(self, name: str) -> Any:
        # Protocols such as pickle's and NumPy's ask for names with underscores, and must not get a DataFrame's.
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self._table, name)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *dir(self._table)})

    def __eq__(self, other: object) -> Any:
        if isinstance(other, Trials):
            return self._trials == other._trials
        return self._table == other

    def __hash__(self) -> int:
        return hash(self._trials)

    def __repr__(self) -> str:
        try:
            table = self._table
            return repr(table[self._shown_columns(table)])
        except MissingDependency:
            return "\n".join(map(repr, self)) or "<no trials>"

    def _repr_html_(self) -> str:
        return trials_html(self._run.experiment, self._trials)

    def _shown_columns(self, table: pandas.DataFrame) -> list[str]:
        """Return the columns of the repr, the most telling ones at both ends: pandas leaves out those in the middle."""
        objective = self._run.experiment.spec.objective
        first = "" if objective is None else f"metrics.{objective.objective_metric_name}"
        names = [str(name) for name in table.columns if name not in _DETAILS]
        order = {"state": 0, first: 1}
        names.sort(key=lambda name: order.get(name, 3 if name.startswith("parameters.") else 2))
        return names

    @property
    def _table(self) -> pandas.DataFrame:
        if self._frame is None:
            self._frame = dataframe(self._trials, self._run)
        return self._frame


# A pattern such as ``case [first, *rest]`` asks for it. Its methods `index` and `count` are the DataFrame's here.
Sequence.register(Trials)


def dataframe(trials: Sequence[api.Trial], run: RunContents) -> pandas.DataFrame:
    """Return a DataFrame with a row for each trial, indexed by its number.

    Raises:
        MissingDependency: pandas is not installed.
    """
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise MissingDependency(
            "pandas is not installed. A DataFrame needs it: pip install 'sparksweep[notebook]'"
        ) from error
    columns = columns_of(run.experiment.spec, trials)
    data = {
        name: pandas.Series(column.values, dtype=column.pandas) for name, column in columns.items()
    }
    for name, by_text in run.values.items():
        key = f"parameters.{name}"
        objects = [by_text.get(text, text) for text in columns[key].values]
        data[key] = pandas.Series(objects, dtype=object).infer_objects()
    return pandas.DataFrame(data).set_index("number")


def count_text(trials: Sequence[api.Trial]) -> str:
    """Return the number of trials as text, and of those that never ran: ``12 trials, 2 of which never ran``."""
    count = f"{len(trials)} trial" if len(trials) == 1 else f"{len(trials)} trials"
    stopped = sum(t.state is TrialState.STOPPED and not t.status.attempt for t in trials)
    return f"{count}, {stopped} of which never ran" if stopped else count


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
