"""The local runs in a directory: a list of their names, states, trials and best trials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import overload

from sparksweep._html import runs_html
from sparksweep._local.run_directory import RunDirectory
from sparksweep._text import one_line
from sparksweep.errors import RunDirectoryError, SparksweepError
from sparksweep_core.api import ConditionType, Experiment, ExperimentStatus, Trial, best_of

DEFAULT = "runs"
"""The directory in which local runs are made, unless they are given another one."""
INTERRUPTED = "Interrupted"
UNREADABLE = "Unreadable"
_HEAD = ("directory", "name", "state", "trials", "best", "started")


@dataclass(frozen=True)
class RunSummary:
    """One local run. `Experiment.open` of its directory gives its experiment."""

    directory: str
    """The run directory."""
    name: str
    """Name of the Experiment; empty if the run can't be read."""
    state: str
    """Running, Complete, Failed, Interrupted (nothing runs it, and it can be resumed) or Unreadable."""
    ended: int = 0
    """Number of trials that have ended by themselves: one that never ran is not counted."""
    expected: int | None = None
    """Number of trials that the run is to have; None if it is unknown."""
    best: float | None = None
    """Objective of the best trial; None without one."""
    when: datetime | None = None
    """Time of the run's start, in UTC; None if no trial was created."""
    error: str = ""
    """Reason why the run can't be read."""

    @property
    def trials(self) -> str:
        """Numbers of ended and of expected trials: ``12/40``."""
        return str(self.ended) if self.expected is None else f"{self.ended}/{self.expected}"

    @property
    def cells(self) -> list[str]:
        """The texts of the run's row in a table."""
        best = "" if self.best is None else f"{self.best:.6g}"
        when = "" if self.when is None else f"{self.when.astimezone():%Y-%m-%d %H:%M}"
        trials = "" if self.state == UNREADABLE else self.trials
        name = one_line(self.name or self.error)
        return [one_line(self.directory), name, self.state, trials, best, when]

    def __repr__(self) -> str:
        what = (
            f"{self.state}: {self.error}" if self.error else f"{self.state}, {self.trials} trials"
        )
        best = "" if self.best is None else f", best {self.best:.6g}"
        return f"<Run {self.directory!r}: {what}{best}>"


class RunList(Sequence[RunSummary]):
    """The runs in a directory, the newest first."""

    def __init__(self, directory: str, runs: Sequence[RunSummary]) -> None:
        self.directory = directory
        """The directory that was searched."""
        self._runs = tuple(runs)

    @overload
    def __getitem__(self, index: int) -> RunSummary: ...
    @overload
    def __getitem__(self, index: slice) -> RunList: ...
    def __getitem__(self, index: int | slice) -> RunSummary | RunList:
        if isinstance(index, slice):
            return RunList(self.directory, self._runs[index])
        return self._runs[index]

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[RunSummary]:
        return iter(self._runs)

    def __repr__(self) -> str:
        if not self._runs:
            return f"<no runs in {self.directory!r}>"
        rows = [list(_HEAD), *(run.cells for run in self._runs)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
        lines = (
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
            for row in rows
        )
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self) -> str:
        return runs_html(_HEAD, [run.cells for run in self._runs], self.directory)


def list_runs(directory: Path) -> RunList:
    """Return the runs in a directory, or the run that it holds itself.

    Raises:
        RunDirectoryError: It does not exist, or is no directory.
    """
    try:
        paths = [directory] if RunDirectory(directory).holds_run else sorted(directory.iterdir())
    except OSError as error:
        if directory == Path(DEFAULT) and not directory.exists():
            return RunList(str(directory), [])
        raise RunDirectoryError(f"{directory} can't be listed: {error.strerror}") from error
    summaries = [_summary(path) for path in paths if RunDirectory(path).holds_run]
    oldest = datetime.min
    return RunList(
        str(directory),
        sorted(
            summaries,
            key=lambda run: run.when.replace(tzinfo=None) if run.when else oldest,
            reverse=True,
        ),
    )


def _summary(path: Path) -> RunSummary:
    directory = RunDirectory(path)
    # Asked first: a run that ends meanwhile is then said to run, never to be interrupted.
    is_locked = directory.is_locked()
    try:
        experiment = directory.read_experiment()
        recorded = directory.read_journal()
        trials = directory.read_trials()
    except (SparksweepError, OSError) as error:
        message = " ".join(str(error).split())
        return RunSummary(str(path), "", UNREADABLE, error=message)
    status = recorded.status or experiment.status or ExperimentStatus()
    expected = experiment.status.trials.expected if experiment.status is not None else None
    return RunSummary(
        str(path),
        experiment.metadata.name,
        _state(status, is_locked=is_locked),
        ended=sum(trial.state.is_finished and trial.status.attempt > 0 for trial in trials),
        expected=expected,
        best=_best(experiment, trials),
        when=status.start_time,
    )


def _state(status: ExperimentStatus, *, is_locked: bool) -> str:
    for end in (ConditionType.COMPLETE, ConditionType.FAILED):
        if status.holds(end):
            return end.value
    return ConditionType.RUNNING.value if is_locked else INTERRUPTED


def _best(experiment: Experiment, trials: Sequence[Trial]) -> float | None:
    objective = experiment.spec.objective
    best = best_of(trials, objective)
    return None if best is None else best.objective_value(objective)
