"""Summary of some batches: all that a plan needs of them but the trials themselves.

Summaries are merged in any order with the same result, so that one batch's can be replaced among a thousand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sparksweep_core.api import (
    ExperimentReason,
    Objective,
    ObjectiveType,
    Trial,
    TrialBatch,
    TrialCounts,
    TrialState,
    limits,
)
from sparksweep_core.contract.annotations import ENDING_ANNOTATION, SEED_ANNOTATION
from sparksweep_core.contract.names import driver_number
from sparksweep_core.history.failures import (
    LAST_FAILED,
    FailedTrial,
    common_kind,
    completion_order,
    kind_of,
    last_failed,
)

_REASONS = frozenset(reason.value for reason in ExperimentReason)


EXTREMES = limits.METRICS
"""Metrics of which a summary keeps the extremes: those that most succeeded trials have. An objective is in all of them, and
at most so many metrics can be, so that it is always kept, whatever names the others have in each trial."""


class Extremes(NamedTuple):
    """Least and greatest value of a metric of the succeeded trials, of equals with the lowest number of a trial."""

    least: float
    least_number: int
    greatest: float
    greatest_number: int
    trials: int
    """Number of succeeded trials that have the metric."""


class Mark(NamedTuple):
    """A fact that a batch carries; of several batches the one with the lowest index counts."""

    batch_index: int
    text: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """Facts of some batches; without arguments that of none."""

    batches: int = 0
    """Number of batches."""
    pending: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    stopped: int = 0
    last_number: int = 0
    """Highest number of a trial; 0: there is none."""
    extremes: Mapping[str, Extremes] = field(default_factory=dict)
    """Extremes of each metric, by name, of at most `EXTREMES` metrics."""
    failures: tuple[FailedTrial, ...] = ()
    """Trials that failed last, the newest first, at most `LAST_FAILED`."""
    failure_kind: bytes | None = None
    """Kind of all failures, `failures.DIFFERENT` if they differ; None without any."""
    first_time: datetime | None = None
    """Earliest creation of a batch or start of a trial."""
    first_start: datetime | None = None
    """Earliest start of a trial."""
    ending: Mark | None = None
    """Reason, and message, of an end that was decided."""
    refused: Mark | None = None
    """Message of the code that can't run the trials."""
    problem: Mark | None = None
    """Trouble of the driver as the newest batch tells it; without text if it has none."""
    seed: Mark | None = None
    """Seed that the trials were drawn with."""
    drivers: frozenset[str] = frozenset()
    """Names of drivers in the batches' statuses."""

    @property
    def created(self) -> int:
        """Number of trials."""
        return self.unfinished + self.succeeded + self.failed + self.stopped

    @property
    def unfinished(self) -> int:
        """Number of trials that have not ended."""
        return self.pending + self.running

    @property
    def counts(self) -> TrialCounts:
        """Numbers of trials by state."""
        return TrialCounts(
            created=self.created,
            pending=self.pending,
            running=self.running,
            succeeded=self.succeeded,
            failed=self.failed,
            stopped=self.stopped,
        )

    @property
    def last_driver_number(self) -> int | None:
        """Highest number of a driver that has written a status; None if none has."""
        numbers = map(driver_number, self.drivers)
        return max((number for number in numbers if number is not None), default=None)

    def best(self, objective: Objective) -> tuple[float, int] | None:
        """Return the best value of an objective's metric and the number of its trial; None if none has succeeded."""
        extremes = self.extremes.get(objective.objective_metric_name)
        if extremes is None:
            return None
        if objective.type is ObjectiveType.MAXIMIZE:
            return extremes.greatest, extremes.greatest_number
        return extremes.least, extremes.least_number

    def merged(self, other: Summary) -> Summary:
        """Return the summary of this one's batches and another's."""
        if not other.batches:
            return self
        if not self.batches:
            return other
        return Summary(
            batches=self.batches + other.batches,
            pending=self.pending + other.pending,
            running=self.running + other.running,
            succeeded=self.succeeded + other.succeeded,
            failed=self.failed + other.failed,
            stopped=self.stopped + other.stopped,
            last_number=max(self.last_number, other.last_number),
            extremes=_merged_extremes(self.extremes, other.extremes),
            failures=_merged_failures(self.failures, other.failures),
            failure_kind=common_kind(self.failure_kind, other.failure_kind),
            first_time=_earlier(self.first_time, other.first_time),
            first_start=_earlier(self.first_start, other.first_start),
            ending=_first_mark(self.ending, other.ending),
            refused=_first_mark(self.refused, other.refused),
            problem=_last_mark(self.problem, other.problem),
            seed=_first_mark(self.seed, other.seed),
            drivers=self.drivers if other.drivers <= self.drivers else self.drivers | other.drivers,
        )


