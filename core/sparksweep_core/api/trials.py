"""The trial, its spec and its status joined, and functions of many trials."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from sparksweep_core.api.reasons import TrialState
from sparksweep_core.api.search_spec import Objective, ObjectiveType
from sparksweep_core.api.status import TrialCounts, TrialStatus
from sparksweep_core.api.trial_batch import TrialBatch, TrialSpec


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial: its spec and its status."""

    spec: TrialSpec
    status: TrialStatus

    @property
    def number(self) -> int:
        """Number of the trial, from 1."""
        return self.spec.number

    @property
    def state(self) -> TrialState:
        """State of the trial."""
        return self.status.state

    def objective_value(self, objective: Objective | None) -> float | None:
        """Return the objective's metric of a succeeded trial; None for any other, or without an objective."""
        if objective is None or self.state is not TrialState.SUCCEEDED:
            return None
        return self.status.metrics.get(objective.objective_metric_name)


def trials_of(batches: Sequence[TrialBatch]) -> list[Trial]:
    """Return all trials of the batches, by number; one without a status is Pending and was never started."""
    return sorted(_trials(batches), key=lambda trial: trial.number)


def _trials(batches: Sequence[TrialBatch]) -> Iterator[Trial]:
    for batch in batches:
        statuses = {item.number: item for item in batch.status.trials} if batch.status else {}
        for spec in batch.spec.trials:
            yield Trial(spec, statuses.get(spec.number) or TrialStatus(number=spec.number))


def count_states(trials: Iterable[Trial | TrialStatus], expected: int | None = None) -> TrialCounts:
    """Count trials by state; ``created`` is the sum."""
    counts = dict.fromkeys(TrialState, 0)
    for trial in trials:
        counts[trial.state] += 1
    return TrialCounts(
        expected=expected,
        created=sum(counts.values()),
        pending=counts[TrialState.PENDING],
        running=counts[TrialState.RUNNING],
        succeeded=counts[TrialState.SUCCEEDED],
        failed=counts[TrialState.FAILED],
        stopped=counts[TrialState.STOPPED],
    )


def is_better(candidate: float, incumbent: float, objective: Objective) -> bool:
    """Return True if a finite objective value beats another. Equal values don't, so the earlier trial stays the best."""
    match objective.type:
        case ObjectiveType.MAXIMIZE:
            return candidate > incumbent
        case ObjectiveType.MINIMIZE:
            return candidate < incumbent
        case unreachable:
            assert_never(unreachable)


def best_of(trials: Iterable[Trial], objective: Objective | None) -> Trial | None:
    """Return the best succeeded trial, of equals the one with the lowest number; None without an objective."""
    if objective is None:
        return None
    best: tuple[float, Trial] | None = None
    for trial in sorted(trials, key=lambda trial: trial.number):
        value = trial.objective_value(objective)
        if value is not None and (best is None or is_better(value, best[0], objective)):
            best = (value, trial)
    return best[1] if best else None


def reaches_goal(value: float, objective: Objective) -> bool:
    """Return True if an objective value is at least as good as the goal."""
    if objective.goal is None:
        return False
    return value == objective.goal or is_better(value, objective.goal, objective)
