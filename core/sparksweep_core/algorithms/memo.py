"""What is computed of each trial's point, kept while the trial is asked about again and again: it only saves time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

Values = Mapping[str, str]
Result = TypeVar("Result")

_MOST = 1000
"""Trials whose results are kept; beyond that all are forgotten, so that memory does not grow with a search."""


class Memo(Generic[Result]):
    """Results by the number of the trial. A trial of the same number with another point is another trial."""

    def __init__(self, compute: Callable[[int, Values], Result]) -> None:
        """Keep what a function says of a trial's number and point."""
        self._compute = compute
        self._results: dict[int, tuple[Values, Result]] = {}

    def of(self, number: int, point: Values) -> Result:
        """The function's result for a trial: computed now, unless it was for the same one before."""
        known = self._results.get(number)
        if known is not None and (known[0] is point or known[0] == point):
            return known[1]
        if len(self._results) >= _MOST:
            self._results.clear()
        result = self._compute(number, point)
        self._results[number] = point, result
        return result
