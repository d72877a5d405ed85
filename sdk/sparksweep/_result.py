"""The result of an experiment: the best trial, all trials as objects and as a DataFrame, and the run directory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sparksweep import _trials
from sparksweep._html import result_html
from sparksweep._runs.history import ReportedStep
from sparksweep._runs.reader import RunReader
from sparksweep._trials import RunContents, Trial, Trials, count_text
from sparksweep.errors import TrialNotFound
from sparksweep_core import api
from sparksweep_core.api import best_of
from sparksweep_core.contract.run_layout import trial_path

if TYPE_CHECKING:
    import pandas

__all__ = ["Result"]


class Result:
    """The result of an experiment. It unpacks as Hops': ``best_dir, best_params, outputs = result``."""

    def __init__(
        self,
        experiment: api.Experiment,
        trials: Sequence[api.Trial],
        *,
        logdir: str | None,
        values: Mapping[str, Mapping[str, object]] | None = None,
        reader: RunReader | None = None,
    ) -> None:
        self.experiment = experiment
        """The Experiment with its last status."""
        self.logdir = logdir
        """The run directory, with each trial's files; None if it is unknown."""
        self._trials = list(trials)
        self._run = RunContents(experiment, logdir, values or {}, reader)

    @property
    def seed(self) -> int | None:
        """The seed of the search, given or drawn, which repeats it; None for a grid, and before the first trial."""
        status = self.experiment.status
        return None if status is None else status.seed

    @property
    def best_trial(self) -> Trial | None:
        """The best trial; None when no trial succeeded, or when there is no objective."""
        best = best_of(self._trials, self.experiment.spec.objective)
        return None if best is None else Trial(best, self._run)

    @property
    def best_value(self) -> float | None:
        """The best trial's objective; None without a best trial."""
        best = self.best_trial
        return None if best is None else best.objective

    @property
    def best_params(self) -> dict[str, Any]:
        """The best trial's parameters, as the function received them; empty without a best trial."""
        best = self.best_trial
        return {} if best is None else best.parameters

    @property
    def best_metrics(self) -> dict[str, float]:
        """The best trial's metrics; empty without a best trial."""
        best = self.best_trial
        return {} if best is None else best.metrics

    @property
    def best_dir(self) -> str | None:
        """The best trial's directory; the run directory without a best trial."""
        best = self.best_trial
        return self.logdir if best is None else best.directory

    @property
    def trials(self) -> Trials:
        """All trials, sorted by number: a sequence of `Trial`, which also answers as the DataFrame of `dataframe`.

        A trial that was stopped before it started is among them: its state is Stopped, and `Trial.ran` is False.
        """
        return Trials(self._trials, self._run)

    def trial(self, number: int) -> Trial:
        """Return a trial by its number, from 1.

        Raises:
            TrialNotFound: There is no such trial.
        """
        for trial in self._trials:
            if trial.number == number:
                return Trial(trial, self._run)
        name = self.experiment.metadata.name
        raise TrialNotFound(f"there is no trial {number!r} in {name}, which has {len(self)}")

    def dataframe(self) -> pandas.DataFrame:
        """Return a DataFrame with a row for each trial, indexed by its number.

        Columns: state, attempt, retries, reason, message, ``parameters.<name>``, ``metrics.<name>``, node, start_time,
        completion_time, duration_seconds, peak_memory_bytes.

        Raises:
            MissingDependency: pandas is not installed.
        """
        return _trials.dataframe(self._trials, self._run)

    def history(self, number: int, *, attempt: int | None = None) -> list[ReportedStep]:
        """Return the metrics that a trial reported while it ran: see `Trial.history`.

        Args:
            number: The trial's number, from 1.
            attempt: The attempt, from 1; by default the last one.

        Raises:
            TrialNotFound: There is no such trial, or no such attempt.
            SparksweepError: The reports can't be read.
        """
        return self.trial(number).history(attempt=attempt)

    def parameters_of(self, trial: Trial | api.Trial) -> dict[str, Any]:
        """Return a trial's parameters, as the function received them."""
        return trial.parameters if isinstance(trial, Trial) else self._run.parameters_of(trial)

    def directory_of(self, trial: Trial | api.Trial) -> str | None:
        """Return a trial's directory; None if the run directory is unknown."""
        if self.logdir is None:
            return None
        return os.path.join(self.logdir, trial_path(trial.number))

    def __len__(self) -> int:
        return len(self._trials)

    def __iter__(self) -> Iterator[Any]:
        yield from (self.best_dir, self.best_params, self.best_metrics)

    def __repr__(self) -> str:
        name, best = self.experiment.metadata.name, self.best_trial
        count = count_text(self._trials)
        return f"<Result of {name}: {count}, {'no best trial' if best is None else f'best {best}'}>"

    def _repr_html_(self) -> str:
        return result_html(self.experiment, self._trials)
