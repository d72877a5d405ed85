"""Random search: independent draws from the parameters' distributions, without repeating a point of a finite space."""

from __future__ import annotations

from collections.abc import Sequence

from sparksweep_core.algorithms.base import Algorithm, next_number, numbered
from sparksweep_core.algorithms.encoding.space import Space
from sparksweep_core.algorithms.keyed_random import uniforms
from sparksweep_core.algorithms.permutation import Permutation
from sparksweep_core.algorithms.visited_points import VisitedPoints
from sparksweep_core.api import ExperimentSpec, Trial, TrialSpec
from sparksweep_core.api.algorithm_settings import settings_of
from sparksweep_core.validation.checks_search import in_order

_TRIES = 100
"""Draws for one trial before the rest of a finite space is taken in a random order. While untried points hold a
hundredth of the probability, 63 in 100 trials find their point this way."""


class RandomSearch(Algorithm):
    """Trial n is a function of the seed and n.

    A finite space ends when each of its points has been proposed once. If its points are equally likely, their order
    is a pseudorandom permutation. If they are not, points are drawn until one is untried, which is exactly sampling
    without replacement; when almost all of the probability has been tried, the rest follows in a random order. Trial n
    then also depends on the points of the trials before, and still not on their results.
    """

    ignores_results = True

    def __init__(self, spec: ExperimentSpec) -> None:
        self._space = Space([in_order(parameter) for parameter in spec.parameters])
        self._seed = int(settings_of(spec.algorithm)["seed"])
        self._size = self._space.size
        self._visited = VisitedPoints(self._space.names)
        self._order = None if self._size is None else Permutation(self._size, seed=self._seed)

    def size(self) -> int | None:
        """Return the number of points of a finite space; None for any other."""
        return self._size

    def propose(self, trials: Sequence[Trial], count: int) -> list[TrialSpec]:
        """Return the next draws."""
        first = next_number(trials)
        return numbered(self._points(first, trials, count), first)

    def _points(self, first: int, trials: Sequence[Trial], count: int) -> list[dict[str, str]]:
        if self._size is None or self._order is None:
            return [self._draw(number) for number in range(first, first + count)]
        numbers = range(first, min(first + count, self._size + 1))
        if self._space.is_uniform:
            return [self._space.point(self._order[number - 1]) for number in numbers]
        return self._draw_untried(numbers, trials, self._order)

    def _draw(self, number: int, attempt: int = 0) -> dict[str, str]:
        key = (self._seed, number, attempt)
        return self._space.decode(uniforms(key, len(self._space.dimensions)))

    def _draw_untried(
        self, numbers: range, trials: Sequence[Trial], order: Permutation
    ) -> list[dict[str, str]]:
        points: list[dict[str, str]] = []
        made: set[tuple[str, ...]] = set()

        def is_untried(point: dict[str, str]) -> bool:
            return tuple(point.values()) not in made and not self._visited.contains(point, trials)

        # Points are only ever added, so one that was skipped stays skipped.
        rest = filter(is_untried, self._visited.remainder(self._space, order, trials))
        for number in numbers:
            draws = (self._draw(number, attempt) for attempt in range(_TRIES))
            point = next(filter(is_untried, draws), None)
            points.append(next(rest) if point is None else point)
            made.add(tuple(points[-1].values()))
        return points
