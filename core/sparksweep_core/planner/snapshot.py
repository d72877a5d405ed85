"""One look at an experiment: its trials, counted, and how far the search can go. Everything else is decided from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sparksweep_core.algorithms import Algorithm
from sparksweep_core.api import (
    AlgorithmName,
    Experiment,
    ExperimentSpec,
    Trial,
    TrialBatch,
    TrialCounts,
    best_of,
    count_states,
    limits,
    trials_of,
)
from sparksweep_core.planner.types import DriverState, DriverView


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is."""

    experiment: Experiment
    batches: tuple[TrialBatch, ...]
    """By index."""
    trials: tuple[Trial, ...]
    """By number."""
    counts: TrialCounts
    """Nothing runs without a driver: there, trials that an earlier driver left running count as pending."""
    best: Trial | None
    """The best trial so far."""
    algorithm: Algorithm
    size: int | None
    """How many trials the search would make by itself; None: it would never end."""
    limit: int
    """How many trials there may be."""
    driver: DriverView
    now: datetime

    @property
    def spec(self) -> ExperimentSpec:
        """The experiment's spec."""
        return self.experiment.spec

    @property
    def unfinished(self) -> int:
        """How many trials have not ended."""
        return self.counts.pending + self.counts.running

    @property
    def is_bounded(self) -> bool:
        """Whether it is known how many trials there will be."""
        return self.size is not None or self.spec.max_trial_count is not None

    @property
    def is_truncated(self) -> bool:
        """Whether the search has more points than may be tried."""
        return self.size is not None and self.size > self.limit

    @property
    def is_grid(self) -> bool:
        """Whether the search is a grid, whose points users count."""
        return self.spec.algorithm.algorithm_name is AlgorithmName.GRID

    @property
    def limit_text(self) -> str:
        """What sets the limit, for a message."""
        if self.spec.max_trial_count is not None:
            return f"maxTrialCount: {self.spec.max_trial_count}"
        return f"an Experiment has at most {limits.TRIALS} trials"


def look(
    experiment: Experiment,
    batches: Sequence[TrialBatch],
    *,
    algorithm: Algorithm,
    driver: DriverView,
    now: datetime,
) -> Snapshot:
    """The snapshot of an experiment and its batches."""
    ordered = tuple(sorted(batches, key=lambda batch: batch.spec.index))
    trials = tuple(trials_of(ordered))
    size = algorithm.size()
    bounds = (size, experiment.spec.max_trial_count, limits.TRIALS)
    counts = count_states(trials)
    if driver.state is not DriverState.RUNNING:
        waiting = counts.pending + counts.running
        counts = counts.model_copy(update={"pending": waiting, "running": 0})
    return Snapshot(
        experiment=experiment,
        batches=ordered,
        trials=trials,
        counts=counts,
        best=best_of(trials, experiment.spec.objective),
        algorithm=algorithm,
        size=size,
        limit=min(bound for bound in bounds if bound is not None),
        driver=driver,
        now=now,
    )


def count_text(count: int) -> str:
    """A count for a person; one that is too large to read by its order of magnitude: "10^40", "about 3.2 * 10^45"."""
    digits = str(count)
    if len(digits) <= 15:
        return digits
    power = len(digits) - 1
    if count == 10**power:
        return f"10^{power}"
    return f"about {digits[0]}.{digits[1]} * 10^{power}"
