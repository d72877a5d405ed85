"""Expected improvement: low where costs are known to be high, high where they are low or uncertain."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.algorithms.models.expected_improvement import (
    candidates,
    categorical_candidates,
    distant,
    most_promising,
)
from sparksweep_core.algorithms.models.kriging import Kriging, log_scores
from support.algorithms.algorithm_contract import examples

GRID = [(x / 10, y / 10) for x in range(11) for y in range(11)]


def promising(
    ended: list[tuple[float, float]],
    costs: list[float | None],
    unfinished: list[tuple[float, float]] | None = None,
) -> tuple[float, float]:
    index = most_promising(ended, costs, unfinished or [], GRID)
    assert index is not None
    return GRID[index]


def valley(points: list[tuple[float, float]]) -> list[float | None]:
    return [(x - 0.3) ** 2 + (y - 0.6) ** 2 for x, y in points]


def test_it_is_near_the_lowest_cost_once_there_is_little_left_to_know() -> None:
    draw = Random(1)
    ended = [(draw.random(), draw.random()) for _ in range(30)]
    assert math.dist(promising(ended, valley(ended)), (0.3, 0.6)) < 0.15


def test_it_is_where_nothing_is_known_while_costs_have_no_direction() -> None:
    ended = [(x / 10, y / 10) for x in range(6) for y in range(11)]
    costs: list[float | None] = [float((3 * i) % 7) for i in range(len(ended))]
    assert promising(ended, costs)[0] > 0.5


def test_it_is_not_near_a_trial_that_has_not_ended() -> None:
    draw = Random(1)
    ended = [(draw.random(), draw.random()) for _ in range(30)]
    alone = promising(ended, valley(ended))
    assert math.dist(promising(ended, valley(ended), [alone]), alone) > 0.05


def test_failed_trials_are_avoided() -> None:
    draw = Random(2)
    ended = [(draw.random(), draw.random()) for _ in range(40)]
    costs = [None if x < 0.5 else cost for (x, _), cost in zip(ended, valley(ended), strict=True)]
    assert promising(ended, costs)[0] >= 0.4


def test_variations_are_everywhere_and_differ_little_from_the_best_ones() -> None:
    best = [[0.1, 0.3, 0.5, 0.7, 0.9, 0.2], [0.6] * 6]
    drawn = categorical_candidates(best, Random(1).random)
    assert len(drawn) == 280
    for genotype, varied in zip(best, (drawn[200:240], drawn[240:]), strict=True):
        changed = [sum(a != b for a, b in zip(genotype, one, strict=True)) for one in varied]
        assert min(changed) == 1
        assert 1 < sum(changed) / 40 < 2.5
    assert all(0 <= index < 1 for one in drawn for index in one)


def test_what_is_away_from_all_trials_is_as_large_a_share_of_the_space_in_any_dimension() -> None:
    line = [(x / 1000,) for x in range(1001)]
    assert distant(line, [(0.5,)]) == [index for index in range(1001) if abs(index - 500) >= 2.5]
    assert distant(GRID, [(0.5, 0.5), (0.46, 0.4)]) == [
        index for index, point in enumerate(GRID) if point not in ((0.5, 0.5), (0.5, 0.4))
    ]
    assert most_promising([(0.1,), (0.2,)], [1.0, 2.0], [], []) is None


@pytest.mark.parametrize("cost", [1.0, None])
def test_costs_that_are_all_the_same_promise_nothing(cost: float | None) -> None:
    assert most_promising(GRID[:5], [cost] * 5, [], GRID) is None


def test_points_that_coincide_do_no_harm() -> None:
    twice = [(0.5, 0.5), (0.2, 0.1)] * 3
    assert most_promising(twice, [1.0, 2.0, 3.0, None, 1.0, 0.0], twice, GRID) is not None
    assert most_promising([(0.5, 0.5)] * 3, [1.0, 2.0, None], [], GRID) is None


def test_candidates_are_inside_everywhere_and_near_the_best() -> None:
    ended = [(0.0, 0.999), (0.5, 0.5), (0.2, 0.9)]
    drawn = candidates(ended, [1.0, None, 2.0], Random(1).random)
    assert all(0 <= value < 1 for point in drawn for value in point)
    cells = {(int(4 * x), int(4 * y)) for x, y in drawn[:200]}
    assert len(cells) == 16
    distances = [math.dist(point, (0.0, 0.999)) for point in drawn[200:220]]
    assert min(distances) < 0.01 < max(distances)
    assert len(drawn) == 240, "near the failed one there are none"
    assert not any(value == 0.0 for point in drawn for value in point), "none is put on the bound"


costs = st.lists(
    st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=12
)


@given(costs=costs)
@examples(200)
def test_scores_never_contradict_the_costs_and_are_finite(costs: list[float | None]) -> None:
    scores = log_scores(costs)
    assert all(map(math.isfinite, scores))
    for one, score in zip(costs, scores, strict=True):
        for other, another in zip(costs, scores, strict=True):
            if other is None or (one is not None and one <= other):
                assert score <= another


def test_scores_tell_good_costs_apart_more_than_bad_ones() -> None:
    best, good, middle, bad, worse = log_scores([0.0, 1.0, 2.0, 1000.0, 1001.0])
    assert best == 0
    assert good - best > 100 * (worse - bad)
    assert middle == pytest.approx(math.log(2))


def test_beliefs_and_likelihood_are_those_of_the_gaussian_process() -> None:
    draw = np.random.default_rng(1)
    points, scores, at = draw.random((12, 2)), draw.normal(size=12), draw.random(2)
    length_scale, nugget = 0.4, 1e-3

    def alike(distance: np.ndarray) -> np.ndarray:
        scaled = math.sqrt(5) * distance / length_scale
        return (1 + scaled + scaled**2 / 3) * np.exp(-scaled)

    shape = alike(np.linalg.norm(points[:, None] - points[None], axis=-1)) + nugget * np.eye(12)
    near = alike(np.linalg.norm(points - at, axis=-1))
    inverse = np.linalg.inv(shape)
    mean = inverse.sum(axis=0) @ scores / inverse.sum()
    rest = scores - mean
    variance = rest @ inverse @ rest / 12
    model = Kriging(points.tolist(), scores.tolist(), length_scale=length_scale)
    expected, deviation = model.mean_and_deviation(at.tolist())
    assert expected == pytest.approx(mean + near @ inverse @ rest)
    assert expected == model.mean_at(at.tolist())
    assert deviation == pytest.approx(math.sqrt(variance * (1 - near @ inverse @ near)))
    _, logdet = np.linalg.slogdet(shape)
    assert model.log_likelihood == pytest.approx(-logdet / 2 - 6 * math.log(variance))


def test_the_likelier_model_is_the_one_that_the_scores_come_from() -> None:
    smooth = [math.sin(3 * x) + y for x, y in GRID]
    rough = [math.sin(40 * x + 70 * y) for x, y in GRID]
    for scores, length_scale in ((smooth, 0.8), (rough, 0.05)):
        drawn = {one: Kriging(GRID, scores, length_scale=one).log_likelihood for one in (0.05, 0.8)}
        assert max(drawn, key=drawn.__getitem__) == length_scale
    assert Kriging(GRID, [1.0] * len(GRID)).log_likelihood == -math.inf
