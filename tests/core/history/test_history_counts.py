"""Work of a change: it is that of the batches that have changed, whatever their number."""

from __future__ import annotations

from sparksweep_core.api import (
    ObjectMeta,
    TrialBatch,
    TrialBatchSpec,
    TrialBatchStatus,
    TrialSpec,
    TrialState,
    TrialStatus,
)
from sparksweep_core.history import History

BATCHES = 500


def batch(index: int, *, state: TrialState = TrialState.SUCCEEDED) -> TrialBatch:
    numbers = range(3 * index + 1, 3 * index + 4)
    return TrialBatch(
        metadata=ObjectMeta(name=f"digits-{index:05d}"),
        spec=TrialBatchSpec(
            experiment="digits",
            index=index,
            trials=[
                TrialSpec(number=number, parameters={"x": str(number)}, lineage="")
                for number in numbers
            ],
        ),
        status=TrialBatchStatus(
            trials=[
                TrialStatus(number=number, state=state, attempt=1, metrics={"loss": 1.0 * number})
                for number in numbers
            ]
        ),
    )


def test_a_changed_batch_is_folded_summed_and_indexed_alone() -> None:
    history = History(batch(index) for index in reversed(range(BATCHES)))
    tried = history.view().trials.tried(["x"])
    assert (history.fold_count, tried.indexed_count) == (BATCHES, BATCHES)
    merges = history.merge_count
    history.put(batch(BATCHES, state=TrialState.RUNNING))
    history.put(batch(BATCHES))
    view = history.view()
    assert view.trials.tried(["x"]) is tried
    assert (history.fold_count, tried.indexed_count) == (BATCHES + 1, BATCHES + 1)
    assert history.merge_count - merges == 2 * BATCHES.bit_length()
    assert view.summary.created == 3 * (BATCHES + 1)


def test_a_folded_batch_gives_back_its_spec() -> None:
    record = History([batch(0)])["digits-00000"]
    assert record.is_folded
    assert record.batch() == batch(0).model_copy(update={"status": None})
    assert not record.trials[0].status.message


def test_a_view_stays_as_it_was_when_the_history_changes() -> None:
    history = History([batch(0), batch(1)])
    view = history.view()
    history.remove("digits-00000")
    history.put(batch(1, state=TrialState.FAILED))
    assert view.summary.succeeded == 6
    assert [trial.number for trial in view.trials] == [1, 2, 3, 4, 5, 6]
    assert history.view().summary.failed == 3
