"""Bugs of Hops that sparksweep does not have; each test is named after its bug."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparksweep import experiment
from sparksweep._hops_arguments import bounds
from sparksweep.errors import ExperimentFailed, InvalidExperiment
from support.sdk.seed import BOUNDS, training


@pytest.mark.spark
def test_one_exception_does_not_end_the_search(project: Path) -> None:
    """Hops retried the training four times, then failed everything; a path for a parameter broke its directory."""

    def fragile(path: str, loss: float) -> Any:
        if loss == 0.0:
            raise ValueError("diverged")
        return {"metric": -loss if path else 0.0, "file": "a/b", "missing": "/no/such/file"}

    text = "a/b" + "x" * 200
    grid = {"path": ["/data/train=1&2", text], "loss": [float("nan"), 0.0, 3.5, 2.5]}
    result = experiment.grid_search(fragile, grid, direction="max", progress=False)
    table = result.trials
    # The first trial returned NaN, which Hops then took for the best in either direction.
    assert table["reason"].tolist() == ["MetricNaN", "Exception", "Completed", "Completed"] * 2
    # All metrics are below zero, where Hops' maximum of nothing was the smallest number above it.
    assert result.best_value == -2.5
    assert table["attempt"].max() == 1
    assert result.best_params == {"path": "/data/train=1&2", "loss": 2.5}
    assert "diverged" in table.loc[2, "message"]


@pytest.mark.spark
def test_a_search_in_which_nothing_succeeds_says_why(project: Path) -> None:
    def broken(x: int) -> float:
        raise RuntimeError("no data")

    with pytest.raises(ExperimentFailed, match="no data") as caught:
        experiment.grid_search(broken, {"x": [1, 2]}, progress=False)
    assert caught.value.result.trials["state"].tolist() == ["Failed", "Failed"]


def test_a_repeated_value_is_refused_instead_of_sharing_a_directory() -> None:
    with pytest.raises(InvalidExperiment, match=r"0\.1"):
        experiment.grid_search(training, {"learning_rate": [0.1, 0.2, 0.1], "dropout": [0.5]})


def test_a_key_that_the_function_does_not_take_is_refused_instead_of_multiplying_the_grid() -> None:
    grid = {"learning_rate": [0.1], "dropout": [0.5], "epochs": [1, 2]}
    with pytest.raises(InvalidExperiment, match="takes no argument 'epochs'"):
        experiment.grid_search(training, grid)


def test_bounds_of_an_int_and_a_float_are_those_of_a_float() -> None:
    domain: Any = bounds({"x": [0, 1.0]})["x"]
    assert domain.parameter_type == "double"
    domain = bounds({"x": [0, 1]})["x"]
    assert domain.parameter_type == "int"


def test_a_truth_value_is_a_category_and_there_may_be_more_than_two() -> None:
    found: dict[str, Any] = bounds({"flag": [True, False], "optimizer": ["adam", "sgd", "rmsprop"]})
    assert {name: domain.parameter_type for name, domain in found.items()} == {
        "flag": "categorical",
        "optimizer": "categorical",
    }
    assert len(found["optimizer"].space.list) == 3


def test_three_numbers_are_no_bounds() -> None:
    with pytest.raises(InvalidExperiment, match=r"has 3 numbers.*search\.choice"):
        experiment.differential_evolution(training, {**BOUNDS, "dropout": [0.1, 0.2, 0.3]})


@pytest.mark.spark
def test_minimising_evolves_and_makes_no_point_twice(project: Path) -> None:
    """In 2018, ``min`` raised an error after two generations, and 41 of 100 points of a small space were repeats."""

    def loss(x: int, y: int) -> float:
        return float((x - 3) ** 2 + (y - 4) ** 2)

    result = experiment.differential_evolution(
        loss, {"x": [0, 7], "y": [0, 8]}, "min", generations=6, population=5, seed=1, progress=False
    )  # fmt: skip
    table = result.trials
    assert len(table) == 5 * 6
    assert not table.duplicated(["parameters.x", "parameters.y"]).any()
    assert result.best_value == table["metrics.metric"].min() <= 2


def test_a_launch_that_names_no_arguments_runs_once() -> None:
    from sparksweep._hops_arguments import launches

    assert launches(None) == [{}]
    assert launches({"a": [1, 2], "b": [5, 3]}) == [{"a": 1, "b": 5}, {"a": 2, "b": 3}]
    with pytest.raises(InvalidExperiment, match=r"1 \(a\), 2 \(b\)"):
        launches({"a": [1], "b": [1, 2]})
