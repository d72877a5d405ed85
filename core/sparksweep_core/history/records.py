"""One batch of a history: as it is while trials of it have not ended, folded once all have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparksweep_core.api import Trial, TrialBatch, trials_of
from sparksweep_core.history.summary import Summary, summary_of
from sparksweep_core.history.trial_columns import TrialColumns


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A version of a batch. Immutable."""

    name: str
    uid: str | None
    index: int
    first_number: int
    """Number of the first trial; 0 without any."""
    summary: Summary
    trials: Sequence[Trial]
    """Trials by number. Of a folded batch each is made when it is read, with the part of its status that
    `TrialColumns` keeps."""
    content: TrialBatch | bytes
    """The batch; of a folded one the JSON of its metadata and of its spec without trials."""

    @classmethod
    def of(cls, batch: TrialBatch) -> BatchRecord:
        """Return the record of a batch, folded if all its trials have ended."""
        trials: Sequence[Trial] = tuple(trials_of([batch]))
        summary = summary_of(batch, trials)
        first_number = trials[0].number if trials else 0
        content: TrialBatch | bytes = batch
        if summary.unfinished == 0:
            spec = batch.spec.model_copy(update={"trials": []})
            bare = batch.model_copy(update={"spec": spec, "status": None})
            content = bare.to_json().encode()
            trials = TrialColumns(trials)
        return cls(
            name=batch.metadata.name,
            uid=batch.metadata.uid,
            index=batch.spec.index,
            first_number=first_number,
            summary=summary,
            trials=trials,
            content=content,
        )

    @property
    def is_folded(self) -> bool:
        """True if all trials have ended."""
        return isinstance(self.content, bytes)

    @property
    def order(self) -> tuple[int, str]:
        """Key that sorts an experiment's batches."""
        return self.index, self.name

    def point(self, row: int) -> dict[str, str]:
        """Return the point of the trial at a position, without making the trial."""
        if isinstance(self.trials, TrialColumns):
            return self.trials.point(row)
        return self.trials[row].spec.parameters

    def batch(self) -> TrialBatch:
        """Return the planner's half of the batch: metadata and spec, without the status, which is the driver's."""
        if isinstance(self.content, TrialBatch):
            return self.content.model_copy(update={"status": None})
        bare = TrialBatch.from_json(self.content)
        trials = [trial.spec for trial in self.trials]
        return bare.model_copy(update={"spec": bare.spec.model_copy(update={"trials": trials})})
