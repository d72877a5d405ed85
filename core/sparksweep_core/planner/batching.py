"""Create the next trials: enough that no slot waits for the planner, in batches of a bounded number and of bounded size.

A batch holds at most `limits.BATCH_TRIALS` trials, in at most `limits.BATCH_SPEC_BYTES` as they are stored.
"""

from __future__ import annotations

from collections.abc import Sequence

from sparksweep_core.api import (
    Experiment,
    ObjectMeta,
    TrialBatch,
    TrialBatchSpec,
    TrialSpec,
    batch_name,
    limits,
)
from sparksweep_core.api.metadata import API_VERSION, OwnerReference
from sparksweep_core.contract.labels import experiment_selector
from sparksweep_core.planner.seeding import seed_annotation
from sparksweep_core.planner.snapshot import Snapshot
from sparksweep_core.stored_size import stored_bytes


def next_batches(snapshot: Snapshot) -> list[TrialBatch]:
    """Return the batches to write: the last one if its trials or the parallelism change, and new ones."""
    record = snapshot.history.last
    last = None if record is None else record.batch()
    new = _with_new_trials(snapshot, last)
    parallel = snapshot.spec.slots
    # With nothing left to run the driver needs no new parallelism, and the end must not wait for the write.
    if new or snapshot.unfinished == 0 or last is None:
        return new
    if last.spec.parallel_trial_count == parallel:
        return []
    return [_with_parallelism(last, parallel)]


def _with_new_trials(snapshot: Snapshot, last: TrialBatch | None) -> list[TrialBatch]:
    count = _count_to_propose(snapshot, last)
    if count <= 0:
        return []
    trials = snapshot.algorithm.propose(snapshot.trials, count)
    changed = []
    first = 0
    if last is not None and not last.spec.stop:
        first = _fitting(trials, after=last.spec.trials)
        if first:
            appended = _with_appended(last, trials[:first])
            changed.append(_with_parallelism(appended, snapshot.spec.slots))
    index = 0 if last is None else last.spec.index + 1
    while first < len(trials):
        end = first + _fitting(trials[first:])
        changed.append(_new_batch(snapshot, index, trials[first:end]))
        first, index = end, index + 1
    return changed


def _count_to_propose(snapshot: Snapshot, last: TrialBatch | None) -> int:
    """Return the number of trials to propose. If the search ignores results: whole batches, for the fewest writes."""
    ahead = snapshot.algorithm.ahead(snapshot.spec.slots)
    if snapshot.algorithm.ignores_results:
        # The planner runs at most once a second: that must not limit short trials to a few a second.
        ahead = max(ahead, limits.BATCH_TRIALS)
    else:
        # Only a few are pending, so add those that are about to run.
        ahead += max(0, snapshot.spec.slots - snapshot.counts.running)
    missing = ahead - snapshot.counts.pending
    last_number = snapshot.summary.last_number
    if missing <= 0 or last_number >= snapshot.limit:
        return 0
    if snapshot.algorithm.ignores_results:
        room = _free_room(last)
        beyond = max(0, missing - room)
        missing = room + -(-beyond // limits.BATCH_TRIALS) * limits.BATCH_TRIALS
    return min(missing, snapshot.limit - last_number)


def _free_room(batch: TrialBatch | None) -> int:
    """Return the number of trials that the batch still has room for, as far as their number decides."""
    return 0 if batch is None or batch.spec.stop else limits.BATCH_TRIALS - len(batch.spec.trials)


def _fitting(trials: Sequence[TrialSpec], *, after: Sequence[TrialSpec] = ()) -> int:
    """Return how many of `trials`, from the first on, fit into one batch.

    Args:
        trials: the trials to add.
        after: those that the batch has. An empty batch takes at least one: validation refuses larger ones.
    """
    most = min(len(trials), limits.BATCH_TRIALS - len(after))
    if most <= 0:
        return 0
    left = limits.BATCH_SPEC_BYTES - sum(map(_trial_bytes, after))
    for index in range(most):
        left -= _trial_bytes(trials[index])
        if left < 0:
            return index if index or after else 1
    return most


def _trial_bytes(trial: TrialSpec) -> int:
    """Return the bytes of a trial as it is stored, with the comma after it."""
    return stored_bytes(trial.to_dict()) + 1


def _with_appended(batch: TrialBatch, trials: list[TrialSpec]) -> TrialBatch:
    spec = batch.spec.model_copy(update={"trials": [*batch.spec.trials, *trials]})
    return batch.model_copy(update={"spec": spec})


def _with_parallelism(batch: TrialBatch, parallel: int) -> TrialBatch:
    return batch.model_copy(
        update={"spec": batch.spec.model_copy(update={"parallel_trial_count": parallel})}
    )


def _new_batch(snapshot: Snapshot, index: int, trials: list[TrialSpec]) -> TrialBatch:
    experiment, metadata = snapshot.experiment, snapshot.experiment.metadata
    return TrialBatch(
        metadata=ObjectMeta(
            name=batch_name(metadata.name, index),
            namespace=metadata.namespace,
            labels=experiment_selector(metadata.name),
            annotations=seed_annotation(snapshot.seed),
            owner_references=_owners(experiment),
        ),
        spec=TrialBatchSpec(
            experiment=metadata.name,
            index=index,
            trials=trials,
            parallel_trial_count=experiment.spec.slots,
        ),
    )


def _owners(experiment: Experiment) -> list[OwnerReference] | None:
    """Return the owner reference that deletes the batch with its Experiment; None in a local run, which has no UID."""
    if experiment.metadata.uid is None:
        return None
    owner = OwnerReference(
        api_version=API_VERSION,
        kind=experiment.kind,
        name=experiment.metadata.name,
        uid=experiment.metadata.uid,
        controller=True,
        block_owner_deletion=True,
    )
    return [owner]
