"""Snapshot of an experiment: its trials and their counts, the search and its limit. Every decision is made from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sparksweep_core.ages import Age, age_at
from sparksweep_core.algorithms import Algorithm
from sparksweep_core.api import (
    AlgorithmName,
    Experiment,
    ExperimentSpec,
    Objective,
    Trial,
    TrialCounts,
    limits,
)
from sparksweep_core.history import HistoryView, Summary, TrialSequence
from sparksweep_core.planner.types import DriverState, DriverStatus


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State of an experiment at one moment."""

    experiment: Experiment
    history: HistoryView
    """All batches."""
    counts: TrialCounts
    """Trials by state. Without a running driver, trials that an earlier one left Running count as pending."""
    best: Trial | None
    """The best trial so far."""
    algorithm: Algorithm
    size: int | None
    """Number of trials after which the search ends by itself; None if it never does."""
    limit: int
    """Maximum number of trials."""
    driver: DriverStatus
    now: datetime
    age: Age
    """Gives the ages of stored times."""
    seed: int | None = None
    """Seed of the search; None if the algorithm has none."""

    @property
    def spec(self) -> ExperimentSpec:
        """The experiment's spec."""
        return self.experiment.spec

    @property
    def summary(self) -> Summary:
        """The summary of all batches."""
        return self.history.summary

    @property
    def trials(self) -> TrialSequence:
        """All trials, by number."""
        return self.history.trials

    @property
    def unfinished(self) -> int:
        """Number of trials that have not ended."""
        return self.counts.pending + self.counts.running

    @property
    def is_bounded(self) -> bool:
        """True if the total number of trials is known."""
        return self.size is not None or self.spec.max_trial_count is not None

    @property
    def points(self) -> int | None:
        """Number of points of the search space; None if it is not known to be finite."""
        return self.size if self.algorithm.bound() is None else None

    @property
    def is_truncated(self) -> bool:
        """True if the search has more points than the limit allows."""
        return self.size is not None and self.size > self.limit

    @property
    def is_grid(self) -> bool:
        """True for grid search, where messages count grid points."""
        return self.spec.algorithm.algorithm_name is AlgorithmName.GRID

    @property
    def limit_text(self) -> str:
        """Name of the setting that the limit comes from, for messages."""
        trials = self.spec.max_trial_count
        if trials is not None and trials == self.limit:
            return f"maxTrialCount: {trials}"
        bound = self.algorithm.bound()
        if bound is not None and self.size == self.limit:
            return bound
        return f"an Experiment has at most {limits.TRIALS} trials"

    @classmethod
    def take(
        cls,
        experiment: Experiment,
        history: HistoryView,
        *,
        algorithm: Algorithm,
        driver: DriverStatus,
        now: datetime,
        seed: int | None = None,
        age: Age | None = None,
    ) -> Snapshot:
        """Take a snapshot of an experiment and its history."""
        size = algorithm.size()
        bounds = (size, experiment.spec.max_trial_count, limits.TRIALS)
        counts = history.summary.counts
        if driver.state is not DriverState.RUNNING:
            unfinished = counts.pending + counts.running
            counts = counts.model_copy(update={"pending": unfinished, "running": 0})
        return cls(
            experiment=experiment,
            history=history,
            counts=counts,
            best=_best(history, experiment.spec.objective),
            algorithm=algorithm,
            size=size,
            limit=min(bound for bound in bounds if bound is not None),
            driver=driver,
            now=now,
            age=age or age_at(now),
            seed=seed,
        )


def _best(history: HistoryView, objective: Objective | None) -> Trial | None:
    best = None if objective is None else history.summary.best(objective)
    if best is None:
        return None
    value, number = best
    return next(
        trial
        for trial in history.trials.numbered(number)
        if trial.objective_value(objective) == value
    )


def count_text(count: int) -> str:
    """Format a count for people; one above 15 digits by its order of magnitude: "10^40", "about 3.2 * 10^45"."""
    digits = str(count)
    if len(digits) <= 15:
        return digits
    power = len(digits) - 1
    if count == 10**power:
        return f"10^{power}"
    return f"about {digits[0]}.{digits[1]} * 10^{power}"
