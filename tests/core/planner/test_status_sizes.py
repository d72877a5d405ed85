"""An Experiment's status is bounded in bytes as it is stored, whatever trials print, report and are given."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.api import (
    BestTrial,
    Condition,
    ExperimentStatus,
    RecentTrial,
    TrialCounts,
    TrialState,
    limits,
)
from sparksweep_core.planner import reject
from sparksweep_core.planner.status_bounds import CONDITION_BYTES, bounded_bytes, fit
from sparksweep_core.stored_size import stored_bytes, text_bytes
from support.hypothesis_profiles import examples
from support.planner.planner_simulation import MAXIMIZE, Simulation, experiment_of

NOW = datetime(2026, 1, 1, 12, 0, 0, 123000, tzinfo=UTC)
CHARACTERS = ["<", "\x00", "\u2028", "文", "🙂", '"', "a"]
TYPES = ("Accepted", "Running", "Suspended", "Complete", "Failed")


def metrics(count: int, character: str, *, objective: str) -> dict[str, float]:
    """Return metrics with names of the greatest length, beside the objective; no name has control characters."""
    character = character if character.isprintable() else "<"
    names = [f"{index:03}".ljust(128, character) for index in range(count - 1)]
    return {objective: -1.2345678901234567e-100} | dict.fromkeys(names, -1.2345678901234567e-100)


def status_of(
    messages: list[str], *, character: str, metric_count: int, parameters: int, objective: str
) -> ExperimentStatus:
    """Return a status with all that one may have; the trials and the conditions have the messages in turn."""
    recent = [
        RecentTrial(
            number=limits.TRIALS - index,
            state=TrialState.SUCCEEDED,
            attempt=10,
            objective=-1.2345678901234567e-100,
            reason="R" * 64,
            message=messages[index % len(messages)][:512] or None,
        )
        for index in range(limits.RECENT_TRIALS)
    ]
    conditions = [
        Condition(
            type=kind,
            status="Unknown",
            reason="R" * 64,
            message=messages[index % len(messages)][:1024],
            last_transition_time=NOW,
            observed_generation=2**62,
        )
        for index, kind in enumerate(TYPES)
    ]
    counts = dict.fromkeys(TrialCounts.model_fields, limits.TRIALS)
    return ExperimentStatus(
        observed_generation=2**62,
        state="s" * 32,
        progress="p" * 32,
        conditions=conditions,
        trials=TrialCounts(**counts),
        best_trial=BestTrial(
            number=limits.TRIALS,
            attempt=10,
            objective=-1.2345678901234567e-100,
            parameters={f"p{index:02}": character * limits.VALUE for index in range(parameters)},
            metrics=metrics(metric_count, character, objective=objective),
        ),
        recent_trials=recent,
        start_time=NOW,
        completion_time=NOW,
        seed=2**63,
    )


def test_an_ordinary_status_is_left_as_it_is() -> None:
    status = status_of(["x" * 300], character="a", metric_count=4, parameters=64, objective="loss")
    assert fit(status, objective="loss") is status


@pytest.mark.parametrize("character", CHARACTERS)
@pytest.mark.parametrize("metric_count", [1, 2, 32])
def test_the_worst_statuses_fit(character: str, metric_count: int) -> None:
    objective = "objective".ljust(128, character if character.isprintable() else "<")
    whole = status_of(
        ["ValueError: bad\n" + character * 1000 + "the end"],
        character=character,
        metric_count=metric_count,
        parameters=limits.PARAMETERS,
        objective=objective,
    )
    fitted = fit(whole, objective=objective)
    assert bounded_bytes(fitted) <= limits.STATUS_BYTES
    assert fitted.best_trial is not None
    assert whole.best_trial is not None
    parameters = stored_bytes(whole.best_trial.parameters)
    assert stored_bytes(fitted.to_dict()) <= limits.STATUS_BYTES + parameters
    assert fitted.best_trial.parameters == whole.best_trial.parameters
    assert all(item.message.startswith("ValueError: bad") for item in fitted.conditions)
    assert all((item.message or "").startswith("ValueError: bad") for item in fitted.recent_trials)


def test_metrics_beyond_the_objective_are_left_out_last_with_a_note() -> None:
    whole = status_of(["short"], character="<", metric_count=32, parameters=2, objective="loss")
    fitted = fit(whole, objective="loss")
    assert fitted.best_trial is not None
    assert set(fitted.best_trial.metrics) == {"loss"}
    assert "31 metrics" in (fitted.recent_trials[0].message or "")
    assert (fitted.recent_trials[0].message or "").startswith("short\n")
    assert {item.message for item in fitted.recent_trials[1:]} == {"short"}
    assert fit(fitted, objective="loss") is fitted


@given(
    messages=st.lists(
        st.tuples(
            st.text(st.sampled_from("".join(CHARACTERS) + "\n\\&"), max_size=40), st.integers(1, 80)
        ).map(lambda pair: pair[0] * pair[1]),
        min_size=1,
        max_size=6,
    ),
    character=st.sampled_from(CHARACTERS),
    metric_count=st.integers(1, limits.METRICS),
    parameters=st.integers(0, limits.PARAMETERS),
    objective=st.sampled_from(["loss", "<" * 128, "absent"]),
)
@examples(200)
def test_any_status_fits_and_can_be_read(
    messages: list[str], character: str, metric_count: int, parameters: int, objective: str
) -> None:
    measured = "loss" if objective == "absent" else objective
    whole = status_of(
        messages,
        character=character,
        metric_count=metric_count,
        parameters=parameters,
        objective=measured,
    )
    fitted = fit(whole, objective=objective)
    assert bounded_bytes(fitted) <= limits.STATUS_BYTES
    read = ExperimentStatus.from_api(fitted.to_dict())
    assert read.trials == whole.trials
    assert read.best_trial is not None
    assert whole.best_trial is not None
    assert read.best_trial.parameters == whole.best_trial.parameters
    left_out = len(whole.best_trial.metrics) - len(read.best_trial.metrics)
    assert not left_out or f"{left_out} metrics" in (read.recent_trials[0].message or "")
    for before, after in zip(whole.conditions, fitted.conditions, strict=True):
        # A short message is whole.
        assert text_bytes(before.message) > CONDITION_BYTES or before.message == after.message


@pytest.mark.parametrize("character", CHARACTERS)
def test_the_planner_bounds_the_status_of_an_experiment(character: str) -> None:
    simulation = Simulation(
        experiment_of(parallel_trial_count=4, max_failed_trial_count=3, objective=MAXIMIZE)
    )
    simulation.settle()
    simulation.begin()
    first, *others = simulation.busy_slots
    simulation.end(first, 0.5)
    for slot in others:
        simulation.end(slot, None, "ValueError: bad\n" + character * 660)
    simulation.settle()
    status = simulation.status
    assert status.state == "Failed"
    assert bounded_bytes(status) <= limits.STATUS_BYTES
    failed = [item.message or "" for item in status.recent_trials if item.state == "Failed"]
    assert len(failed) == 3
    assert all(message.startswith("ValueError: bad") for message in failed)


@pytest.mark.parametrize("character", CHARACTERS)
def test_the_status_of_an_experiment_that_is_refused_is_bounded(character: str) -> None:
    experiment = experiment_of(objective=MAXIMIZE)
    plan = reject(experiment, character * limits.MESSAGE, now=NOW)
    assert plan.status is not None
    assert bounded_bytes(plan.status) <= limits.STATUS_BYTES
