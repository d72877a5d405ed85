"""The points that were tried, for searches where comparing with every trial would take too long.

The answers depend on nothing but the trials that they are about. Of a history's trials the history keeps an index, from
one plan to the next. Of a list an index is made here, which only saves time: asked about a list that does not begin with
the indexed trials, it is built again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from sparksweep_core.algorithms.encoding.space import Point, Space
from sparksweep_core.algorithms.permutation import Permutation
from sparksweep_core.api import Trial, TrialSpec
from sparksweep_core.history import TrialSequence

Values = tuple[str | None, ...]

_UNINDEXED_QUERIES = 2
"""Queries that are answered without an index. Building it costs as much as a few of these, which would be wasted where
a search is created for one or two queries, as by the planner."""


def latest_points(trials: Sequence[Trial], count: int) -> list[Point]:
    """Return the points of the last trials, at most `count`, by number."""
    if isinstance(trials, TrialSequence):
        return [*trials.latest_points(count)]
    return [trial.spec.parameters for trial in trials[-count:]]


class VisitedPoints:
    """Points of the trials of a growing list.

    A query takes the same time after any number of trials, and memory grows by one tuple for each of them. The one
    assumption: a list that has grown since the last query has the same specs at its beginning, if it is the same list
    and the last indexed trial is still there.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._query_count = 0
        self._trials: Sequence[Trial] = ()
        self._specs: list[TrialSpec] = []
        self._points: set[Values] = set()

    def contains(self, point: Point, trials: Sequence[Trial]) -> bool:
        """Return True if one of the trials tried the point."""
        if isinstance(trials, TrialSequence):
            return point in trials.tried(self._names)
        if self._query_count < _UNINDEXED_QUERIES:
            self._query_count += 1
            return any(trial.spec.parameters == point for trial in trials)
        if not self._is_beginning_of(trials):
            self._specs, self._points = [], set()
        self._trials = trials
        for index in range(len(self._specs), len(trials)):
            spec = trials[index].spec
            self._specs.append(spec)
            self._points.add(self._values(spec.parameters))
        return self._values(point) in self._points

    def remainder(
        self, space: Space, order: Permutation, trials: Sequence[Trial]
    ) -> Iterator[dict[str, str]]:
        """Yield the points of a finite space in an order, without tried ones that a history knows to be at its beginning.

        The last point is yielded in any case. A history notes how far the beginning goes: a search that ends with the
        rest of its space passes each point once, not once a plan.
        """
        size = space.size or 0
        start = 0
        if isinstance(trials, TrialSequence):
            tried = trials.tried(self._names)
            start = tried.starts.get(order.key, 0)
            while start < size - 1 and space.point(order[start]) in tried:
                start += 1
            tried.starts[order.key] = start
        for rank in range(start, size):
            yield space.point(order[rank])

    def _is_beginning_of(self, trials: Sequence[Trial]) -> bool:
        count = len(self._specs)
        if trials is self._trials and len(trials) >= count:
            return not count or trials[count - 1].spec is self._specs[-1]
        return len(trials) >= count and self._specs == [
            trial.spec for trial in islice(trials, count)
        ]

    def _values(self, point: Point) -> Values:
        return tuple(map(point.get, self._names))
