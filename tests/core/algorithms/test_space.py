"""The search space: values counted, printed, drawn and encoded again."""

from __future__ import annotations

import math
from collections import Counter
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.algorithms import Space, create
from sparksweep_core.algorithms.encoding.dimensions import Dimension, dimension_of
from sparksweep_core.algorithms.encoding.distributions import BoundedDistribution
from sparksweep_core.algorithms.keyed_random import BELOW_ONE, uniforms
from sparksweep_core.api import AlgorithmName, Distribution, FeasibleSpace, Parameter, ParameterType
from support.algorithms.algorithm_contract import check_value
from support.algorithms.search_spaces import (
    any_spaces,
    discrete,
    distributed_parameters,
    double,
    finite_parameters,
    finite_spaces,
    integer,
    listed,
    positions,
    spec_of,
)
from support.algorithms.statistical import chi_square_is_ordinary
from support.hypothesis_profiles import examples

BELOW = BELOW_ONE

decimals = st.builds(
    lambda digits, exponent: f"{digits}e{exponent}",
    st.integers(-(10**12), 10**12),
    st.integers(-20, 5),
)
steps = st.builds(
    lambda digits, exponent: f"{digits}e{exponent}",
    st.integers(1, 10**6),
    st.integers(-12, 3),
)


@given(low=decimals, step=steps, count=st.integers(0, 10**6), rest=st.fractions(0, 1))
@examples(300)
def test_a_stepped_parameter_has_exactly_as_many_values_as_whole_steps_fit(
    low: str, step: str, count: int, rest: Fraction
) -> None:
    floor = Fraction(Decimal(low)) + Fraction(Decimal(step)) * count
    # Any decimal between the last value and the next one is a max with the same last value.
    thousandths = min(int(rest * 1000), 999)
    high_fraction = floor + Fraction(Decimal(step)) * Fraction(thousandths, 1000)
    scale = 10**40
    high = f"{int(high_fraction * scale)}e-40"
    expected = (Fraction(Decimal(high)) - Fraction(Decimal(low))) // Fraction(Decimal(step)) + 1
    parameter = Parameter(
        name="x",
        parameter_type=ParameterType.DOUBLE,
        feasible_space=FeasibleSpace.model_construct(min=low, max=high, step=step, list=None),
    )
    assert dimension_of(parameter).cardinality == expected == count + 1


@given(low=decimals, step=steps, index=st.integers(0, 10**6))
@examples(200)
def test_a_stepped_value_is_the_exact_decimal_in_plain_digits(
    low: str, step: str, index: int
) -> None:
    exact = Fraction(Decimal(low)) + Fraction(Decimal(step)) * index
    text = dimension_of(double("x", low, "1e30", step)).value_at(index)
    assert Fraction(Decimal(text)) == exact
    assert "e" not in text.lower()
    assert text == str(int(exact)) if exact.denominator == 1 else not text.endswith("0")


@given(parameter=st.one_of(finite_parameters(), distributed_parameters()), position=positions)
@examples(300)
def test_a_decoded_value_is_in_bounds_and_survives_encoding(
    parameter: Parameter, position: float
) -> None:
    dimension = dimension_of(parameter)
    value = dimension.decode(position)
    check_value(parameter, value)
    encoded = dimension.encode(value)
    assert 0 <= encoded < 1
    again = dimension.decode(encoded)
    if dimension.cardinality is None:
        space = parameter.feasible_space
        width = float(space.max or "") - float(space.min or "")
        assert float(again) == pytest.approx(float(value), rel=1e-9, abs=1e-6 * width)
    else:
        assert again == value


@given(parameter=finite_parameters())
@examples(100)
def test_buckets_are_equal_and_in_order(parameter: Parameter) -> None:
    dimension = dimension_of(parameter)
    count = dimension.cardinality
    assert count is not None
    values = [dimension.value_at(index) for index in range(count)]
    assert [dimension.decode((2 * index + 1) / (2 * count)) for index in range(count)] == values
    assert dimension.decode(0.0) == values[0]
    assert dimension.decode(BELOW) == values[-1]


@pytest.mark.parametrize(
    "parameter",
    [
        integer("x", 2, 5),
        integer("x", 0, 100, 10),
        double("x", "0", "0.6", "0.1"),
        listed("x", *"abcdefg"),
        discrete("x", "1", "10", "100"),
    ],
)
def test_every_value_is_equally_likely_the_ends_included(parameter: Parameter) -> None:
    dimension = dimension_of(parameter)
    counts = Counter(dimension.decode((draw + 0.5) / 9973) for draw in range(9973))
    assert len(counts) == dimension.cardinality
    assert max(counts.values()) - min(counts.values()) <= 1
    drawn = Counter(dimension.decode(position) for position in uniforms((11,), 7000))
    assert chi_square_is_ordinary([drawn[value] for value in counts])


