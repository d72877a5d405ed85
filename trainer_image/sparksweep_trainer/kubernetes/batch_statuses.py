"""Computes the status of each TrialBatch, and which of them must be written. Without I/O, threads or a clock.

A batch whose trials have all ended, and whose stored status says so, is never written again, whoever wrote it: it is
folded, and takes a few hundred bytes here. Only the newest batch stays as it is, because the planner may add trials to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sparksweep_core.api.reasons import TrialState
from sparksweep_core.api.status import ReportedMetrics, TrialCounts, TrialStatus
from sparksweep_core.api.trial_batch import TrialBatch, TrialBatchStatus

_Heading = tuple[int | None, str | None]
"""Generation and driver in a status."""


@dataclass
class _Batch:
    """One batch, as last read."""

    uid: str | None
    index: int
    version: str | None = None
    generation: int | None = None
    numbers: list[int] = field(default_factory=list)
    trials: dict[int, TrialStatus] = field(default_factory=dict)
    taken: _Heading | None = None
    """Heading of the status that was taken last."""
    written: _Heading | None = None
    """Heading of the status that was written last..."""
    stored: _Heading | None = None
    """...and as the API server answered: the CRD of an earlier version may lack fields of it."""
    is_folded: bool = False
    """True if all trials had ended when it was last read or written: their statuses are dropped here."""

    @property
    def is_finished(self) -> bool:
        return sum(trial.state.is_finished for trial in self.trials.values()) >= len(self.numbers)


class BatchStatuses:
    """The batches of one experiment as their driver knows them. Not thread-safe: its owner holds a lock."""

    def __init__(self, driver: str) -> None:
        self._driver = driver
        self._batches: dict[str, _Batch] = {}
        self._batch_names: dict[int, str] = {}
        self._dirty: set[str] = set()
        self._reported: set[str] = set()
        self._taken: set[str] = set()
        self._newest: str | None = None
        self._refused: str | None = None
        self._problem: str | None = None

    # ------------------------------------------------------------------ what is new

    def put(self, batch: TrialBatch, *, reload: bool = False) -> None:
        """Add or update a batch that was read.

        The status in it is used only if the batch is new here, or with `reload`: an earlier driver wrote it. The batch
        is marked for writing if the generation or the driver in its status is out of date.
        """
        name = batch.metadata.name
        entry = self._batches.get(name)
        if entry is not None and entry.is_folded:
            if is_finished(batch):
                entry.version = _later(entry.version, batch.metadata.resource_version)
                entry.generation = batch.metadata.generation
                return
            # It has grown: what was dropped here is in the status that was read.
            reload = True
        if entry is None or reload:
            entry = _Batch(uid=batch.metadata.uid, index=batch.spec.index)
            self._batches[name] = entry
            if batch.status is not None:
                entry.trials = {trial.number: trial for trial in batch.status.trials}
        version = batch.metadata.resource_version
        if version != entry.version and _later(entry.version, version) == entry.version:
            # A watch event from before this driver's own write.
            return
        entry.version = version
        numbers = [trial.number for trial in batch.spec.trials]
        for number in numbers[len(entry.numbers) :]:
            self._batch_names[number] = name
        entry.numbers = numbers
        entry.generation = batch.metadata.generation
        self._note_newest(name)
        status = batch.status or TrialBatchStatus()
        heading: _Heading | None = (status.observed_generation, status.driver)
        if heading == entry.stored:
            heading = entry.written
        if is_finished(batch):
            self.settle(name)
        elif heading != (entry.generation, self._driver):
            self._dirty.add(name)

    def settle(self, name: str) -> None:
        """Fold a batch whose trials have all ended and which is stored so, if it is not the newest."""
        entry = self._batches.get(name)
        is_stored = name not in self._dirty | self._reported | self._taken
        if entry is None or not is_stored or name == self._newest or not entry.is_finished:
            return
        for number in entry.numbers:
            self._batch_names.pop(number, None)
        entry.numbers, entry.trials, entry.is_folded = [], {}, True

    def is_current(
        self, name: str, *, uid: str | None, version: str | None, generation: int | None
    ) -> bool:
        """Return True if a batch is known exactly as it was just read: nothing in it is new.

        The version alone does not prove it: the answer to a write has the version of a spec that was not taken in yet.
        """
        entry = self._batches.get(name)
        if entry is None or version is None:
            return False
        return (entry.uid, entry.version, entry.generation) == (uid, version, generation)

    def record(self, changed: Iterable[TrialStatus]) -> None:
        """Record changed statuses of trials."""
        for trial in changed:
            name = self._batch_names.get(trial.number)
            batch = None if name is None else self._batches.get(name)
            if name is not None and batch is not None:
                batch.trials[trial.number] = trial
                self._dirty.add(name)

    def report(self, number: int, attempt: int, reported: ReportedMetrics) -> bool:
        """Record metrics reported by a trial; return False if that attempt does not run any more."""
        name = self._batch_names.get(number)
        batch = None if name is None else self._batches.get(name)
        trial = None if batch is None else batch.trials.get(number)
        if name is None or batch is None or trial is None or not trial.runs(attempt):
            return False
        batch.trials[number] = trial.model_copy(update={"reported": reported})
        self._reported.add(name)
        return True

    def refuse(self, message: str) -> None:
        """Record that the trial code can't take the parameters; the status of the newest batch says so."""
        self._refused = message
        if self._newest is not None:
            self._dirty.add(self._newest)

    def set_problem(self, problem: str | None) -> bool:
        """Record trouble of the driver, or its end, for the newest batch's status; return True if that is new."""
        if problem == self._problem:
            return False
        self._problem = problem
        if self._newest is not None:
            self._dirty.add(self._newest)
        return True

    def drop(self, name: str) -> None:
        """Forget a batch that is gone."""
        self._batches.pop(name, None)
        self._dirty.discard(name)
        self._reported.discard(name)
        self._taken.discard(name)
        if name == self._newest:
            self._newest = max(
                self._batches, key=lambda other: self._batches[other].index, default=None
            )

    # ------------------------------------------------------------------ what is to be written

    @property
    def dirty(self) -> list[str]:
        """Names of the batches to write, by index, without those of which only reports are new."""
        return sorted(self._dirty, key=lambda name: self._batches[name].index)

    @property
    def reported(self) -> list[str]:
        """Names of the batches of which reports of running trials are new and nothing else is, by index."""
        return sorted(self._reported - self._dirty, key=lambda name: self._batches[name].index)

    def take(self, name: str) -> tuple[dict[str, Any], str | None] | None:
        """Return a batch's status and the resource version to write it over, or None if there is nothing to write.

        The batch counts as written until something changes, or `put_back`.
        """
        batch = self._batches.get(name)
        if batch is None or name not in self._dirty | self._reported:
            return None
        self._dirty.discard(name)
        self._reported.discard(name)
        self._taken.add(name)
        batch.taken = (batch.generation, self._driver)
        return self._status(name, batch), batch.version

    def put_back(self, name: str) -> None:
        """Mark a batch as unwritten again, after its write failed."""
        self._taken.discard(name)
        if name in self._batches:
            self._dirty.add(name)

    def noted(self, name: str, version: str | None) -> None:
        """Record the resource version of a batch that was read."""
        batch = self._batches.get(name)
        if batch is not None:
            batch.version = _later(batch.version, version)

    def stored(self, name: str, answer: Mapping[str, Any]) -> None:
        """Record that what was taken of a batch is written, with the batch that the API server has answered."""
        self._taken.discard(name)
        batch = self._batches.get(name)
        if batch is not None:
            status = answer.get("status") or {}
            batch.written = batch.taken
            batch.stored = (status.get("observedGeneration"), status.get("driver"))
        self.noted(name, answer["metadata"].get("resourceVersion"))
        self.settle(name)

    def uid(self, name: str) -> str | None:
        """Return the UID of a batch, or None."""
        batch = self._batches.get(name)
        return None if batch is None else batch.uid

    @property
    def names(self) -> set[str]:
        """Names of all batches."""
        return set(self._batches)

    def _status(self, name: str, batch: _Batch) -> dict[str, Any]:
        counts = count(batch.trials.values(), total=len(batch.numbers))
        status = TrialBatchStatus(
            observed_generation=batch.generation,
            driver=self._driver,
            progress=_progress(counts),
            counts=counts,
            refused=self._refused if name == self._newest else None,
            trials=[
                batch.trials[number]
                for number in sorted(batch.trials)
                if batch.trials[number].attempt > 0
                or batch.trials[number].state is not TrialState.PENDING
            ],
        )
        document = status.to_dict()
        # A merge patch leaves what it does not name.
        document["problem"] = self._problem if name == self._newest else None
        return document

    def _note_newest(self, name: str) -> None:
        before = self._newest
        if before is None or self._batches[name].index > self._batches[before].index:
            self._newest = name
            if self._problem is not None:
                self._dirty.add(name)
            if before is not None:
                self.settle(before)


