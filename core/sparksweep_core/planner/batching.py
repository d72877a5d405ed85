"""The next trials: enough that no slot has to wait for the planner, in batches of bounded size."""

from __future__ import annotations

from sparksweep_core.api import (
    Experiment,
    ObjectMeta,
    TrialBatch,
    TrialBatchSpec,
    TrialSpec,
    batch_name,
    limits,
)
from sparksweep_core.api.metadata import API_VERSION, EXPERIMENT_LABEL, OwnerReference
from sparksweep_core.planner.snapshot import Snapshot


def next_batches(view: Snapshot) -> list[TrialBatch]:
    """The last batch, if trials were appended to it or the parallelism has changed, and new batches."""
    batches = list(view.batches)
    new = _with_new_trials(view, batches)
    parallel = view.spec.parallel_trial_count
    # Where nothing is left to run, nobody has to know, and the end must not wait for it.
    if new or view.unfinished == 0 or batches[-1].spec.parallel_trial_count == parallel:
        return new
    return [_told(batches[-1], parallel)]


def _with_new_trials(view: Snapshot, batches: list[TrialBatch]) -> list[TrialBatch]:
    count = _wanted(view)
    if count <= 0:
        return []
    trials = view.algorithm.propose(view.trials, count)
    changed = []
    room = _room(batches[-1]) if batches else 0
    if room and trials:
        last = _appended(batches[-1], trials[:room])
        changed.append(_told(last, view.spec.parallel_trial_count))
    index = batches[-1].spec.index + 1 if batches else 0
    for start in range(room, len(trials), limits.BATCH_TRIALS):
        chunk = trials[start : start + limits.BATCH_TRIALS]
        changed.append(_new(view.experiment, index, chunk))
        index += 1
    return changed


def _wanted(view: Snapshot) -> int:
    """How many trials to make. Where results don't matter, whole batches: that takes the fewest writes."""
    ahead = view.algorithm.ahead(view.spec.parallel_trial_count)
    if view.algorithm.ignores_results:
        # The planner turns once a second at most: that must not limit short trials to a few a second.
        ahead = max(ahead, limits.BATCH_TRIALS)
    else:
        # Few wait, so those that are about to run come on top.
        ahead += max(0, view.spec.parallel_trial_count - view.counts.running)
    missing = ahead - view.counts.pending
    last = view.trials[-1].number if view.trials else 0
    if missing <= 0 or last >= view.limit:
        return 0
    if view.algorithm.ignores_results:
        room = _room(view.batches[-1]) if view.batches else 0
        beyond = max(0, missing - room)
        missing = room + -(-beyond // limits.BATCH_TRIALS) * limits.BATCH_TRIALS
    return min(missing, view.limit - last)


def _room(batch: TrialBatch) -> int:
    return 0 if batch.spec.stop else limits.BATCH_TRIALS - len(batch.spec.trials)


def _appended(batch: TrialBatch, trials: list[TrialSpec]) -> TrialBatch:
    spec = batch.spec.model_copy(update={"trials": [*batch.spec.trials, *trials]})
    return batch.model_copy(update={"spec": spec})


def _told(batch: TrialBatch, parallel: int) -> TrialBatch:
    return batch.model_copy(
        update={"spec": batch.spec.model_copy(update={"parallel_trial_count": parallel})}
    )


def _new(experiment: Experiment, index: int, trials: list[TrialSpec]) -> TrialBatch:
    metadata = experiment.metadata
    return TrialBatch(
        metadata=ObjectMeta(
            name=batch_name(metadata.name, index),
            namespace=metadata.namespace,
            labels={EXPERIMENT_LABEL: metadata.name},
            owner_references=_owners(experiment),
        ),
        spec=TrialBatchSpec(
            experiment=metadata.name,
            index=index,
            trials=trials,
            parallel_trial_count=experiment.spec.parallel_trial_count,
        ),
    )


def _owners(experiment: Experiment) -> list[OwnerReference] | None:
    """The reference by which Kubernetes deletes the batch with its Experiment; a local run's has no UID."""
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
