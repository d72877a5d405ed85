"""The quadratic model and its linear algebra, against NumPy's results, and where there is none."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest

from sparksweep_core.algorithms.keyed_random import BELOW_ONE
from sparksweep_core.algorithms.models.linear_algebra import cholesky, cholesky_solve
from sparksweep_core.algorithms.models.mahalanobis import identity, whitening_of
from sparksweep_core.algorithms.models.quadratic_model import (
    coefficient_count,
    minimizer,
    predictive_r2,
)


def cloud(count: int, dimensions: int, seed: int = 1) -> list[list[float]]:
    draw = Random(seed)
    return [[draw.random() for _ in range(dimensions)] for _ in range(count)]


@pytest.mark.parametrize("size", [1, 2, 5, 21])
def test_equations_are_solved_as_numpy_solves_them(size: int) -> None:
    root = np.random.default_rng(size).normal(size=(size, size))
    matrix, right = root @ root.T + np.eye(size), list(range(1, size + 1))
    lower_factor = cholesky([row[: index + 1] for index, row in enumerate(matrix.tolist())])
    assert lower_factor is not None
    assert cholesky_solve(lower_factor, right) == pytest.approx(
        np.linalg.solve(matrix, right).tolist()
    )


@pytest.mark.parametrize("lower", [[[0.0]], [[1.0], [2.0, 1.0]], [[math.nan]], [[math.inf]]])
def test_what_is_not_positive_definite_has_no_factor(lower: list[list[float]]) -> None:
    assert cholesky(lower) is None


@pytest.mark.parametrize("dimensions", [1, 2, 3, 5])
def test_a_quadratic_functions_minimizer_is_found(dimensions: int) -> None:
    root = np.random.default_rng(dimensions).normal(size=(dimensions, dimensions))
    bend = root @ root.T + 0.1 * np.eye(dimensions)
    goal = np.linspace(0.3, 0.6, dimensions)
    points = cloud(3 * coefficient_count(dimensions), dimensions)
    costs = [float((p - goal) @ bend @ (p - goal)) for p in map(np.array, points)]
    result = minimizer(points, costs, points[0])
    assert result == pytest.approx(goal.tolist(), abs=1e-5)


def test_it_leaves_the_box_of_its_points_by_half_of_it() -> None:
    points = [[0.4 + x / 20, 0.4 + y / 20] for x in range(5) for y in range(5)]
    result = minimizer(points, [x - 3 * y for x, y in points], [0.5, 0.5])
    assert result == pytest.approx([0.3, 0.7])


def test_it_reaches_the_bounds_of_the_cube_and_does_not_pass_them() -> None:
    points = cloud(30, 2)
    result = minimizer(points, [x - 3 * y for x, y in points], points[0])
    assert result == [0.0, BELOW_ONE]


def test_of_a_saddle_it_takes_the_lower_end() -> None:
    points = [[x / 4, y / 4] for x in range(5) for y in range(5)]
    result = minimizer(points, [(x - 0.5) ** 2 - (y - 0.4) ** 2 for x, y in points], [0.5, 0.5])
    assert result == pytest.approx([0.5, 1.0])


@pytest.mark.parametrize("costs", [[1.0] * 12, [math.inf] * 6 + [0.0] * 6])
def test_costs_that_say_nothing_lead_nowhere(costs: list[float]) -> None:
    assert minimizer(cloud(12, 2), costs, [0.5, 0.5]) is None


@pytest.mark.parametrize("scale", [2.0**-900, 2.0**1023])
def test_costs_of_any_size_lead_to_the_same_point(scale: float) -> None:
    points = cloud(12, 2)
    costs = [(x - 0.3) ** 2 - (y - 0.6) ** 2 for x, y in points]
    result = minimizer(points, [scale * cost for cost in costs], points[0])
    assert result is not None
    assert result == minimizer(points, costs, points[0])


def test_points_on_a_line_and_points_that_coincide_do_no_harm() -> None:
    line = [[index / 11, index / 11] for index in range(12)]
    result = minimizer(line, [(x - 0.5) ** 2 for x, _ in line], line[0])
    assert result is None or all(0 <= value <= 1 for value in result)
    same = minimizer([[0.5, 0.5]] * 12, [float(index) for index in range(12)], [0.5, 0.5])
    assert same is None or same == pytest.approx([0.5, 0.5])


def left_out_one_by_one(points: list[list[float]], costs: list[float]) -> float:
    """Return the leave-one-out R² by fitting a model to the others each time, with NumPy."""
    rows = np.array(
        [[1, *p, *(x * y for end, x in enumerate(p, 1) for y in p[:end])] for p in points]
    )
    errors = []
    for index, cost in enumerate(costs):
        others = np.delete(rows, index, axis=0), np.delete(costs, index)
        weights = np.linalg.lstsq(*others, rcond=None)[0]
        errors.append(cost - rows[index] @ weights)
    return 1 - float(np.square(errors).sum() / np.square(np.array(costs) - np.mean(costs)).sum())


@pytest.mark.parametrize("dimensions", [1, 2, 3, 5])
@pytest.mark.parametrize("rough", [0.0, 0.1, 10.0])
def test_predictive_r2_is_that_of_leaving_each_point_out(dimensions: int, rough: float) -> None:
    points = cloud(3 * coefficient_count(dimensions), dimensions)
    draw = Random(2)
    costs = [math.dist(point, [0.4] * dimensions) ** 2 + rough * draw.random() for point in points]
    result = predictive_r2(points, costs, points[0])
    assert result == pytest.approx(left_out_one_by_one(points, costs), abs=1e-5)
    assert (result > 0.999) == (rough == 0.0)
    assert (result < 0.0) == (rough == 10.0)


@pytest.mark.parametrize("costs", [[1.0] * 12, [math.inf] * 6 + [0.0] * 6])
def test_of_costs_that_say_nothing_nothing_is_predicted(costs: list[float]) -> None:
    assert predictive_r2(cloud(12, 2), costs, [0.5, 0.5]) == 0.0


def test_points_on_a_line_and_points_that_coincide_are_predicted_something_finite() -> None:
    line = [[index / 11, index / 11] for index in range(12)]
    assert predictive_r2(line, [(x - 0.5) ** 2 for x, _ in line], line[0]) == pytest.approx(1.0)
    same = predictive_r2([[0.5, 0.5]] * 12, [float(index) for index in range(12)], [0.5, 0.5])
    assert math.isfinite(same)
    lonely = predictive_r2([[0.5, 0.5]] * 17 + [[0.9, 0.1]], [*[0.0] * 17, 1.0], [0.5, 0.5])
    assert lonely <= 0.0


def test_distances_follow_the_shape_of_the_best() -> None:
    valley = [[x / 40, x / 40 + (0.01 if x % 2 else -0.01)] for x in range(40)]

    def stretch(points: list[list[float]]) -> float:
        """Return the ratio of the distances across the valley and along it."""
        metric = whitening_of(points)
        across = math.dist(metric([0.4, 0.6]), metric([0.6, 0.4]))
        return across / math.dist(metric([0.4, 0.4]), metric([0.6, 0.6]))

    assert stretch(valley) > 5
    assert 1 < stretch(valley[::10]) < 3, "four points say less"


def test_few_points_or_the_same_ones_have_no_shape() -> None:
    assert whitening_of([]) is identity
    assert whitening_of([[0.1, 0.2], [0.3, 0.1]]) is identity
    assert whitening_of([[0.5, 0.5]] * 9) is identity
