"""Points of a grid: counted exactly for any decimals, without enumerating them."""

from __future__ import annotations

from decimal import Decimal
from itertools import count, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.api import FeasibleSpace, Parameter, ParameterType
from sparksweep_core.validation.checks_search import format_count, grid_points


def double(low: str, high: str, step: str | None) -> Parameter:
    return Parameter(
        name="x",
        parameter_type=ParameterType.DOUBLE,
        feasible_space=FeasibleSpace(min=low, max=high, step=step),
    )


def integer(low: str, high: str, step: str | None = None) -> Parameter:
    return double(low, high, step).model_copy(update={"parameter_type": ParameterType.INT})


@pytest.mark.parametrize(
    ("parameter", "points"),
    [
        # Binary fractions lose the last point of the first two.
        (double("0", "0.3", "0.1"), 4),
        (double("0.1", "0.7", "0.1"), 7),
        (double("0.01", "0.05", "0.005"), 9),
        (double("0", "1", "0.3"), 4),
        (double("-1e-3", "1e-3", "5e-4"), 5),
        (double("0", "1e300", "1e-300"), 10**600 + 1),
        (double("0", "1", None), None),
        (integer("1", "9"), 9),
        (integer("-3", "3", "2"), 4),
    ],
)
def test_a_range_has_the_points_that_its_step_reaches(
    parameter: Parameter, points: int | None
) -> None:
    assert grid_points([parameter]) == points


def test_a_grid_is_the_product() -> None:
    listed = Parameter(
        name="y",
        parameter_type=ParameterType.CATEGORICAL,
        feasible_space=FeasibleSpace(list=["a", "b"]),
    )
    assert grid_points([integer("1", "3"), listed]) == 6
    assert grid_points([integer("1", "1000000")] * 64) == 10**384


@given(low=st.integers(-50, 50), width=st.integers(1, 300), step=st.integers(1, 300))
def test_points_are_counted_as_one_would_by_hand(low: int, width: int, step: int) -> None:
    first, last, by = (Decimal(value) / 100 for value in (low, low + width, step))
    by_hand = len(list(takewhile(lambda value: value <= last, (first + i * by for i in count()))))
    assert grid_points([double(str(first), str(last), str(by))]) == by_hand


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1_234_567, "1,234,567"),
        (10**15 - 1, "999,999,999,999,999"),
        (10**15, "10^15"),
        (10**40, "10^40"),
        (10**40 - 1, "more than 10^39"),
        (10**40 + 1, "more than 10^40"),
        (10**30000, "10^30000"),
    ],
    # Python writes no more than 4,300 digits.
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_number_is_readable_however_large(number: int, text: str) -> None:
    assert format_count(number) == text
