"""Random histories: invariants that hold whatever happens to an experiment, in any order."""

from __future__ import annotations

import math

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from sparksweep_core.algorithms import create
from sparksweep_core.api import (
    AlgorithmName,
    ConditionType,
    ExperimentStatus,
    Objective,
    ObjectiveType,
    TrialState,
    TrialStatus,
    limits,
)
from sparksweep_core.api.algorithm_settings import EvolutionMode
from sparksweep_core.planner import DriverState
from support.hypothesis_profiles import examples
from support.planner.planner_simulation import MAXIMIZE, METRIC, MINIMIZE, Simulation, experiment_of

values = st.none() | st.sampled_from([math.nan, -1e300, -3.0, -1.0, 0.0, 0.5, 0.5, 1.0, 7.25])


class Histories(RuleBasedStateMachine):
    """One experiment, and everything that may happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.finished: dict[int, TrialStatus] = {}
        self.end: ExperimentStatus | None = None
        self.best: float | None = None

    @initialize(
        points=st.integers(1, 350) | st.none(),
        most=st.integers(1, 350),
        is_bounded=st.booleans(),
        algorithm=st.sampled_from(AlgorithmName),
        mode=st.sampled_from(EvolutionMode),
        population=st.integers(4, 30),
        objective=st.sampled_from([None, MAXIMIZE, MINIMIZE]),
        goal=st.none() | st.sampled_from([-3.0, 0.5, 7.0]),
        most_failed=st.none() | st.integers(0, 20),
        deadline=st.none() | st.integers(1, 500),
        parallel=st.integers(1, 80),
        retries=st.integers(0, 2),
        suspend=st.booleans(),
    )
    def create(
        self, points: int, most: int, is_bounded: bool, algorithm: AlgorithmName, mode: EvolutionMode,
        population: int, objective: Objective | None, goal: float | None, most_failed: int | None,
        deadline: int | None, parallel: int, retries: int, suspend: bool,
    ) -> None:  # fmt: skip
        settings = None
        if algorithm is AlgorithmName.DIFFERENTIAL_EVOLUTION:
            settings = {"mode": mode.value, "population": f"{population}", "generations": "9"}
            objective = objective or MAXIMIZE
        elif algorithm is AlgorithmName.GRID:
            points = points or 77
        self.simulation = Simulation(
            experiment_of(
                points=points,
                algorithm=algorithm,
                settings=settings,
                max_trial_count=most if is_bounded or points is None else None,
                objective=objective and objective.model_copy(update={"goal": goal}),
                max_failed_trial_count=most_failed,
                active_deadline_seconds=deadline,
                parallel_trial_count=parallel,
                retries=retries,
                suspend=suspend,
            )
        )
        self.reconcile()

    @rule()
    def reconcile(self) -> None:
        simulation = self.simulation
        planned = simulation.reconcile()
        check_status(simulation)
        if self.end is not None:
            assert simulation.status == self.end, "an end is final"
            assert (planned.batches, planned.driver_wanted) == ((), False)
        if planned.finished:
            self.end = simulation.status
        self.check_trials()

    def check_trials(self) -> None:
        simulation = self.simulation
        trials = simulation.trials
        assert [trial.number for trial in trials] == list(range(1, len(trials) + 1))
        algorithm = create(simulation.experiment.spec)
        if algorithm.ignores_results:
            assert [trial.spec for trial in trials] == algorithm.propose([], len(trials))
        unfinished = [
            trial.spec.lineage.split("of=")[0]
            for trial in trials
            if trial.spec.lineage and not trial.state.is_finished
        ]
        assert len(set(unfinished)) == len(unfinished), (
            "two unfinished trials for one place in the population"
        )
        drawn = [trial.spec.parameters["x"] for trial in trials]
        assert len(set(drawn)) == len(drawn), "a point was tried twice"
        for batch in simulation.batches.values():
            assert 1 <= len(batch.spec.trials) <= limits.BATCH_TRIALS
        for trial in trials:
            if trial.number in self.finished:
                assert trial.status == self.finished[trial.number], "a finished trial has changed"
            elif trial.state.is_finished:
                self.finished[trial.number] = trial.status
        best = best_value(simulation)
        reported = simulation.status.best_trial
        if best is None:
            assert reported is None
            assert self.best is None
        else:
            assert reported is not None
            assert (reported.objective, reported.number) == best
            self.best = best[0]

    @precondition(lambda self: self.simulation.driver is DriverState.ABSENT)
    @rule()
    def driver_is_being_started(self) -> None:
        self.simulation.driver = DriverState.STARTING

    @precondition(lambda self: self.simulation.driver is not DriverState.RUNNING)
    @rule()
    def driver_starts(self) -> None:
        if self.simulation.ask().driver_wanted:
            self.simulation.start_driver()

    @rule()
    def driver_dies(self) -> None:
        self.simulation.end_driver()

    @rule()
    def trials_begin(self) -> None:
        self.simulation.begin()

    @precondition(lambda self: self.simulation.busy_slots)
    @rule(data=st.data())
    def trials_end(self, data: st.DataObject) -> None:
        slots = data.draw(st.lists(st.sampled_from(self.simulation.busy_slots), unique=True))
        outcome = data.draw(st.lists(values, min_size=1, max_size=4))
        for index, slot in enumerate(slots):
            self.simulation.end(slot, outcome[index % len(outcome)])

    @rule(rounds=st.integers(1, 30), value=values)
    def many_trials_run(self, rounds: int, value: float | None) -> None:
        for _ in range(rounds):
            self.simulation.begin()
            for slot in self.simulation.busy_slots:
                self.simulation.end(slot, value)

    @precondition(lambda self: self.simulation.busy_slots)
    @rule(data=st.data())
    def a_slot_is_lost(self, data: st.DataObject) -> None:
        self.simulation.lose(data.draw(st.sampled_from(self.simulation.busy_slots)))

    @rule(suspend=st.booleans())
    def suspend_or_resume(self, suspend: bool) -> None:
        self.simulation.change(suspend=suspend)

    @rule(most=st.integers(1, 400))
    def change_how_many_trials(self, most: int) -> None:
        self.simulation.change(max_trial_count=most)

    @rule(most=st.none() | st.integers(0, 40))
    def change_how_many_may_fail(self, most: int | None) -> None:
        self.simulation.change(max_failed_trial_count=most)

    @rule(parallel=st.integers(1, 80))
    def change_how_many_run_at_once(self, parallel: int) -> None:
        for slot in self.simulation.busy_slots:
            if slot >= parallel:
                self.simulation.lose(slot)
        self.simulation.change(parallel_trial_count=parallel)

    @rule(deadline=st.none() | st.integers(1, 500))
    def change_the_deadline(self, deadline: int | None) -> None:
        self.simulation.change(active_deadline_seconds=deadline)

    @rule(seconds=st.floats(-100, 200))
    def time_passes(self, seconds: float) -> None:
        self.simulation.wait(seconds)

    @precondition(lambda self: self.end is None)
    @rule()
    def the_status_is_wiped(self) -> None:
        self.simulation.wipe_status()
        self.reconcile()

    @precondition(lambda self: self.end is None and self.simulation.batches)
    @rule(message=st.text(max_size=50))
    def the_function_is_refused(self, message: str) -> None:
        self.simulation.refuse(message)

    def teardown(self) -> None:
        """Without further events the experiment ends, once, with a reason."""
        if not hasattr(self, "simulation"):
            return
        self.simulation.change(suspend=False)
        self.simulation.run([-1.0, None, -2.0])
        self.reconcile()
        assert self.end is not None
        ends = [
            condition
            for condition in self.end.conditions
            if condition.type in (ConditionType.COMPLETE, ConditionType.FAILED)
        ]
        assert [end.status for end in ends] == ["True"]
        assert self.end.trials.pending == self.end.trials.running == 0
        assert self.end.completion_time is not None


def check_status(simulation: Simulation) -> None:
    status = simulation.status
    counts = status.trials
    states = (counts.pending, counts.running, counts.succeeded, counts.failed, counts.stopped)
    assert counts.created == sum(states) == len(simulation.trials)
    assert counts.expected is None or counts.created <= counts.expected
    ended = dict.fromkeys(TrialState, 0)
    for trial in simulation.trials:
        ended[trial.state] += 1
    assert counts.succeeded == ended[TrialState.SUCCEEDED]
    assert counts.failed == ended[TrialState.FAILED]
    kinds = [condition.type for condition in status.conditions]
    assert kinds == sorted(set(kinds), key=[*map(str, ConditionType)].index)
    assert status.observed_generation == simulation.experiment.metadata.generation or (
        status.completion_time is not None
    )
    numbers = [trial.number for trial in status.recent_trials]
    assert numbers == sorted(set(numbers))
    assert len(status.to_json()) <= 10_000


def best_value(simulation: Simulation) -> tuple[float, int] | None:
    objective = simulation.experiment.spec.objective
    if objective is None:
        return None
    sign = 1 if objective.type is ObjectiveType.MINIMIZE else -1
    signed = [
        (sign * trial.status.metrics[METRIC], trial.number)
        for trial in simulation.trials
        if trial.state is TrialState.SUCCEEDED
    ]
    return (sign * min(signed)[0], min(signed)[1]) if signed else None


TestHistories = Histories.TestCase
TestHistories.settings = examples(80, stateful_step_count=30)
