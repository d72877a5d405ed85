"""A plan from a long-lived history is the plan of its batches, whatever happened to the history before."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from sparksweep_core.api import Experiment, TrialBatch, TrialSpec, limits
from sparksweep_core.history import History
from sparksweep_core.planner import DriverState, DriverStatus, Plan, plan
from support.algorithms.recorded_searches import SEARCHES
from support.hypothesis_profiles import examples
from support.planner.batch_histories import batches_of
from support.planner.planner_simulation import METRIC, START, experiment_of

DRIVERS = [DriverStatus(state=state) for state in DriverState]


def experiment(number: int, **spec: Any) -> Experiment:
    """Return an experiment with the search of a recorded one."""
    search = SEARCHES[number].spec()
    objective = None if search.objective is None else search.objective
    made = experiment_of(points=None, objective=objective, **spec)
    return made.model_copy(
        update={
            "spec": made.spec.model_copy(
                update={
                    "algorithm": search.algorithm,
                    "parameters": search.parameters,
                    "objective": search.objective
                    and search.objective.model_copy(update={"objective_metric_name": METRIC}),
                }
            )
        }
    )


class PlansOfHistories(RuleBasedStateMachine):
    """Batches come, change in any way and go; after each step both plans are made."""

    def __init__(self) -> None:
        super().__init__()
        self.history = History()
        self.batches: dict[str, TrialBatch] = {}
        self.views: list[tuple[object, Plan]] = []

    @initialize(
        search=st.integers(0, len(SEARCHES) - 1),
        goal=st.none() | st.sampled_from([0.5, 7.0]),
        most_failed=st.none() | st.integers(0, 60),
        most=st.integers(1, 400),
        parallel=st.integers(1, 20),
    )
    def create(
        self, search: int, goal: float | None, most_failed: int | None, most: int, parallel: int
    ) -> None:
        self.experiment = experiment(
            search,
            max_failed_trial_count=most_failed,
            max_trial_count=most,
            parallel_trial_count=parallel,
        )
        objective = self.experiment.spec.objective
        if objective is not None:
            changed = {"objective": objective.model_copy(update={"goal": goal})}
            self.experiment = self.experiment.model_copy(
                update={"spec": self.experiment.spec.model_copy(update=changed)}
            )

    def put(self, batch: TrialBatch) -> None:
        self.batches[batch.metadata.name] = batch
        self.history.put(batch)

    def plans(self, driver: DriverStatus) -> Plan:
        view = self.history.view()
        planned = plan(self.experiment, view, driver=driver, now=START)
        again = plan(self.experiment, list(self.batches.values()), driver=driver, now=START)
        backwards = list(self.batches.values())[::-1]
        assert planned == again
        assert planned == plan(self.experiment, backwards, driver=driver, now=START)
        self.views = [*self.views[-2:], (view, planned)]
        return planned

    @rule(driver=st.sampled_from(DRIVERS), data=st.data())
    def a_plan_is_made_and_carried_out(self, driver: DriverStatus, data: st.DataObject) -> None:
        for batch in self.plans(driver).batches:
            ended = data.draw(st.booleans())
            trials = batch.spec.trials
            self.put(data.draw(batches_of(batch.spec.index, trials, ended=ended)))
        self.plans(driver)

    @precondition(lambda self: self.batches)
    @rule(data=st.data(), driver=st.sampled_from(DRIVERS), ended=st.booleans())
    def a_batch_changes(self, data: st.DataObject, driver: DriverStatus, ended: bool) -> None:
        batch = self.batches[data.draw(st.sampled_from(sorted(self.batches)))]
        self.put(data.draw(batches_of(batch.spec.index, batch.spec.trials, ended=ended)))
        self.plans(driver)

    @precondition(lambda self: self.batches)
    @rule(data=st.data(), driver=st.sampled_from(DRIVERS))
    def somebody_edits_the_trials(self, data: st.DataObject, driver: DriverStatus) -> None:
        batch = self.batches[data.draw(st.sampled_from(sorted(self.batches)))]
        other = self.batches[data.draw(st.sampled_from(sorted(self.batches)))]
        trials: list[TrialSpec] = [*batch.spec.trials]
        for _ in range(data.draw(st.integers(0, 3))):
            if trials:
                trials.pop(data.draw(st.integers(0, len(trials) - 1)))
        numbers = {trial.number for trial in trials}
        taken = [trial for trial in other.spec.trials[:2] if trial.number not in numbers]
        trials = [*taken, *trials][: limits.BATCH_TRIALS]
        is_foreign = data.draw(st.booleans())
        if trials and is_foreign:
            trials[-1] = TrialSpec(number=trials[-1].number, parameters={"q": "1"}, lineage="?")
        self.put(data.draw(batches_of(batch.spec.index, trials, ended=True)))
        if all(trial.parameters.keys() != {"q"} for trial in trials):
            self.plans(driver)
        else:
            self.put(batch)

    @precondition(lambda self: self.batches)
    @rule(data=st.data(), driver=st.sampled_from(DRIVERS))
    def a_batch_is_deleted(self, data: st.DataObject, driver: DriverStatus) -> None:
        name = data.draw(st.sampled_from(sorted(self.batches)))
        del self.batches[name]
        self.history.remove(name)
        self.plans(driver)


TestPlansOfHistories = PlansOfHistories.TestCase
TestPlansOfHistories.settings = examples(100, stateful_step_count=15)
