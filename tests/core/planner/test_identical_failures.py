"""An experiment ends early if its first trials fail alike, and only then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.api import AlgorithmName, TrialReason, TrialState
from sparksweep_core.planner.completion import FEWEST_IDENTICAL_FAILURES
from support.planner.planner_simulation import Simulation, experiment_of

TRACEBACK = 'Traceback (most recent call last):\n  File "train.py", line {}\n'
Ends = Callable[[int], tuple[float | None, str, TrialReason]]


def run(ends: Ends, *, points: int | None = 200, parallel: int = 3, **spec: Any) -> Simulation:
    """Run an experiment to its end; `ends` maps a trial's number to its value, message and reason."""
    experiment = experiment_of(points=points, parallel_trial_count=parallel, **spec)
    simulation = Simulation(experiment)
    planned = simulation.settle()
    while not planned.finished:
        simulation.begin()
        for slot in simulation.busy_slots:
            value, message, reason = ends(simulation.number_on(slot))
            simulation.end(slot, value, message, failure=reason)
            planned = simulation.settle()
            if planned.finished:
                break
    return simulation


def always(message: str, reason: TrialReason = TrialReason.EXCEPTION) -> Ends:
    return lambda number: (None, message.replace("{}", str(number)), reason)


@pytest.mark.parametrize("parallel", [1, 3, 16])
def test_trials_that_fail_alike_from_the_start_end_it(parallel: int) -> None:
    message = "ModuleNotFoundError: No module named 'kears'\n" + TRACEBACK
    simulation = run(always(message), parallel=parallel)
    assert simulation.reason("Failed") == ("True", "IdenticalFailures")
    needed = FEWEST_IDENTICAL_FAILURES + parallel
    # Slots go on until the end is decided.
    assert needed <= simulation.status.trials.failed < needed + parallel
    text = simulation.condition("Failed").message
    assert f"The first {needed} trials failed alike" in text
    assert "set maxFailedTrialCount (max_failed_trials in Python)." in text
    assert "Exception: ModuleNotFoundError: No module named 'kears'" in text
    stopped = [trial for trial in simulation.trials if trial.state is TrialState.STOPPED]
    assert {trial.status.reason for trial in stopped} == {TrialReason.EXPERIMENT_FAILED}


@pytest.mark.parametrize(
    "ends",
    [
        always("the function returned nothing", TrialReason.METRIC_MISSING),
        always("the function returned 'list [1]'", TrialReason.METRIC_NOT_NUMERIC),
        always("the command ended with exit code 2; standard error ends with:\nstep {}\nno such option", TrialReason.EXITED),
        always("python3: not found", TrialReason.START_FAILED),
        always("SIGSEGV: native code", TrialReason.SEGMENTATION_FAULT),
        always("ended by SIGKILL", TrialReason.SIGNALLED),
        always("", TrialReason.EXITED),
        # As recorded by an earlier version: the exception at the end.
        always(TRACEBACK + "ValueError: boom"),
        always("ValueError: boom\n" + TRACEBACK),
    ],
)  # fmt: skip
def test_each_error_of_the_code_does(ends: Ends) -> None:
    assert run(ends).reason("Failed") == ("True", "IdenticalFailures")


@pytest.mark.parametrize(
    "ends",
    [
        always("ValueError: x is {}"),
        always(TRACEBACK + "ValueError: x is {}"),
        always("the command ended with exit code 1; standard error ends with:\nx is {}", TrialReason.EXITED),
        always("ran longer than 4 s", TrialReason.TIMED_OUT),
        always("used 2Gi, limit 1Gi", TrialReason.OOM_KILLED),
        always("used 2Gi, limit 1Gi\nMemoryError", TrialReason.OUT_OF_MEMORY),
        always("accuracy is NaN", TrialReason.METRIC_NAN),
        always("accuracy is infinite", TrialReason.METRIC_INFINITE),
        always("the executor is gone", TrialReason.EXECUTOR_LOST),
        lambda number: (None, "boom", TrialReason.EXITED if number % 9 else TrialReason.EXCEPTION),
        lambda number: (None, f"boom {number // 12}", TrialReason.EXCEPTION),
    ],
)  # fmt: skip
def test_failures_that_differ_or_depend_on_the_parameters_do_not(ends: Ends) -> None:
    simulation = run(ends, points=60)
    assert simulation.reason("Failed") == ("True", "NoTrialSucceeded")
    assert simulation.status.trials.failed == 60


@pytest.mark.parametrize("success", [1, 5, 13])
def test_one_success_is_enough_to_go_on(success: int) -> None:
    simulation = run(lambda n: (0.5 if n == success else None, "boom", TrialReason.EXCEPTION))
    assert simulation.reason("Complete") == ("True", "SearchSpaceExhausted")
    assert simulation.status.trials.failed == 199


@pytest.mark.parametrize("allowed", [20, 100, 200])
def test_a_limit_of_the_user_takes_its_place(allowed: int) -> None:
    simulation = run(always("boom"), max_failed_trial_count=allowed)
    reason = "MaxFailedTrialsReached"
    assert simulation.reason("Failed") == ("True", reason)
    assert simulation.status.trials.failed == allowed


@pytest.mark.parametrize("points", [1, 10, 12, 13])
def test_an_experiment_that_has_no_more_trials_ends_as_usual(points: int) -> None:
    simulation = run(always("boom"), points=points)
    assert simulation.reason("Failed") == ("True", "NoTrialSucceeded")


def test_the_limit_of_trials_counts_too_and_so_does_a_search_without_a_size() -> None:
    few = run(always("boom"), max_trial_count=13)
    assert few.reason("Failed") == ("True", "NoTrialSucceeded")
    more = run(always("boom"), points=None, algorithm=AlgorithmName.RANDOM, max_trial_count=90)
    assert more.reason("Failed") == ("True", "IdenticalFailures")


@given(
    parallel=st.integers(1, 12),
    points=st.integers(1, 60),
    different=st.none() | st.integers(1, 60),
)
def test_it_never_ends_before_as_many_trials_as_documented(
    parallel: int, points: int, different: int | None
) -> None:
    simulation = run(
        lambda number: (None, f"boom {number == different}", TrialReason.EXCEPTION),
        points=points,
        parallel=parallel,
    )
    failed = simulation.status.trials.failed
    if simulation.reason("Failed") == ("True", "IdenticalFailures"):
        assert 10 + parallel <= failed < points
    else:
        assert failed == points
