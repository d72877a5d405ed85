"""Simulation of an experiment: the planner's plans are carried out, and the trainer's ledger acts as the driver.

Everything is written and read as JSON, as on a cluster and in a local run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sparksweep_core.algorithms import create
from sparksweep_core.api import (
    Algorithm,
    AlgorithmName,
    AlgorithmSetting,
    Condition,
    Experiment,
    ExperimentMeta,
    ExperimentSpec,
    ExperimentStatus,
    FeasibleSpace,
    Objective,
    ObjectiveType,
    ObjectMeta,
    Parameter,
    ParameterType,
    Trial,
    TrialBatch,
    TrialBatchSpec,
    TrialBatchStatus,
    TrialReason,
    TrialState,
    TrialStatus,
    TrialTemplate,
    batch_name,
    count_states,
    limits,
    trials_of,
)
from sparksweep_core.planner import DriverState, DriverStatus, Plan, plan
from sparksweep_trainer.driver.ledger import Ledger
from sparksweep_trainer.protocol import Outcome

START = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
METRIC = "score"
MAXIMIZE = Objective(type=ObjectiveType.MAXIMIZE, objective_metric_name=METRIC)
MINIMIZE = Objective(type=ObjectiveType.MINIMIZE, objective_metric_name=METRIC)


def integers(count: int) -> Parameter:
    """Return a parameter with so many values."""
    # Of a number that is too long to be written out, the last 39 digits are zeros.
    most = str(count) if count < 10**39 else f"{count // 10**39}e39"
    space = FeasibleSpace(min="1", max=most)
    return Parameter(name="x", parameter_type=ParameterType.INT, feasible_space=space)


def experiment_of(
    *,
    points: int | None = 10,
    algorithm: AlgorithmName = AlgorithmName.GRID,
    settings: Mapping[str, str] | None = None,
    retries: int = 0,
    objective: Objective | None = MAXIMIZE,
    uid: str | None = "uid-1",
    **spec: Any,
) -> Experiment:
    """Return an Experiment over an int parameter with so many values; None for a continuous one.

    Unless `settings` are given, a search that draws has the seed 7.
    """
    parameter = integers(points or 1)
    if points is None:
        parameter = Parameter(
            name="x",
            parameter_type=ParameterType.DOUBLE,
            feasible_space=FeasibleSpace(min="0", max="1"),
        )
    if settings is None:
        settings = {} if algorithm is AlgorithmName.GRID else {"seed": "7"}
    return Experiment(
        metadata=ExperimentMeta(name="digits", namespace="lab", uid=uid, generation=1),
        spec=ExperimentSpec(
            objective=objective,
            algorithm=Algorithm(
                algorithm_name=algorithm,
                algorithm_settings=[
                    AlgorithmSetting(name=name, value=value) for name, value in settings.items()
                ],
            ),
            parameters=[parameter],
            trial_template=TrialTemplate(function="train:training", max_retries=retries),
            **spec,
        ),
    )


class Simulation:
    """One experiment, its batches, its driver and a clock."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.batches: dict[str, TrialBatch] = {}
        self.now = START
        self.driver = DriverState.ABSENT
        self.deleted = False
        self._ledger: Ledger | None = None
        self._runs: dict[int, tuple[int, int]] = {}

    # ------------------------------------------------------------------ the planner's side

    def ask(self) -> Plan:
        """Return a plan for the current state, without carrying it out."""
        driver = DriverStatus(state=self.driver)
        return plan(self.experiment, list(self.batches.values()), driver=driver, now=self.now)

    def reconcile(self) -> Plan:
        """Plan and carry the plan out, except for the driver's start."""
        planned = self.ask()
        for batch in planned.batches:
            assert batch.status is None, "the status is the driver's"
            self._write_spec(batch)
        self._write(planned.status)
        again = self.ask()
        assert again.batches == (), "planning again changes nothing"
        assert again.status == self.status
        assert again.driver_wanted == planned.driver_wanted
        for batch in planned.batches:
            self._hand_over(self.batches[batch.metadata.name])
        if not planned.driver_wanted:
            self.end_driver()
        self.deleted = planned.expired
        return planned

    def settle(self) -> Plan:
        """Reconcile until only running trials could change anything."""
        for _ in range(6):
            planned = self.reconcile()
            if planned.driver_wanted and self.driver is not DriverState.RUNNING:
                self.start_driver()
        return planned

    def change(self, **spec: Any) -> None:
        """Change the spec, as a user does with `kubectl edit`."""
        metadata = self.experiment.metadata
        raised = metadata.model_copy(update={"generation": (metadata.generation or 0) + 1})
        self.experiment = self.experiment.model_copy(
            update={
                "metadata": raised,
                "spec": self.experiment.spec.model_copy(update=spec),
            }
        )

    def wipe_status(self) -> None:
        """Remove the status, as no user should."""
        self.experiment = self.experiment.model_copy(update={"status": None})

    def wait(self, seconds: float) -> None:
        """Advance the clock; a negative number of seconds turns it back."""
        self.now += timedelta(seconds=seconds)

    def _write_spec(self, batch: TrialBatch) -> None:
        old = self.batches.get(batch.metadata.name)
        written = TrialBatch.model_validate_json(batch.to_json())
        update = {"status": old.status if old else None}
        self.batches[batch.metadata.name] = written.model_copy(update=update)

    def _write(self, status: ExperimentStatus) -> None:
        read = ExperimentStatus.model_validate_json(status.to_json())
        assert read == status, "the status that is read must equal the one that was written"
        self.experiment = self.experiment.model_copy(update={"status": read})

    # ------------------------------------------------------------------ the driver's side

    def start_driver(self) -> None:
        """Start a driver, which reads all batches."""
        self.driver = DriverState.RUNNING
        self._ledger = Ledger(max_retries=self.experiment.spec.trial_template.max_retries)
        self._runs.clear()
        for batch in list(self.batches.values()):
            self._hand_over(batch)

    def end_driver(self) -> None:
        """End the driver with all trials that it runs."""
        self.driver = DriverState.ABSENT
        self._ledger = None
        self._runs.clear()

    @property
    def idle_slots(self) -> list[int]:
        """Slots without a trial."""
        if self._ledger is None:
            return []
        slots = range(self.experiment.spec.parallel_trial_count)
        return [slot for slot in slots if slot not in self._runs]

    @property
    def busy_slots(self) -> list[int]:
        """Slots with a trial."""
        return sorted(self._runs)

    def number_on(self, slot: int) -> int:
        """Return the number of the trial that a busy slot runs."""
        return self._runs[slot][0]

    def begin(self) -> list[int]:
        """Start a trial on every idle slot; return their numbers."""
        begun: list[int] = []
        if self._ledger is None:
            return begun
        for slot in self.idle_slots:
            assignment = self._ledger.assign(slot, node="node-1", now=self._moment)
            if assignment is not None:
                self._runs[slot] = (assignment.number, assignment.attempt)
                begun.append(assignment.number)
        self._publish()
        return begun

    def end(
        self,
        slot: int,
        value: float | None = None,
        message: str = "it broke",
        *,
        failure: TrialReason = TrialReason.EXCEPTION,
    ) -> int:
        """End a slot's trial with a value, or as failed (None or NaN); return the trial's number."""
        assert self._ledger is not None
        number, attempt = self._runs.pop(slot)
        failed = value is None or value != value
        state: Literal[TrialState.SUCCEEDED, TrialState.FAILED, TrialState.STOPPED]
        if not self._ledger.is_wanted(slot, number, attempt):
            state, reason = TrialState.STOPPED, TrialReason.INTERRUPTED
        elif failed:
            state = TrialState.FAILED
            reason = failure if value is None else TrialReason.METRIC_NAN
        else:
            state, reason = TrialState.SUCCEEDED, TrialReason.COMPLETED
        done = state is TrialState.SUCCEEDED
        outcome = Outcome(
            state=state,
            reason=reason,
            message="" if done else message,
            metrics={METRIC: value} if done and value is not None else {},
            start_time=self._moment,
            completion_time=self._moment,
            duration_seconds=0.0,
        )
        assert self._ledger.finish(slot, number, attempt, outcome)
        self._publish()
        return number

    def lose(self, slot: int) -> None:
        """Remove a slot with its trial."""
        assert self._ledger is not None
        del self._runs[slot]
        self._ledger.lose(slot, "The executor is gone.")
        self._publish()

    def refuse(self, message: str) -> None:
        """Report that the trial code can't take the parameters."""
        name = min(self.batches)
        status = self.batches[name].status or TrialBatchStatus()
        refused = status.model_copy(update={"refused": message})
        self.batches[name] = self.batches[name].model_copy(update={"status": refused})

    def run(self, values: Sequence[float | None]) -> list[Plan]:
        """Plan and run trials until the experiment ends; trial n gets values[n - 1], repeated as often as needed."""
        plans = [self.settle()]
        while not plans[-1].finished:
            self.begin()
            busy = self.busy_slots
            if not busy:
                break
            for slot in busy:
                number, _ = self._runs[slot]
                self.end(slot, values[(number - 1) % len(values)])
            plans.append(self.settle())
        return plans

    @property
    def _moment(self) -> datetime:
        return self.now.replace(microsecond=0)

    def _hand_over(self, batch: TrialBatch) -> None:
        if self._ledger is None:
            return
        self._ledger.add(batch.spec.trials, batch.status.trials if batch.status else [])
        if batch.spec.stop is not None:
            self._ledger.stop(batch.spec.stop)
        self._publish()

    def _publish(self) -> None:
        assert self._ledger is not None
        changed = {trial.number: trial.status for trial in self._ledger.take_changes()}
        for name, batch in self.batches.items():
            touched = [t.number for t in batch.spec.trials if t.number in changed]
            if touched:
                statuses = {s.number: s for s in batch.status.trials} if batch.status else {}
                statuses |= {number: changed[number] for number in touched}
                self.batches[name] = _with_statuses(batch, [statuses[n] for n in sorted(statuses)])

    # ------------------------------------------------------------------ readable state

    @property
    def status(self) -> ExperimentStatus:
        """The Experiment's status."""
        assert self.experiment.status is not None
        return self.experiment.status

    @property
    def trials(self) -> list[Trial]:
        """All trials by number."""
        return trials_of(list(self.batches.values()))

    def find_condition(self, kind: str) -> Condition | None:
        """Return the condition of a type; None if the status has none."""
        return next((c for c in self.status.conditions if c.type == kind), None)

    def condition(self, kind: str) -> Condition:
        """Return the condition of a type, which the status must have."""
        condition = self.find_condition(kind)
        assert condition is not None, f"{kind} is not among the status's conditions"
        return condition

    def reason(self, kind: str) -> tuple[str, str] | None:
        """Return status and reason of a condition."""
        condition = self.find_condition(kind)
        return (condition.status, condition.reason) if condition else None


def _with_statuses(batch: TrialBatch, statuses: list[TrialStatus]) -> TrialBatch:
    status = TrialBatchStatus(
        trials=statuses,
        counts=count_states(statuses),
        refused=batch.status.refused if batch.status else None,
    )
    return batch.model_copy(update={"status": status})


def simulation_of(experiment: Experiment, statuses: Sequence[TrialStatus]) -> Simulation:
    """Return a simulation whose trials have the given statuses."""
    simulation = Simulation(experiment)
    made = create(experiment.spec).propose([], len(statuses))
    for index, start in enumerate(range(0, len(statuses), limits.BATCH_TRIALS)):
        part = statuses[start : start + limits.BATCH_TRIALS]
        trials = [made[status.number - 1] for status in part]
        batch = TrialBatch(
            metadata=ObjectMeta(name=batch_name("digits", index)),
            spec=TrialBatchSpec(experiment="digits", index=index, trials=trials),
        )
        simulation.batches[batch.metadata.name] = _with_statuses(batch, list(part))
    simulation.driver = DriverState.RUNNING
    return simulation
