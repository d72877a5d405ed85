"""The state of a local run: the planner's batches, joined with the trials' statuses that the driver reports.

On a cluster the API server holds this state as TrialBatches: the operator writes their specs, the driver their statuses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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


class RunState:
    """Batches and trials of one run. A batch is joined again only if something in it has changed."""

    def __init__(self, recorded: Recorded) -> None:
        self._statuses: dict[int, TrialStatus] = dict(recorded.trials)
        self._batches: dict[int, TrialBatch] = {}
        self._batch_of: dict[int, int] = {}
        for batch in recorded.batches.values():
            self.add_batch(batch)

    @property
    def batches(self) -> list[TrialBatch]:
        """The batches with their trials' statuses, by index."""
        return [self._batches[index] for index in sorted(self._batches)]

    @property
    def trials(self) -> list[Trial]:
        """Every trial, by number."""
        return trials_of(self.batches)

    def statuses_of(self, batch: TrialBatch) -> list[TrialStatus]:
        """Return the statuses of a batch's trials, as far as they were reported."""
        return _reported(batch, self._statuses)

    def add_batch(self, batch: TrialBatch) -> None:
        """Add a batch, or replace its spec."""
        index = batch.spec.index
        self._batch_of.update({trial.number: index for trial in batch.spec.trials})
        before = self._batches.get(index)
        refused = before.status.refused if before is not None and before.status else None
        self._batches[index] = _join(batch, self._statuses, refused)

    def update_statuses(self, statuses: Iterable[TrialStatus]) -> list[Trial]:
        """Replace the statuses of trials, and return those trials."""
        changed = {status.number: status for status in statuses}
        self._statuses |= changed
        for index in {self._batch_of[number] for number in changed}:
            batch = self._batches[index]
            refused = batch.status.refused if batch.status else None
            self._batches[index] = _join(batch, self._statuses, refused)
        touched = [self._batches[index] for index in {self._batch_of[n] for n in changed}]
        return [trial for trial in trials_of(touched) if trial.number in changed]

    def report(self, number: int, attempt: int, reported: ReportedMetrics) -> Trial | None:
        """Record the newest report of a trial's attempt, and return the trial; None if that attempt does not run."""
        status = self._statuses.get(number)
        if status is None or not status.runs(attempt):
            return None
        (trial,) = self.update_statuses([status.model_copy(update={"reported": reported})])
        return trial

    def refuse(self, message: str) -> None:
        """Record that the function can't take the parameters."""
        first = self._batches[min(self._batches)]
        status = (first.status or TrialBatchStatus()).model_copy(update={"refused": message})
        self._batches[first.spec.index] = first.model_copy(update={"status": status})


def recorded_trials(recorded: Recorded) -> list[Trial]:
    """Return every trial of a journal, sorted by number."""
    return RunState(recorded).trials


def _reported(batch: TrialBatch, statuses: Mapping[int, TrialStatus]) -> list[TrialStatus]:
    return [statuses[trial.number] for trial in batch.spec.trials if trial.number in statuses]


def _join(
    batch: TrialBatch, statuses: Mapping[int, TrialStatus], refused: str | None
) -> TrialBatch:
    reported = _reported(batch, statuses)
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
        refused=refused,
    )
    return batch.model_copy(update={"status": status})
