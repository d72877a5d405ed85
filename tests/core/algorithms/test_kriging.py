"""Kriging: scores of ranks in, an order of points out."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.algorithms.models.kriging import Kriging, normal_scores
from support.algorithms.algorithm_contract import examples

costs = st.lists(st.none() | st.floats(allow_nan=False), min_size=1, max_size=12)


@given(costs=costs)
@examples(100)
def test_scores_have_the_order_of_the_costs_and_failures_are_the_worst(
    costs: list[float | None],
) -> None:
    scores = normal_scores(costs)
    assert all(map(math.isfinite, scores))
    for one, score in zip(costs, scores, strict=True):
        for other, another in zip(costs, scores, strict=True):
            if one == other:
                assert score == another
            elif other is None or (one is not None and one < other):
                assert score < another


def test_scores_depend_on_ranks_alone() -> None:
    assert normal_scores([3.0, 1.0, 2.0]) == normal_scores([None, -1e300, 1e300])


def test_it_gives_back_the_scores_of_its_own_points() -> None:
    points = [(x / 4, y / 4) for x in range(5) for y in range(5)]
    losses = [(x - 0.6) ** 2 + 3 * abs(y - 0.3) for x, y in points]
    model = Kriging(points, normal_scores(losses))
    for point, score in zip(points, normal_scores(losses), strict=True):
        assert model.mean_at(point) == pytest.approx(score, abs=0.05)


def test_between_its_points_it_is_lower_where_the_costs_are() -> None:
    points = [(x / 6, y / 6) for x in range(7) for y in range(7)]
    losses = [(x - 0.6) ** 2 + (y - 0.3) ** 2 for x, y in points]
    model = Kriging(points, normal_scores(losses))
    assert model.mean_at((0.6, 0.3)) < min(
        model.mean_at(far) for far in [(0.1, 0.3), (0.9, 0.9), (0.6, 0.8)]
    )


def test_it_is_as_good_after_everything_has_shrunk() -> None:
    points = [(x / 6, y / 6) for x in range(7) for y in range(7)]
    losses = [(x - 0.6) ** 2 + (y - 0.3) ** 2 for x, y in points]
    small = Kriging([(x * 1e-9, y * 1e-9) for x, y in points], normal_scores(losses))
    assert small.mean_at((0.6e-9, 0.3e-9)) == pytest.approx(
        Kriging(points, normal_scores(losses)).mean_at((0.6, 0.3))
    )


@pytest.mark.parametrize("losses", [[1.0, 1.0, 1.0], [None, None, None], [None, 1e308, -1e308]])
def test_points_that_coincide_and_costs_that_say_nothing_do_no_harm(
    losses: list[float | None],
) -> None:
    for points in ([(0.5,)] * 3, [(0.0,), (0.5,), (math.nextafter(0.5, 1),)]):
        assert math.isfinite(Kriging(points, normal_scores(losses)).mean_at((0.5,)))
