"""Several children for one trial, and a model of the ended trials that says which of them to try.

X. Lu, K. Tang, "Classification- and Regression-Assisted Differential Evolution for Computationally Expensive Problems",
Journal of Computer Science and Technology 27(5), 2012: a model chooses among the children of differential evolution.
B. Liu, Q. Zhang, G. G. E. Gielen, "A Gaussian Process Surrogate Model Assisted Evolutionary Algorithm for Medium Scale
Expensive Optimization Problems", IEEE Transactions on Evolutionary Computation 18(2), 2014 (GPEME): the model is local.

The more children, the sooner the search closes in on what it has found. So there are none to choose from while many
trials are left, and many when they run out. The constants are those that did best in benchmarks/search.py on other
instances than the ones that are reported.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from sparksweep.api import Trial
from sparksweep_operator.search.cube import Cube
from sparksweep_operator.search.evolution_population import Costs
from sparksweep_operator.search.surrogate import Kriging, Point

Values = Mapping[str, str]

MOST_CHILDREN = 20
_CLOSING = 50
"""There are this many children for each parameter, shared out over the trials that are left."""
_NEAREST = 30
"""Ended trials that the model is made of."""
_LATEST = 300
"""Of these it takes the nearest ones."""
_NEAREST_RUNNING = 10
"""Trials that have not ended and are in the model too."""
_LAST_SCREENED = 2000
"""Trials from this number on are not screened: differential evolution has learnt its steps by then, and a proposal
stays below a millisecond after any number of trials."""
_LEAST = 4
"""Ended trials before there is a model."""


class Screen:
    """Orders children by what the nearest ended trials let expect.

    With 20 children a proposal takes 2 ms more with 2 parameters, 3 ms with 10 and 4 ms with 20, at most; with few children,
    half of that.
    """

    def __init__(self, cube: Cube, cost_of: Costs, budget: int) -> None:
        """Make one for a search; what it keeps between two calls only saves time.

        Args:
            cube: whose points it is told.
            cost_of: what ended trials cost.
            budget: how many trials the search makes in all.
        """
        self._cube = cube
        self._cost_of = cost_of
        self._budget = budget
        self._features: dict[int, tuple[Values, Point]] = {}

    def children(self, number: int) -> int:
        """How many children to make for a trial; 1: it is not screened."""
        if number > _LAST_SCREENED:
            return 1
        left = max(self._budget - number + 1, 1)
        wanted = round(_CLOSING * len(self._cube) / left)
        return min(max(wanted, 1), MOST_CHILDREN)

    def ranking(
        self,
        settled: Sequence[Trial],
        others: Sequence[Values],
        *,
        centre: Values,
        children: Sequence[Values],
    ) -> list[int]:
        """The places of the children, the most promising first.

        Args:
            settled: the trials whose results may be looked at; those without a lineage are passed over.
            others: the points of the trials after these.
            centre: the point around which the model is made.
            children: the points.
        """
        latest = [trial for trial in settled[-_LATEST:] if trial.spec.lineage]
        ended = [trial for trial in latest if trial.state.is_finished]
        if len(ended) < _LEAST:
            return list(range(len(children)))
        features = self._cube.features
        middle = features(centre)
        running = [trial.spec.parameters for trial in latest if not trial.state.is_finished]
        points = self._known(ended)
        near = _nearest(points, middle, _NEAREST)
        waiting = [features(point) for point in (*running, *others)]
        model = Kriging(
            [points[place] for place in near]
            + [waiting[place] for place in _nearest(waiting, middle, _NEAREST_RUNNING)],
            [self._cost_of(ended[place]) for place in near],
        )
        expected = [model.predicted(features(child)) for child in children]
        return sorted(range(len(children)), key=expected.__getitem__)

    def _known(self, ended: Iterable[Trial]) -> list[Point]:
        """The trials' features: taken from the last call where the trial is the same."""
        before, self._features = self._features, {}
        for trial in ended:
            point = trial.spec.parameters
            known = before.get(trial.number)
            if known is None or (known[0] is not point and known[0] != point):
                known = point, self._cube.features(point)
            self._features[trial.number] = known
        return [features for _, features in self._features.values()]


def _nearest(points: Sequence[Point], middle: Point, count: int) -> list[int]:
    """The places of the points that are nearest to one, in their order; of equally near ones the later."""
    by_distance = sorted((math.dist(point, middle), -place) for place, point in enumerate(points))
    return sorted(-place for _, place in by_distance[:count])
