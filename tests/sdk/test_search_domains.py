"""From Python values to feasible spaces, and back to the very same values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep import search
from sparksweep.errors import InvalidExperiment
from sparksweep_trainer.trial.arguments import decode

FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.one_of(FLOATS, st.integers(-(10**12), 10**12)), min_size=1, unique=True))
def test_numbers_of_a_list_come_back_exactly_and_of_their_own_type(values: list[Any]) -> None:
    domain = search.choice(values)
    assert domain.parameter_type == "discrete"
    texts = domain.space.list or []
    back = [decode("discrete", text) for text in texts]
    assert back == values
    assert [type(value) for value in back] == [type(value) for value in values]
    assert domain.values == {}


@given(st.lists(st.text(min_size=1, max_size=30), min_size=1, unique=True))
def test_texts_come_back_as_they_were(values: list[str]) -> None:
    domain = search.choice(values)
    assert (domain.parameter_type, domain.space.list) == ("categorical", values)


def test_any_other_value_goes_by_a_label_and_comes_back_as_itself() -> None:
    values = [True, None, (1, 2), "adam", math.nan, "x" * 1000]
    domain = search.choice(*values)
    assert domain.parameter_type == "categorical"
    labels = domain.space.list or []
    assert labels[:5] == ["True", "None", "(1, 2)", "adam", "nan"]
    assert [domain.values[label] for label in labels] == values


def test_two_values_that_are_written_alike_are_refused() -> None:
    with pytest.raises(
        InvalidExperiment, match="True is given twice, or two values have the same text"
    ):
        search.choice(True, "True")


def test_numpys_scalars_and_arrays_are_their_values() -> None:
    assert search.choice(np.array([1, 2])).space.list == ["1", "2"]
    assert search.choice(np.float64(0.5), np.int64(3)).space.list == ["0.5", "3"]
    # No float for a type checker, and one for users.
    assert search.uniform(np.float32(0.5), 1).space.min == "0.5"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("domain", "document"),
    [
        (search.uniform(0, 1), {"min": "0", "max": "1"}),
        (search.uniform(0.0, 1.0, step=0.25), {"min": "0.0", "max": "1.0", "step": "0.25"}),
        (search.log_uniform(1e-4, 0.1), {"min": "0.0001", "max": "0.1", "distribution": "logUniform"}),
        (search.normal(-1, 1), {"min": "-1", "max": "1", "distribution": "normal"}),
        (search.log_normal(1, 100), {"min": "1", "max": "100", "distribution": "logNormal"}),
        (search.int_uniform(1, 8, step=2), {"min": "1", "max": "8", "step": "2"}),
        (search.int_uniform(1, 1024, log=True), {"min": "1", "max": "1024", "distribution": "logUniform"}),
        (search.grid(0.1, 0.5, step=0.1), {"min": "0.1", "max": "0.5", "step": "0.1"}),
        (search.grid(3, 1, 2), {"list": ["3", "1", "2"]}),
    ],
)  # fmt: skip
def test_a_domain_is_a_feasible_space(domain: search.Domain, document: dict[str, str]) -> None:
    found = {key: value for key, value in domain.space.to_dict().items() if value != "uniform"}
    assert found == document


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: search.uniform("a", 1), "low: 'a' is not a finite number"),  # type: ignore[arg-type]
        (lambda: search.uniform(0, math.inf), "high: inf is not a finite number"),
        (lambda: search.uniform(0, True), "high: True is not a finite number"),
        (lambda: search.int_uniform(0, 1.5), "high: 1.5 is not an integer"),  # type: ignore[arg-type]
        (lambda: search.choice(), "values: is empty"),
        (lambda: search.choice([]), "values: is empty"),
        (lambda: search.grid(1, 2, 3, step=1), "has a step and 3 values"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name_and_value(make: Any, message: str) -> None:
    with pytest.raises(InvalidExperiment, match=message.replace("(", r"\(")):
        make()


def test_only_what_a_grid_can_enumerate_is_finite() -> None:
    assert search.choice(1, 2).is_finite
    assert search.int_uniform(1, 3).is_finite
    assert search.uniform(0, 1, step=0.5).is_finite
    assert not search.uniform(0, 1).is_finite
    assert not search.int_uniform(1, 3, log=True).is_finite


@pytest.mark.parametrize(
    ("domain", "shown"),
    [
        (search.uniform(0, 1), "<double: 0 to 1>"),
        (search.uniform(0, 1, step=0.1), "<double: 0 to 1, step 0.1>"),
        (search.int_uniform(1, 9, log=True), "<int: 1 to 9, logUniform>"),
        (search.choice("adam", None), "<categorical: adam, None>"),
        (search.choice(0.1, 2), "<discrete: 0.1, 2>"),
        (search.choice("\x1b[31m", "b"), r"<categorical: \x1b[31m, b>"),
    ],
)
def test_a_domain_shows_its_type_and_its_values(domain: search.Domain, shown: str) -> None:
    assert repr(domain) == shown


def test_the_repr_of_many_values_is_short_and_counts_them() -> None:
    shown = repr(search.choice(range(300)))
    assert shown.startswith("<discrete: 0, 1, 2")
    assert shown.endswith("... (300 values)>")
    assert len(shown) < 100


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("loguniform", "log_uniform"),
        ("suggest_float", "uniform or log_uniform"),
        ("suggest_int", "int_uniform"),
        ("randint", "int_uniform"),
        ("quniform", "uniform(low, high, step=...)"),
        ("lograndint", "int_uniform(low, high, log=True)"),
        ("categorical", "choice"),
        ("grid_search", "grid"),
        ("Choice", "choice"),
        ("unifrom", "uniform"),
    ],
)
def test_a_function_that_does_not_exist_is_answered_with_the_one_that_does(
    name: str, meant: str
) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(search, name)
    text = f"module 'sparksweep.search' has no attribute '{name}': did you mean {meant}?"
    assert str(caught.value) == text


def test_a_name_without_a_near_one_is_answered_with_all_functions() -> None:
    with pytest.raises(AttributeError, match="there are choice, grid, int_uniform, "):
        search.sample_from  # noqa: B018
    assert not hasattr(search, "__path__")


def test_completion_offers_the_functions_alone() -> None:
    assert {name for name in dir(search) if not name.startswith("__")} == set(search.__all__)


@pytest.mark.parametrize(
    ("low", "high"), [(2**60, 2**60 + 5), (2**53, 2**53 + 1), (-(2**63), 1 - 2**63)]
)
def test_ints_that_no_float_tells_apart_are_bounds_of_their_own(low: int, high: int) -> None:
    space = search.int_uniform(low, high).space
    assert (space.min, space.max) == (str(low), str(high))
    with pytest.raises(InvalidExperiment, match="equals low"):
        search.int_uniform(low, low)


def test_a_duration_is_no_number() -> None:
    with pytest.raises(InvalidExperiment, match="is not a finite number"):
        search.uniform(np.timedelta64(1, "s"), 5)  # type: ignore[arg-type]
    assert search.choice(np.timedelta64(1, "s"), np.timedelta64(2, "s")).space.list is not None