def summary_of(batch: TrialBatch, trials: Sequence[Trial]) -> Summary:
    """Return the summary of one batch, whose trials are sorted by number."""
    counts = dict.fromkeys(TrialState, 0)
    for trial in trials:
        counts[trial.state] += 1
    failed = [trial for trial in trials if trial.state is TrialState.FAILED]
    kind: bytes | None = None
    for trial in failed:
        kind = common_kind(kind, kind_of(trial.status))
    starts = (trial.status.start_time for trial in trials)
    first_start = min((moment for moment in starts if moment is not None), default=None)
    driver = batch.status.driver if batch.status else None
    return Summary(
        batches=1,
        pending=counts[TrialState.PENDING],
        running=counts[TrialState.RUNNING],
        succeeded=counts[TrialState.SUCCEEDED],
        failed=counts[TrialState.FAILED],
        stopped=counts[TrialState.STOPPED],
        last_number=trials[-1].number if trials else 0,
        extremes=_extremes_of(trials) if counts[TrialState.SUCCEEDED] else {},
        failures=last_failed(failed),
        failure_kind=kind,
        first_time=_earlier(batch.metadata.creation_timestamp, first_start),
        first_start=first_start,
        ending=_ending_of(batch),
        refused=_refusal_of(batch),
        problem=_problem_of(batch),
        seed=_seed_of(batch),
        drivers=frozenset([driver] if driver else []),
    )


def _extremes_of(trials: Iterable[Trial]) -> Mapping[str, Extremes]:
    columns: dict[str, tuple[list[float], list[int]]] = {}
    for trial in trials:
        if trial.state is TrialState.SUCCEEDED:
            for name, value in trial.status.metrics.items():
                values, numbers = columns.setdefault(name, ([], []))
                values.append(value)
                numbers.append(trial.number)
    extremes: dict[str, Extremes] = {}
    for name, (values, numbers) in columns.items():
        least, greatest = min(values), max(values)
        extremes[name] = Extremes(
            least,
            numbers[values.index(least)],
            greatest,
            numbers[values.index(greatest)],
            len(values),
        )
    return _bounded(extremes)


def _merged_extremes(
    one: Mapping[str, Extremes], other: Mapping[str, Extremes]
) -> Mapping[str, Extremes]:
    if not one or not other:
        return one or other
    merged = {**one, **other}
    for name in one.keys() & other.keys():
        first, second = one[name], other[name]
        least = min((first.least, first.least_number), (second.least, second.least_number))
        greatest = max(
            (first.greatest, -first.greatest_number), (second.greatest, -second.greatest_number)
        )
        trials = first.trials + second.trials
        merged[name] = Extremes(*least, greatest[0], -greatest[1], trials)
    return _bounded(merged)


def _bounded(extremes: Mapping[str, Extremes]) -> Mapping[str, Extremes]:
    if len(extremes) <= EXTREMES:
        return extremes
    names = sorted(extremes, key=lambda name: (-extremes[name].trials, name))
    return {name: extremes[name] for name in names[:EXTREMES]}


def _merged_failures(
    one: tuple[FailedTrial, ...], other: tuple[FailedTrial, ...]
) -> tuple[FailedTrial, ...]:
    if not one or not other:
        return one or other
    return tuple(sorted((*one, *other), key=completion_order, reverse=True)[:LAST_FAILED])


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _first_mark(one: Mark | None, other: Mark | None) -> Mark | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _last_mark(one: Mark | None, other: Mark | None) -> Mark | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)


def _problem_of(batch: TrialBatch) -> Mark:
    problem = batch.status.problem if batch.status is not None else None
    return Mark(batch.spec.index, problem or "")


def _ending_of(batch: TrialBatch) -> Mark | None:
    reason = (batch.metadata.annotations or {}).get(ENDING_ANNOTATION, "")
    if batch.spec.stop is None or reason not in _REASONS:
        return None
    return Mark(batch.spec.index, reason, batch.spec.stop.message)


def _refusal_of(batch: TrialBatch) -> Mark | None:
    refused = batch.status.refused if batch.status is not None else None
    return None if refused is None else Mark(batch.spec.index, refused)


def _seed_of(batch: TrialBatch) -> Mark | None:
    text = (batch.metadata.annotations or {}).get(SEED_ANNOTATION, "")
    return Mark(batch.spec.index, text) if text.isdecimal() else None
