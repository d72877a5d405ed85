"""Specs, parameters and trials for the search's tests, by hand and by hypothesis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from sparksweep_core.api import (
    Algorithm,
    AlgorithmName,
    AlgorithmSetting,
    Distribution,
    ExperimentSpec,
    FeasibleSpace,
    Objective,
    ObjectiveType,
    Parameter,
    ParameterType,
    Trial,
    TrialSpec,
    TrialState,
    TrialStatus,
    TrialTemplate,
)

LOGARITHMIC = (Distribution.LOG_UNIFORM, Distribution.LOG_NORMAL)


def double(name: str, low: str, high: str, step: str | None = None, **rest: Any) -> Parameter:
    space = FeasibleSpace(min=low, max=high, step=step, **rest)
    return Parameter(name=name, parameter_type=ParameterType.DOUBLE, feasible_space=space)


def integer(name: str, low: int, high: int, step: int | None = None, **rest: Any) -> Parameter:
    stride = None if step is None else str(step)
    space = FeasibleSpace(min=str(low), max=str(high), step=stride, **rest)
    return Parameter(name=name, parameter_type=ParameterType.INT, feasible_space=space)


def listed(name: str, *values: str, kind: ParameterType = ParameterType.CATEGORICAL) -> Parameter:
    return Parameter(
        name=name, parameter_type=kind, feasible_space=FeasibleSpace(list=list(values))
    )


def discrete(name: str, *values: str) -> Parameter:
    return listed(name, *values, kind=ParameterType.DISCRETE)


def spec_of(
    parameters: Sequence[Parameter], algorithm: str = "grid", **settings: str
) -> ExperimentSpec:
    return ExperimentSpec(
        objective=Objective(type=ObjectiveType.MINIMIZE, objective_metric_name="loss"),
        algorithm=Algorithm(
            algorithm_name=AlgorithmName(algorithm),
            algorithm_settings=[
                AlgorithmSetting(name=name, value=value) for name, value in settings.items()
            ],
        ),
        parameters=list(parameters),
        trial_template=TrialTemplate(function="train:training"),
    )


def trials_with(specs: Sequence[TrialSpec], states: Sequence[TrialState] = ()) -> list[Trial]:
    """Return trials in these states, which are repeated as often as needed."""
    states = states or [TrialState.PENDING]
    return [ended(spec, states[spec.number % len(states)], 1 / spec.number) for spec in specs]


def ended(spec: TrialSpec, state: TrialState, loss: float) -> Trial:
    """Return a trial in a state; one that succeeded has the loss."""
    metrics = {"loss": loss} if state is TrialState.SUCCEEDED else {}
    return Trial(spec, TrialStatus(number=spec.number, state=state, metrics=metrics))


@st.composite
def finite_parameters(draw: st.DrawFn, name: str = "p") -> Parameter:
    kind = draw(st.sampled_from(ParameterType))
    if kind is ParameterType.CATEGORICAL:
        letters = st.text("abcxyz-_ ./=", min_size=1, max_size=6)
        return listed(name, *draw(st.lists(letters, min_size=1, max_size=5)))
    if kind is ParameterType.DISCRETE:
        numbers = st.sampled_from(["1", "2", "0.5", "1e-3", "-4", "16", "0.10"])
        return discrete(name, *draw(st.lists(numbers, min_size=1, max_size=5)))
    if kind is ParameterType.INT:
        low = draw(st.integers(-1000, 1000))
        step = draw(st.none() | st.integers(1, 7))
        return integer(name, low, low + draw(st.integers(0, 8)) * (step or 1), step)
    digits = draw(st.integers(0, 6))
    low, step = draw(st.integers(-(10**6), 10**6)), draw(st.integers(1, 999))
    high = low + step * draw(st.integers(1, 6)) + draw(st.integers(0, step - 1))
    texts = [f"{number}e-{digits}" for number in (low, high, step)]
    return double(name, *texts)


@st.composite
def distributed_parameters(draw: st.DrawFn, name: str = "p") -> Parameter:
    """Draw a double or int parameter with any distribution, with and without a step."""
    distribution = draw(st.sampled_from(Distribution))
    positive = distribution in LOGARITHMIC
    if draw(st.booleans()):
        low = draw(st.integers(1 if positive else -1000, 1000))
        return integer(
            name,
            low,
            low + draw(st.integers(1, 500)),
            draw(st.none() | st.integers(1, 5)),
            distribution=distribution,
        )
    low_number = draw(st.floats(1e-12 if positive else -1e9, 1e9))
    width = draw(st.floats(1e-3, 1e9))
    step = repr(width / draw(st.integers(2, 50))) if draw(st.booleans()) else None
    return double(name, repr(low_number), repr(low_number + width), step, distribution=distribution)


def spaces(parameter: Any, *, most: int = 4) -> st.SearchStrategy[list[Parameter]]:
    """Return a strategy for lists of one to `most` parameters p0, p1, ..."""
    return st.integers(1, most).flatmap(
        lambda count: st.tuples(*(parameter(name=f"p{index}") for index in range(count))).map(list)
    )


finite_spaces = spaces(finite_parameters)
any_spaces = spaces(
    lambda name: st.one_of(finite_parameters(name=name), distributed_parameters(name=name))
)
positions = st.floats(0, 1, exclude_max=True)
