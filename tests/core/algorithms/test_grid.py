"""Grid search: the contract, and the numbering that users know from Hops and Katib."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given

from sparksweep_core.algorithms import GridSearch, UnsupportedAlgorithm, create
from sparksweep_core.algorithms.encoding.space import Space
from sparksweep_core.api import ExperimentSpec, Parameter
from support.algorithms.algorithm_contract import AlgorithmContract
from support.algorithms.search_spaces import (
    discrete,
    double,
    finite_spaces,
    integer,
    listed,
    spec_of,
    trials_with,
)
from support.hypothesis_profiles import examples


class TestGrid(AlgorithmContract):
    name = "grid"
    spaces = finite_spaces

    def spec(self, parameters: list[Parameter], seed: int) -> ExperimentSpec:
        return spec_of(parameters)


def points(*parameters: Parameter, count: int = 1000) -> list[tuple[str, ...]]:
    algorithm = create(spec_of(parameters))
    return [tuple(trial.parameters.values()) for trial in algorithm.propose([], count)]


def test_the_table_of_two_lists_is_numbered_row_by_row() -> None:
    table = points(
        discrete("learning_rate", "0.001", "0.0005", "0.0001"), discrete("dropout", "0.45", "0.7")
    )
    assert table == [
        ("0.001", "0.45"),
        ("0.001", "0.7"),
        ("0.0005", "0.45"),
        ("0.0005", "0.7"),
        ("0.0001", "0.45"),
        ("0.0001", "0.7"),
    ]


def test_katibs_example_grid_has_45_exact_points() -> None:
    parameters = (double("lr", "0.01", "0.05", "0.005"), double("momentum", "0.5", "0.9", "0.1"))
    assert create(spec_of(parameters)).size() == 45
    assert points(*parameters, count=12) == [
        ("0.01", "0.5"), ("0.01", "0.6"), ("0.01", "0.7"), ("0.01", "0.8"), ("0.01", "0.9"),
        ("0.015", "0.5"), ("0.015", "0.6"), ("0.015", "0.7"), ("0.015", "0.8"), ("0.015", "0.9"),
        ("0.02", "0.5"), ("0.02", "0.6"),
    ]  # fmt: skip
    assert points(*parameters)[-1] == ("0.05", "0.9")


@pytest.mark.parametrize(
    ("low", "high", "step", "values"),
    [
        ("0", "0.3", "0.1", "0 0.1 0.2 0.3"),
        ("0.1", "0.7", "0.1", "0.1 0.2 0.3 0.4 0.5 0.6 0.7"),
        ("0.10", "1.0", "0.45", "0.1 0.55 1"),
        ("-1", "1", "0.75", "-1 -0.25 0.5"),
        ("1e-3", "3e-3", "1e-3", "0.001 0.002 0.003"),
        ("1e2", "3e2", "1E2", "100 200 300"),
        ("+.5", "2.", ".5", "0.5 1 1.5 2"),
        ("0", "1", "5", "0"),
        ("0", "1e-300", "1e-300", "0 1e-300"),
    ],
)
def test_steps_are_exact_decimals(low: str, high: str, step: str, values: str) -> None:
    assert [value for (value,) in points(double("x", low, high, step))] == values.split()


@given(finite_spaces)
@examples(100)
def test_the_order_is_that_of_the_cartesian_product(parameters: list[Parameter]) -> None:
    dimensions = Space(parameters).dimensions
    values = [[d.value_at(i) for i in range(d.cardinality or 0)] for d in dimensions]
    assert points(*parameters, count=300) == list(itertools.islice(itertools.product(*values), 300))


def test_a_grid_of_10_to_the_40_points_is_counted_and_addressed_without_being_built() -> None:
    parameters = [integer(f"p{index}", 1, 100) for index in range(20)]
    algorithm = create(spec_of(parameters))
    assert algorithm.size() == 100**20
    space = Space(parameters)
    assert set(space.point(100**20 - 1).values()) == {"100"}
    assert space.point(100**19)["p0"] == "2"


def test_a_value_that_is_written_twice_makes_one_trial() -> None:
    assert points(listed("x", "a", "b", "a"), discrete("y", "1", "1")) == [("a", "1"), ("b", "1")]


def test_values_of_a_list_stay_as_they_were_written() -> None:
    assert points(discrete("x", "1e-3", "0.10", "+2")) == [("1e-3",), ("0.10",), ("+2",)]


def test_after_a_gap_in_the_numbers_no_point_comes_twice() -> None:
    algorithm = create(spec_of([integer("x", 1, 10)]))
    trials = trials_with(algorithm.propose([], 4))
    following = algorithm.propose(trials[2:], 2)
    assert [(trial.number, trial.parameters) for trial in following] == [
        (5, {"x": "5"}),
        (6, {"x": "6"}),
    ]


def test_a_continuous_parameter_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedAlgorithm, match=r"rate.*step"):
        GridSearch(spec_of([integer("x", 1, 2), double("rate", "0", "1")]))
