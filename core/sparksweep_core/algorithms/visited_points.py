"""Which points were tried: an index that grows with the trials, where comparing with all of them would take too long.

It is a function of the trials that it is asked about and of nothing else. What it keeps only saves time: asked about a
list that does not begin with the trials it knows, it starts anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from sparksweep_core.api import Trial, TrialSpec

Values = tuple[str | None, ...]

_COMPARED = 2
"""Questions that are answered without an index: making it takes as long as a few of these, so who asks once or twice and
is gone, as the planner is at each turn, would make it in vain."""


class VisitedPoints:
    """The points of some trials.

    A question takes the same time after any number of trials, and memory grows by one tuple for each of them. The one
    assumption: a list that has grown since the last question has the same specs at its beginning, if it is the same
    list and the last one that was looked at is still there.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._asked = 0
        self._trials: Sequence[Trial] = ()
        self._specs: list[TrialSpec] = []
        self._points: set[Values] = set()

    def has(self, point: Mapping[str, str], trials: Sequence[Trial]) -> bool:
        """Whether one of the trials tried the point."""
        if self._asked < _COMPARED:
            self._asked += 1
            return any(trial.spec.parameters == point for trial in trials)
        if not self._is_beginning_of(trials):
            self._specs, self._points = [], set()
        self._trials = trials
        for place in range(len(self._specs), len(trials)):
            spec = trials[place].spec
            self._specs.append(spec)
            self._points.add(self._values(spec.parameters))
        return self._values(point) in self._points

    def _is_beginning_of(self, trials: Sequence[Trial]) -> bool:
        count = len(self._specs)
        if trials is self._trials and len(trials) >= count:
            return not count or trials[count - 1].spec is self._specs[-1]
        return len(trials) >= count and self._specs == [
            trial.spec for trial in islice(trials, count)
        ]

    def _values(self, point: Mapping[str, str]) -> Values:
        return tuple(map(point.get, self._names))
