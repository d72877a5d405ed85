"""Batches are bounded in bytes as they are stored, and in trials."""

from __future__ import annotations

from typing import Any

import pytest

from sparksweep_core.api import (
    AlgorithmName,
    Experiment,
    FeasibleSpace,
    Parameter,
    ParameterType,
    TrialBatch,
    limits,
)
from sparksweep_core.errors import InvalidExperiment
from sparksweep_core.stored_size import stored_bytes
from sparksweep_core.validation.document import parse_experiment
from support.planner.planner_simulation import Simulation, experiment_of

METADATA_AND_MANAGED_FIELDS = 32 * 1024


def categorical(count: int, characters: str, *, length: int = limits.VALUE) -> list[Parameter]:
    """Return parameters with two values each, as long as they may be, of some characters."""
    text = (characters * length)[: length - 1]
    return [
        Parameter(
            name=f"p{index:02}",
            parameter_type=ParameterType.CATEGORICAL,
            feasible_space=FeasibleSpace(list=[f"{text}0", f"{text}1"]),
        )
        for index in range(count)
    ]


def experiment_over(parameters: list[Parameter], **spec: Any) -> Experiment:
    experiment = experiment_of(algorithm=AlgorithmName.RANDOM, max_trial_count=250, **spec)
    changed = experiment.spec.model_copy(update={"parameters": parameters})
    return experiment.model_copy(update={"spec": changed})


def trials_bytes(batch: TrialBatch) -> int:
    return stored_bytes([trial.to_dict() for trial in batch.spec.trials])


@pytest.mark.parametrize(
    ("count", "characters"),
    [(8, "a"), (64, "a"), (64, "文"), (40, "<"), (40, "\x00"), (40, "\u2028"), (64, 'a"\\é&')],
)
@pytest.mark.parametrize("parallel", [30, 1000])
def test_every_batch_fits_however_long_the_values_are(
    count: int, characters: str, parallel: int
) -> None:
    simulation = Simulation(
        experiment_over(categorical(count, characters), parallel_trial_count=parallel)
    )
    simulation.reconcile()
    simulation.start_driver()
    simulation.run([1.0])
    batches = sorted(simulation.batches.values(), key=lambda batch: batch.spec.index)
    numbers = [trial.number for batch in batches for trial in batch.spec.trials]
    assert numbers == list(range(1, 251)), "each trial once, in order"
    assert [batch.spec.index for batch in batches] == list(range(len(batches)))
    for batch in batches:
        assert 1 <= len(batch.spec.trials) <= limits.BATCH_TRIALS
        assert trials_bytes(batch) <= limits.BATCH_SPEC_BYTES + 2
    sizes = [trials_bytes(batch) for batch in batches[:-1]]
    largest = max(stored_bytes(trial.to_dict()) for trial in batches[0].spec.trials)
    if min((len(batch.spec.trials) for batch in batches[:-1]), default=100) < limits.BATCH_TRIALS:
        assert min(sizes) > limits.BATCH_SPEC_BYTES - largest - 2, "no batch is small for nothing"


def test_a_batch_that_an_earlier_version_made_too_large_gets_no_more_trials() -> None:
    experiment = experiment_over(categorical(40, "<"))
    simulation = Simulation(experiment)
    simulation.reconcile()
    first = simulation.batches["digits-00000"]
    simulation.start_driver()
    too_many = [
        first.spec.trials[0].model_copy(update={"number": number}) for number in range(1, 60)
    ]
    spec = first.spec.model_copy(update={"trials": too_many})
    simulation.batches = {"digits-00000": first.model_copy(update={"spec": spec})}
    planned = simulation.ask()
    assert "digits-00000" not in [
        batch.metadata.name for batch in planned.batches if len(batch.spec.trials) > len(too_many)
    ]
    assert planned.batches[0].spec.index == 1


def test_the_three_bounds_leave_room_for_the_rest_of_an_object() -> None:
    spec_and_status = limits.BATCH_SPEC_BYTES + limits.BATCH_STATUS_BYTES
    order_to_stop = 6 * limits.MESSAGE
    rest = limits.OBJECT_BYTES - spec_and_status
    assert rest >= METADATA_AND_MANAGED_FIELDS + 2 * order_to_stop
    assert limits.TRIAL_BYTES + 1024 < limits.BATCH_SPEC_BYTES


@pytest.mark.parametrize(
    ("count", "characters", "is_valid"),
    [
        (64, "a", True),
        (64, "文", True),
        (64, '"', True),
        (60, "🙂", True),
        (64, "🙂", False),
        (42, "<", True),
        (43, "<", False),
        (64, "\x01", False),
        (64, "\u2029", False),
    ],
)
def test_parameters_that_are_too_large_for_any_batch_are_refused_before_anything_starts(
    count: int, characters: str, is_valid: bool
) -> None:
    document = experiment_over(categorical(count, characters)).to_dict()
    document["metadata"] = {"name": "digits"}
    if is_valid:
        parse_experiment(document)
        return
    with pytest.raises(InvalidExperiment) as refused:
        parse_experiment(document)
    (error,) = refused.value.errors
    assert error.path == "spec.parameters"
    assert "65,536" in error.message
    assert "spec.parameters[0]" in error.message