def claim_status(batch: TrialBatch, driver: str) -> dict[str, Any]:
    """Return what a driver writes into a batch that it takes over: everything but the trials, which stay as they are."""
    statuses = batch.status.trials if batch.status is not None else []
    counts = count(statuses, total=len(batch.spec.trials))
    status = TrialBatchStatus(
        observed_generation=batch.metadata.generation,
        driver=driver,
        progress=_progress(counts),
        counts=counts,
    ).to_dict()
    del status["trials"]
    # An earlier driver's.
    status["problem"] = None
    return status


def _progress(counts: TrialCounts) -> str:
    return f"{counts.succeeded + counts.failed + counts.stopped}/{counts.created}"


def count(trials: Iterable[TrialStatus], *, total: int) -> TrialCounts:
    """Count `total` trials by state; one without a status is pending."""
    counts = dict.fromkeys(TrialState, 0)
    for trial in trials:
        counts[trial.state] += 1
    pending = total - sum(counts.values()) + counts[TrialState.PENDING]
    return TrialCounts(
        created=total,
        pending=pending,
        running=counts[TrialState.RUNNING],
        succeeded=counts[TrialState.SUCCEEDED],
        failed=counts[TrialState.FAILED],
        stopped=counts[TrialState.STOPPED],
    )


def is_finished(batch: TrialBatch) -> bool:
    """Return True if every trial of the batch has ended."""
    trials = batch.status.trials if batch.status is not None else []
    return sum(trial.state.is_finished for trial in trials) >= len(batch.spec.trials)


def _later(recorded: str | None, observed: str | None) -> str | None:
    """Return the later of two resource versions: a watch event may be older than the response to a write."""
    if recorded is None or observed is None:
        return observed or recorded
    if recorded.isdigit() and observed.isdigit():
        return max(recorded, observed, key=int)
    return observed
