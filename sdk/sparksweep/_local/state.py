"""The state of a local run: the planner's batches, joined with the trials' statuses that the driver reports.

On a cluster the API server holds this state as TrialBatches: the operator writes their specs, the driver their statuses.
"""

from __future__ import annotations

from collections.abc import Iterable

from sparksweep._local.journal import Recorded
from sparksweep_core.api import (
    Trial,
    TrialBatch,
    TrialBatchStatus,
    TrialStatus,
    count_states,
    trials_of,
)
from sparksweep_core.api.status import ReportedMetrics
from sparksweep_core.history import History, HistoryView


class RunState:
    """Batches and trials of one run, and the history that a plan reads.

    A change costs its batch and no other: the batch is joined with the statuses of its trials and put into the history,
    which folds it once all its trials have ended.
    """

    def __init__(self, recorded: Recorded) -> None:
        self._statuses: dict[int, TrialStatus] = dict(recorded.trials)
        self._specs: dict[int, TrialBatch] = {}
        self._batch_of: dict[int, int] = {}
        self._refused: dict[int, str] = {}
        self._history = History()
        for batch in recorded.batches.values():
            self.add_batch(batch)

    @property
    def history(self) -> HistoryView:
        """The batches as they are now, for a plan."""
        return self._history.view()

    @property
    def batches(self) -> list[TrialBatch]:
        """The batches with their trials' statuses, by index; each is made anew."""
        return [self._join(index) for index in sorted(self._specs)]

    @property
    def trials(self) -> list[Trial]:
        """Every trial, by number."""
        return trials_of(self.batches)

    def statuses_of(self, batch: TrialBatch) -> list[TrialStatus]:
        """Return the statuses of a batch's trials, as far as they were reported."""
        return [
            self._statuses[trial.number]
            for trial in batch.spec.trials
            if trial.number in self._statuses
        ]

    def add_batch(self, batch: TrialBatch) -> None:
        """Add a batch, or replace its spec."""
        index = batch.spec.index
        self._batch_of.update({trial.number: index for trial in batch.spec.trials})
        self._specs[index] = batch.model_copy(update={"status": None})
        self._put(index)

    def update_statuses(self, statuses: Iterable[TrialStatus]) -> list[Trial]:
        """Replace the statuses of trials, and return those trials."""
        changed = {status.number: status for status in statuses}
        self._statuses |= changed
        touched = [self._put(index) for index in {self._batch_of[number] for number in changed}]
        return [trial for trial in trials_of(touched) if trial.number in changed]

    def report(self, number: int, attempt: int, reported: ReportedMetrics) -> Trial | None:
        """Record the newest report of a trial's attempt, and return the trial; None if that attempt does not run."""
        status = self._statuses.get(number)
        if status is None or not status.runs(attempt):
            return None
        (trial,) = self.update_statuses([status.model_copy(update={"reported": reported})])
        return trial

    def refuse(self, message: str) -> None:
        """Record that the function can't take the parameters, in the first batch."""
        first = min(self._specs)
        if self._refused.get(first) != message:
            self._refused[first] = message
            self._put(first)

    def _put(self, index: int) -> TrialBatch:
        """Put a batch's newest version into the history, and return it."""
        batch = self._join(index)
        self._history.put(batch)
        return batch

    def _join(self, index: int) -> TrialBatch:
        """Return a batch with the statuses of its trials."""
        batch = self._specs[index]
        reported = self.statuses_of(batch)
        unreported = len(batch.spec.trials) - len(reported)
        counts = count_states(reported)
        counts = counts.model_copy(
            update={"created": counts.created + unreported, "pending": counts.pending + unreported}
        )
        finished = counts.succeeded + counts.failed + counts.stopped
        status = TrialBatchStatus(
            progress=f"{finished}/{counts.created}",
            counts=counts,
            trials=reported,
            refused=self._refused.get(index),
        )
        return batch.model_copy(update={"status": status})


def recorded_trials(recorded: Recorded) -> list[Trial]:
    """Return every trial of a journal, sorted by number."""
    trials = [
        Trial(spec, recorded.trials.get(spec.number) or TrialStatus(number=spec.number))
        for batch in recorded.batches.values()
        for spec in batch.spec.trials
    ]
    return sorted(trials, key=lambda trial: trial.number)
