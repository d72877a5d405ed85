"""Work of a change: it is that of the batches that have changed, whatever their number."""

from __future__ import annotations

import pytest

from sparksweep_core.algorithms.differential_evolution.lineage import Lineage
from sparksweep_core.algorithms.differential_evolution.population import newest_population
from sparksweep_core.api import (
    Objective,
    ObjectiveType,
    ObjectMeta,
    Trial,
    TrialBatch,
    TrialBatchSpec,
    TrialBatchStatus,
    TrialSpec,
    TrialState,
    TrialStatus,
    limits,
)
from sparksweep_core.history import History, TrialSequence
from sparksweep_core.history.summary import EXTREMES

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


def test_extremes_of_a_bounded_number_of_metrics_are_kept_and_the_objectives_among_them() -> None:
    history = History()
    for index in range(50):
        one = batch(index)
        assert one.status is not None
        others = range(limits.METRICS - 1)
        trials = [
            status.model_copy(
                update={
                    "metrics": {
                        # Their names come before the objective's, and no two trials have the same.
                        **{f"a-{status.number}-{place}": 0.0 for place in others},
                        "loss": float(abs(status.number - 77)),
                    }
                }
            )
            for status in one.status.trials
        ]
        status = one.status.model_copy(update={"trials": trials})
        history.put(one.model_copy(update={"status": status}))
        assert len(history.summary.extremes) <= EXTREMES
    objective = Objective(type=ObjectiveType.MINIMIZE, objective_metric_name="loss")
    assert history.summary.best(objective) == (0.0, 77)
    assert history.summary.extremes["loss"].trials == 150


class CountingSequence(TrialSequence):
    reads = 0

    def _read(self, index: int) -> Trial:
        self.reads += 1
        return super()._read(index)


@pytest.mark.parametrize("stuck", [None, 1, 3])
def test_one_trial_that_never_ends_has_no_more_of_the_others_read(stuck: int | None) -> None:
    size = 5

    def lineage(number: int) -> str:
        if number <= size:
            return str(Lineage(0, number - 1, size))
        # The stuck trial's target gets no other one.
        free = [target for target in range(size) if target + 1 != stuck]
        return str(Lineage(0, free[number % len(free)], size, parent=number - len(free)))

    def state(number: int) -> TrialState:
        return TrialState.RUNNING if number == stuck else TrialState.SUCCEEDED

    reads, last = [], []
    for batches in (5, 500):
        bodies = [batch(index) for index in range(batches)]
        for place, body in enumerate(bodies):
            assert body.status is not None
            specs = [item.model_copy(update={"lineage": lineage(item.number)}) for item in body.spec.trials]  # fmt: skip
            statuses = [item.model_copy(update={"state": state(item.number)}) for item in body.status.trials]  # fmt: skip
            bodies[place] = body.model_copy(
                update={
                    "spec": body.spec.model_copy(update={"trials": specs}),
                    "status": body.status.model_copy(update={"trials": statuses}),
                }
            )
        trials = CountingSequence(History(bodies).view().records, {})
        population = newest_population(trials, lambda trial: float(trial.number), depth=2)
        assert population is not None
        assert population.busy == (set() if stuck is None else {stuck - 1})
        assert population.started_count == size
        reads.append(trials.reads)
        last.append(population.ended_count)
    assert max(reads) <= 40
    assert last == [10, 10]
