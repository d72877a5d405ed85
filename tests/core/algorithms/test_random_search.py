"""Random search: the contract, what the seed decides, and that finite spaces are not drawn from twice."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.algorithms import create
from sparksweep_core.algorithms.keyed_random import uniforms
from sparksweep_core.algorithms.permutation import Permutation
from sparksweep_core.api import Distribution, Parameter, TrialSpec
from support.algorithms.algorithm_contract import AlgorithmContract
from support.algorithms.search_spaces import discrete, double, integer, listed, spec_of, trials_with
from support.algorithms.statistical import chi_square_is_ordinary
from support.hypothesis_profiles import examples


class TestRandom(AlgorithmContract):
    name = "random"


def draws(*parameters: Parameter, seed: int = 0, count: int = 100) -> list[tuple[str, ...]]:
    algorithm = create(spec_of(parameters, "random", seed=str(seed)))
    return [tuple(trial.parameters.values()) for trial in algorithm.propose([], count)]


def test_the_seed_decides_and_its_default_is_zero() -> None:
    rate = double("rate", "0.0001", "0.1", distribution=Distribution.LOG_UNIFORM)
    assert draws(rate, seed=1) == draws(rate, seed=1)
    assert draws(rate, seed=1) != draws(rate, seed=2)
    unseeded = create(spec_of([rate], "random")).propose([], 100)
    assert [tuple(trial.parameters.values()) for trial in unseeded] == draws(rate, seed=0)


def test_the_sequence_is_the_same_in_every_release() -> None:
    """A run that is resumed under a newer sparksweep must go on with the same trials."""
    pairs = draws(double("rate", "0", "1"), integer("layers", 1, 9), seed=7, count=2)
    assert pairs == [("0.6144826270468574", "5"), ("0.07179258034049008", "9")]
    finite = draws(integer("x", 1, 10), seed=7)
    assert [x for (x,) in finite] == ["2", "8", "5", "3", "9", "4", "10", "6", "7", "1"]


def test_a_parameter_added_at_the_end_leaves_the_others_draws() -> None:
    rate = double("rate", "0", "1")
    more = draws(rate, double("momentum", "0", "1"), seed=3)
    assert [first for first, _ in more] == [first for (first,) in draws(rate, seed=3)]


def test_consecutive_draws_and_seeds_are_uniform() -> None:
    cells: Counter[int] = Counter()
    for seed in range(20):
        for (text,) in draws(double("x", "0", "1"), seed=seed, count=100):
            cells[int(float(text) * 10)] += 1
    assert chi_square_is_ordinary([cells[cell] for cell in range(10)])


def test_a_finite_space_ends_when_every_point_has_come_once() -> None:
    parameters = (integer("x", 0, 9), listed("y", "a", "b", "c"))
    algorithm = create(spec_of(parameters, "random"))
    assert algorithm.size() == 30
    points = draws(*parameters)
    assert len(points) == len(set(points)) == 30
    assert points != sorted(points)


def test_every_point_of_a_finite_space_is_equally_likely_at_every_rank() -> None:
    parameters = (discrete("x", "1", "2", "3"), listed("y", "a", "b"))
    orders = [draws(*parameters, seed=seed) for seed in range(1800)]
    for rank in range(6):
        assert chi_square_is_ordinary(list(Counter(order[rank] for order in orders).values()))
    pairs = Counter(order[0] + order[1] for order in orders)
    assert len(pairs) == 30
    assert chi_square_is_ordinary(list(pairs.values()))


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_a_skewed_finite_space_is_drawn_by_its_distribution_and_then_used_up(chunk: int) -> None:
    parameter = integer("x", 1, 64, distribution=Distribution.LOG_UNIFORM)
    algorithm = create(spec_of([parameter], "random", seed="5"))
    made: list[TrialSpec] = []
    while more := algorithm.propose(trials_with(made), chunk):
        made += more
    values = [int(trial.parameters["x"]) for trial in made]
    assert sorted(values) == list(range(1, 65))
    assert [(str(value),) for value in values] == draws(parameter, seed=5)


def test_small_values_come_first_when_they_are_more_likely() -> None:
    parameter = integer("x", 1, 1000, distribution=Distribution.LOG_UNIFORM)
    firsts = [int(draws(parameter, seed=seed, count=1)[0][0]) for seed in range(900)]
    # log(1001) / 3 of the distribution's length each.
    thirds = Counter(sum(first >= edge for edge in (10.003, 100.07)) for first in firsts)
    assert chi_square_is_ordinary(list(thirds.values()))


def test_a_huge_finite_space_is_drawn_from_without_being_built() -> None:
    parameters = [integer(f"p{rank}", 1, 100) for rank in range(20)]
    points = draws(*parameters)
    assert len(set(points)) == 100
    assert len({value for point in points for value in point}) == 100


@given(size=st.integers(1, 400), seed=st.integers(0, 10**6))
@examples(100)
def test_a_permutation_has_every_number_once(size: int, seed: int) -> None:
    order = Permutation(size, seed=seed)
    assert sorted(order[rank] for rank in range(size)) == list(range(size))


@pytest.mark.parametrize("rank", [-1, 5])
def test_a_permutation_has_no_rank_outside_its_size(rank: int) -> None:
    with pytest.raises(IndexError):
        Permutation(5, seed=0)[rank]


def test_keys_that_differ_anywhere_give_other_numbers() -> None:
    assert len({uniforms(key, 1)[0] for key in [(1, 23), (12, 3), (1, 2, 3), (3, 12)]}) == 4
