"""The state of a local run: a change costs its batch, however many trials have ended, and a plan of it is exact."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from types import FrameType

import pytest

from sparksweep._local.journal import Recorded
from sparksweep._local.state import RunState, recorded_trials
from sparksweep_core.api import Experiment, Trial, TrialBatch, TrialState, TrialStatus, trials_of
from sparksweep_core.history import records
from sparksweep_core.planner import DriverState, DriverStatus, Plan, plan
from sparksweep_core.validation.document import parse_experiment

START = datetime(2026, 1, 1, tzinfo=UTC)
PARALLEL = 4


def experiment(trials: int, algorithm: str = "random") -> Experiment:
    return parse_experiment(
        {
            "apiVersion": "sparksweep.dev/v1alpha1",
            "kind": "Experiment",
            "metadata": {"name": "many"},
            "spec": {
                "objective": {"type": "minimize", "objectiveMetricName": "loss"},
                "algorithm": {
                    "algorithmName": algorithm,
                    "algorithmSettings": [{"name": "seed", "value": "7"}],
                },
                "parallelTrialCount": PARALLEL,
                "maxTrialCount": trials,
                "parameters": [
                    {
                        "name": name,
                        "parameterType": "double",
                        "feasibleSpace": {"min": "0", "max": "1"},
                    }
                    for name in ("x", "y")
                ],
                "trialTemplate": {"function": "train:training"},
            },
        }
    )


def status(number: int, state: TrialState) -> TrialStatus:
    start = START + timedelta(seconds=number)
    ended = state.is_finished
    return TrialStatus(
        number=number,
        state=state,
        attempt=1,
        reason="Completed" if state is TrialState.SUCCEEDED else None,
        metrics={"loss": random.Random(number).random()} if ended else {},
        start_time=start,
        completion_time=start + timedelta(seconds=1) if ended else None,
        duration_seconds=1.0 if ended else None,
    )


class Run:
    """A run whose trials end in the order of their numbers, `PARALLEL` at a time."""

    def __init__(self, trials: int, algorithm: str = "random") -> None:
        self.experiment = experiment(trials, algorithm)
        self.recorded = Recorded()
        self.state = RunState(self.recorded)
        self.next = 1

    def plan(self) -> Plan:
        return plan(
            self.experiment,
            self.state.history,
            driver=DriverStatus(DriverState.RUNNING),
            now=START + timedelta(days=1),
        )

    def turn(self) -> None:
        """Plan, carry the plan out, and let trials end; the journal records all of it."""
        planned = self.plan()
        self.experiment = self.experiment.model_copy(update={"status": planned.status})
        for batch in planned.batches:
            self.recorded.batches[batch.spec.index] = batch
            self.state.add_batch(batch)
        created = planned.status.trials.created
        numbers = range(self.next, min(self.next + PARALLEL, created + 1))
        self.next += len(numbers)
        ended = [status(number, TrialState.SUCCEEDED) for number in numbers]
        self.recorded.trials |= {item.number: item for item in ended}
        self.state.update_statuses(ended)

    def until(self, ended: int) -> None:
        while self.next <= ended:
            self.turn()


def calls_in(action: Callable[[], object]) -> int:
    """Return the number of calls of Python functions and generators."""
    count = 0

    def note(_: FrameType, event: str, __: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count


def visited_in(action: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the number of trials that were read to be put into the history."""
    visited = 0

    def counted(batches: Sequence[TrialBatch]) -> list[Trial]:
        nonlocal visited
        trials = trials_of(batches)
        visited += len(trials)
        return trials

    with monkeypatch.context() as patch:
        patch.setattr(records, "trials_of", counted)
        action()
    return visited


def test_a_turn_visits_as_many_trials_after_thousands_as_after_hundreds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    visited, calls = {}, {}
    for ended in (210, 3010):
        run = Run(10_000)
        run.until(ended)
        visited[ended] = visited_in(run.turn, monkeypatch)
        run.until(run.next + 7)
        calls[ended] = calls_in(run.turn)
    assert visited[210] == visited[3010] <= 2 * 100
    # Of the 2,800 trials more none is visited: their 28 batches cost some levels of a tree, and a length each.
    assert calls[3010] - calls[210] < 2800 / 10


@pytest.mark.parametrize("algorithm", ["random", "differential-evolution"])
def test_a_plan_of_the_history_equals_one_of_all_batches(algorithm: str) -> None:
    run = Run(400, algorithm)
    while run.next <= 130:
        run.turn()
        from_list = plan(
            run.experiment,
            run.state.batches,
            driver=DriverStatus(DriverState.RUNNING),
            now=START + timedelta(days=1),
        )
        assert run.plan() == from_list


def test_a_resumed_run_folds_each_ended_batch_once_and_plans_the_same() -> None:
    run = Run(1000)
    run.until(450)
    resumed = RunState(run.recorded)
    assert resumed._history.fold_count == 4
    assert resumed.trials == run.state.trials == recorded_trials(run.recorded)
    assert resumed.batches == run.state.batches
    taken_over, run.state = run.plan(), resumed
    assert run.plan() == taken_over


def test_reports_and_refusals_reach_the_history() -> None:
    run = Run(20)
    run.turn()
    running = status(7, TrialState.RUNNING)
    (changed,) = run.state.update_statuses([running])
    assert changed.status == running
    assert run.state.history.summary.running == 1
    run.state.refuse("the function takes no y")
    run.state.refuse("the function takes no y")
    refused = run.state.history.summary.refused
    assert refused is not None
    assert refused.text == "the function takes no y"
    assert run.state.batches[0].status is not None
    assert run.state.batches[0].status.refused == "the function takes no y"
    assert trials_of(run.state.batches) == run.state.trials