def test_a_range_beyond_what_floats_can_count_keeps_its_ends() -> None:
    dimension = dimension_of(integer("x", -(10**30), 10**30))
    assert dimension.cardinality == 2 * 10**30 + 1
    assert dimension.decode(0.0) == str(-(10**30))
    assert int(dimension.decode(BELOW)) > 10**30 - 10**15
    assert dimension.value_at(2 * 10**30) == str(10**30)


def test_log_uniform_gives_each_decade_the_same_share() -> None:
    dimension = dimension_of(double("x", "0.0001", "0.1", distribution=Distribution.LOG_UNIFORM))
    assert float(dimension.decode(1 / 3)) == pytest.approx(0.001)
    assert float(dimension.decode(2 / 3)) == pytest.approx(0.01)
    assert 0.0001 <= float(dimension.decode(0.0)) < 0.000101
    assert 0.0999 < float(dimension.decode(BELOW)) <= 0.1


def test_log_uniform_ints_are_as_likely_as_the_way_to_the_next_one() -> None:
    dimension = dimension_of(integer("x", 1, 7, distribution=Distribution.LOG_UNIFORM))
    counts = Counter(dimension.decode((draw + 0.5) / 30000) for draw in range(30000))
    for value in range(1, 8):
        share = math.log((value + 1) / value) / math.log(8)
        assert counts[str(value)] / 30000 == pytest.approx(share, abs=1e-3)


@pytest.mark.parametrize("distribution", [Distribution.NORMAL, Distribution.LOG_NORMAL])
def test_normal_has_its_mean_in_the_middle_and_a_sigma_of_a_sixth(
    distribution: Distribution,
) -> None:
    logarithmic = distribution is Distribution.LOG_NORMAL
    low, high = (math.exp(-6), math.exp(6)) if logarithmic else (-6.0, 6.0)
    scale = BoundedDistribution(low, high, distribution)
    values = [scale.quantile((draw + 0.5) / 20000) for draw in range(20000)]
    plain = [math.log(value) for value in values] if logarithmic else values
    within = [sum(abs(x) < 2 * k for x in plain) / len(plain) for k in (1, 2)]
    assert within == pytest.approx([0.6827 / 0.9973, 0.9545 / 0.9973], abs=1e-3)
    assert scale.quantile(0.5) == pytest.approx(1.0 if logarithmic else 0.0, abs=1e-9)
    assert low <= min(values)
    assert max(values) <= high


def test_bounds_whose_distance_no_float_holds_are_kept() -> None:
    scale = BoundedDistribution(-1.7e308, 1.7e308)
    assert scale.quantile(0.5) == 0.0
    assert scale.cdf(0.85e308) == pytest.approx(0.75)


@given(finite_spaces, st.data())
@examples(60)
def test_the_size_is_the_product_and_every_index_has_a_point(
    parameters: list[Parameter], data: st.DataObject
) -> None:
    space = Space(parameters)
    assert space.size == math.prod(d.cardinality or 0 for d in space.dimensions)
    point = space.point(data.draw(st.integers(0, space.size - 1)))
    assert space.decode(space.encode(point)) == point
    with pytest.raises(IndexError):
        space.point(space.size)


@given(any_spaces, st.data())
@examples(60)
def test_a_genotype_has_one_position_for_each_parameter(
    parameters: list[Parameter], data: st.DataObject
) -> None:
    space = Space(parameters)
    genotype = data.draw(st.tuples(*[positions] * len(parameters)))
    assert list(space.decode(genotype)) == [parameter.name for parameter in parameters]
    with pytest.raises(ValueError, match="zip"):
        space.decode((*genotype, 0.5))


def test_a_continuous_space_has_neither_size_nor_indices() -> None:
    space = Space([integer("x", 1, 2), double("y", "0", "1")])
    assert space.size is None
    with pytest.raises(ValueError, match="continuous"):
        space.point(0)
    with pytest.raises(ValueError, match="step"):
        space.dimensions[1].value_at(0)


def test_a_value_that_is_not_on_the_list_has_no_position() -> None:
    with pytest.raises(ValueError, match="'c'"):
        dimension_of(listed("x", "a", "b")).encode("c")


@pytest.mark.parametrize(
    "parameter",
    [
        Parameter(
            name="lost", parameter_type=ParameterType.DISCRETE, feasible_space=FeasibleSpace()
        ),
        Parameter(
            name="lost", parameter_type=ParameterType.INT, feasible_space=FeasibleSpace(min="1")
        ),
    ],
)
def test_a_parameter_without_values_is_named(parameter: Parameter) -> None:
    with pytest.raises(ValueError, match="lost"):
        dimension_of(parameter)


def test_dimensions_are_abstract() -> None:
    with pytest.raises(TypeError):
        Dimension()  # type: ignore[abstract]


@pytest.mark.parametrize("name", AlgorithmName)
def test_every_algorithm_of_the_api_is_there(name: AlgorithmName) -> None:
    spec = spec_of([double("x", "0", "1", "0.1")], name)
    assert len(create(spec).propose([], 4)) == 4
