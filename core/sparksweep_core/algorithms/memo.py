"""A cache of what is computed of each trial's point; it only saves time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from sparksweep_core.algorithms.encoding.space import Point

Result = TypeVar("Result")

_CAPACITY = 1000
"""Trials whose results are cached; beyond that all are dropped, so that memory does not grow with a search."""


class Memo(Generic[Result]):
    """Results by the number of the trial. A trial of the same number with another point is another trial."""

    def __init__(self, compute: Callable[[int, Point], Result]) -> None:
        """Cache the results of a function of a trial's number and point."""
        self._compute = compute
        self._results: dict[int, tuple[Point, Result]] = {}

    def get(self, number: int, point: Point) -> Result:
        """Return the function's result for a trial, from the cache if it is there."""
        cached = self._results.get(number)
        if cached is not None and (cached[0] is point or cached[0] == point):
            return cached[1]
        if len(self._results) >= _CAPACITY:
            self._results.clear()
        result = self._compute(number, point)
        self._results[number] = point, result
        return result
