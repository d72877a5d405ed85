"""Models of the ended trials that say what to try: one of several children, a parabola's lowest point, or somewhere else.

X. Lu, K. Tang, "Classification- and Regression-Assisted Differential Evolution for Computationally Expensive Problems",
Journal of Computer Science and Technology 27(5), 2012: a model chooses among the children of differential evolution.
B. Liu, Q. Zhang, G. G. E. Gielen, "A Gaussian Process Surrogate Model Assisted Evolutionary Algorithm for Medium Scale
Expensive Optimization Problems", IEEE Transactions on Evolutionary Computation 18(2), 2014 (GPEME): the model is local.

The more children, the sooner the search closes in on what it has found. So there are none to choose from while many
trials are left, and many when they run out. The parabola's lowest point takes the place of a child for the leading third
of the population alone: the others stay where they are, apart, and find what no parabola shows. In a long search of more
than two parameters it does so only where the parabola foretells what trials cost. Of up to three parameters the whole
space can be modelled: some of the others' trials go where improvement.py says, most of them early. Where the parabola
has led to one place and nothing more is gained there, nearly all trials go elsewhere, or the population is done. Where
all parameters have finitely many values, and some are categories, the first trials all go where improvement.py says. The
constants are those that did best in benchmarks/search.py and benchmarks/tabular.py on other instances, and with other
seeds, than the ones that are reported.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from sparksweep_core.algorithms.differential_evolution.population import Costs
from sparksweep_core.algorithms.encoding.unit_cube import Genotype, UnitCube
from sparksweep_core.algorithms.keyed_random import BELOW_ONE, Draw
from sparksweep_core.algorithms.memo import Memo, Values
from sparksweep_core.algorithms.model_assisted.stagnation import MIN_STALLED, has_stagnated
from sparksweep_core.algorithms.models.expected_improvement import (
    OF_BEST,
    candidates,
    categorical_candidates,
    distant,
    most_promising,
)
from sparksweep_core.algorithms.models.kriging import Kriging, best_first, normal_scores
from sparksweep_core.algorithms.models.linear_algebra import Point
from sparksweep_core.algorithms.models.mahalanobis import Whitening, identity, whitening_of
from sparksweep_core.algorithms.models.quadratic_model import (
    coefficient_count,
    minimizer,
    predictive_r2,
)
from sparksweep_core.api import Trial

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
_MOST_EXPLORED, MOST_EXPLORED_LATE = 3, 2
"""Parameters with which the whole space is modelled, early in the search and when it has closed in."""
_FIRST, _MOST_FIRST = 25, 50
"""Early: for each of them, and in all, trials of which every second one may go anywhere, where the model promises the most."""
_LAST = 100
"""For each of them, trials up to which any may when the search has closed in on a place. Then the model takes too long."""
_LAST_LISTED = 100
"""With categories, and finitely many values of the rest, all trials up to this one may."""
_REFINING = 4
"""When it has, one in so many of the leading members' trials goes on refining that place."""
_PATIENT = 75
"""With more trials than this for each parameter, and too many parameters to explore to the end, guesses are made only where
the parabola has proved right: elsewhere there are several places to look at, and trials enough for that."""
_PROOF, _FORETOLD = 3, 0.5
"""So many trials for each number of the parabola, and the share of their costs that it is to foretell."""
_BEST = 9
"""The best of them give distances their shape, or three in ten while there are few."""
_MOST_TERMS = 21
"""Numbers that a parabola has at most: those of 5 parameters. More take too many trials to know, and too long."""


@dataclass(frozen=True, slots=True)
class Known:
    """What models are made of. Two of its points are as near as their places are."""

    values: Sequence[Values]
    """Of the latest trials that have ended."""
    ended: Sequence[Point]
    """Where these are."""
    costs: Sequence[float | None]
    """Of these; None: it failed."""
    unfinished: Sequence[Point]
    """Trials that have not ended."""
    centre: Point
    """Around what a model is made."""
    metric: Whitening
    """Gives a point its place."""
    ended_places: Sequence[Point]
    unfinished_places: Sequence[Point]
    middle: Point
    """The centre's place."""


class Screen:
    """Orders children by what the nearest ended trials let expect, and guesses where a better one is."""

    def __init__(self, cube: UnitCube, cost_of: Costs, budget: int) -> None:
        """Make one for a search; what it keeps between two calls only saves time.

        Args:
            cube: whose points it is told.
            cost_of: what ended trials cost.
            budget: how many trials the search makes in all.
        """
        self._cube = cube
        self._cost_of = cost_of
        self._budget = budget
        self._is_patient = len(cube) > MOST_EXPLORED_LATE and budget > _PATIENT * len(cube)
        # Between categories there is no direction, and of many dimensions few trials don't say which counts.
        is_small = coefficient_count(len(cube)) <= _MOST_TERMS
        self._has_shape = is_small and not any(cube.is_category)
        # What differs in a category is tried as well as anything else; a continuous parameter wants steps, too.
        self._is_listed = any(cube.is_category) and not cube.continuous
        self._features = Memo[Point](lambda _, point: cube.features(point))

    def children(self, number: int) -> int:
        """How many children to make for a trial; 1: it is not screened."""
        if number > _LAST_SCREENED:
            return 1
        left = max(self._budget - number + 1, 1)
        wanted = round(_CLOSING * len(self._cube) / left)
        return min(max(wanted, 1), MOST_CHILDREN)

    def known(self, settled: Sequence[Trial], others: Sequence[Values], *, centre: Values) -> Known:
        """What there is to learn from.

        Args:
            settled: the trials whose results may be looked at; those without a lineage are passed over.
            others: the points of the trials after these.
            centre: the point around which models are made.
        """
        latest = [trial for trial in settled[-_LATEST:] if trial.spec.lineage]
        ended = [trial for trial in latest if trial.state.is_finished]
        running = [trial.spec.parameters for trial in latest if not trial.state.is_finished]
        features = self._cube.features
        points = [self._features.of(trial.number, trial.spec.parameters) for trial in ended]
        costs = [self._cost_of(trial) for trial in ended]
        middle = features(centre)
        metric = self._metric(points, costs)
        unfinished = [features(point) for point in (*running, *others)]
        return Known(
            values=[trial.spec.parameters for trial in ended],
            ended=points,
            costs=costs,
            unfinished=unfinished,
            centre=middle,
            metric=metric,
            ended_places=[metric(point) for point in points],
            unfinished_places=[metric(point) for point in unfinished],
            middle=metric(middle),
        )

    def guesses(self, number: int) -> bool:
        """Whether a trial may be a guess: while there are few parameters, all of them numbers."""
        return self._has_shape and number <= _LAST_SCREENED

    def guess(self, known: Known) -> Genotype | None:
        """Where a parabola through the nearest ended trials is lowest; None if they are too few to say, or it is known.

        If the nearest trial to that place has not ended, its result is awaited. In a long search there is none, either,
        where the parabola foretells little of what trials cost.
        """
        trials = zip(known.ended, known.costs, known.ended_places, strict=True)
        useful = [(point, cost, place) for point, cost, place in trials if cost is not None]
        size = len(self._cube)
        if len(useful) < coefficient_count(size) + size:
            return None
        several = _PROOF * coefficient_count(size)
        if self._is_patient and len(useful) >= several:
            useful = _beside(known.middle, useful, several)
            points, costs, _ = zip(*useful, strict=True)
            if predictive_r2(points, costs, known.centre) < _FORETOLD:
                return None
        useful = _beside(known.middle, useful, 2 * coefficient_count(size))
        points, costs, places = zip(*useful, strict=True)
        found = minimizer(points, costs, known.centre)
        if found is None:
            return None
        goal = known.metric(found)
        ended, unfinished = (
            min((math.dist(place, goal) for place in some), default=math.inf)
            for some in (places, known.unfinished_places)
        )
        if unfinished < ended:
            return None
        return [min(max(position, 0.0), BELOW_ONE) for position in found]

    def explores(self, number: int, *, leads: bool) -> bool:
        """Whether a trial may be tried wherever in the space the most is to be gained.

        Args:
            number: of the trial.
            leads: whether it is made for one of the best members.
        """
        if self._is_listed:
            return number <= _LAST_LISTED
        if leads:
            return self._is_late(number) and number % _REFINING != 0
        return self._is_early(number) or self._is_late(number)

    def restarts(self, number: int) -> bool:
        """Whether a population that has closed in makes room for another: where trials may not be explorations."""
        return self.guesses(number) and not self._is_late(number)

    def has_stagnated(self, newest: Iterable[Trial], size: int) -> bool:
        """Whether a population goes on at one place, and gains nothing there that is worth a trial.

        Args:
            newest: its own that have ended, the newest first.
            size: how many places it has.
        """
        latest = list(islice(newest, _LATEST))[::-1]

        def point(place: int) -> Point:
            return self._features.of(latest[place].number, latest[place].spec.parameters)

        costs = [self._cost_of(trial) for trial in latest]
        return has_stagnated(costs, point, still=max(MIN_STALLED, size))

    def exploration(self, number: int, known: Known, draw: Draw, *, leads: bool) -> Genotype | None:
        """Where the most is to be gained on the best trial; when the search has closed in, away from all trials.

        Args:
            number: of the trial: it is for every second of the first ones, and for all when the search has closed in.
            known: what there is to learn from.
            draw: what candidates are drawn with.
            leads: whether the trial is made for one of the best members: not one of the first ones, then.

        Returns:
            The place; None if it is not for this trial, the trials are too few to say, or all the same.
        """
        if len(known.ended) < _LEAST:
            return None
        if self._is_listed:
            genotypes, points = self._variations(number, known, draw)
        else:
            is_over = has_stagnated(known.costs, known.ended.__getitem__, still=MIN_STALLED)
            if not is_over and (leads or not self._is_early(number)):
                return None
            genotypes = candidates(known.ended, known.costs, draw)
            points = self._points(genotypes)
            if is_over:
                # Beside the best ones the model is sure of a small gain; the trials that refine them are for that.
                apart = distant(points, [*known.ended, *known.unfinished])
                genotypes, points = [genotypes[at] for at in apart], [points[at] for at in apart]
        place = most_promising(
            known.ended, known.costs, known.unfinished, points, has_categories=self._is_listed
        )
        return None if place is None else genotypes[place]

    def ranking(self, known: Known, children: Sequence[Values]) -> list[int]:
        """The places of the children, the most promising first."""
        if len(known.ended) < _LEAST:
            return list(range(len(children)))
        ended, waiting = known.ended_places, known.unfinished_places
        near = _nearest(ended, known.middle, _NEAREST)
        beside = _nearest(waiting, known.middle, _NEAREST_RUNNING)
        model = Kriging(
            [ended[index] for index in near] + [waiting[index] for index in beside],
            normal_scores([known.costs[index] for index in near]) + [0.0] * len(beside),
        )
        expected = [model.mean_at(known.metric(self._cube.features(child))) for child in children]
        return sorted(range(len(children)), key=expected.__getitem__)

    def _variations(
        self, number: int, known: Known, draw: Draw
    ) -> tuple[list[Genotype], list[Point]]:
        """The candidates where there are categories: those that were not tried, and their points."""
        order = best_first(known.costs)[:OF_BEST]
        if not order:
            return [], []
        best = [self._cube.encode(known.values[at], (number, at)) for at in order]
        genotypes = categorical_candidates(best, draw)
        points = self._points(genotypes)
        tried = {*known.ended, *known.unfinished}
        new = [at for at, point in enumerate(points) if point not in tried]
        return [genotypes[at] for at in new], [points[at] for at in new]

    def _points(self, genotypes: Sequence[Genotype]) -> list[Point]:
        return [self._cube.features(self._cube.decode(genotype)) for genotype in genotypes]

    def _is_early(self, number: int) -> bool:
        size = len(self._cube)
        is_first = number <= min(_FIRST * size, _MOST_FIRST) and number % 2 == 0
        return self._has_shape and size <= _MOST_EXPLORED and is_first

    def _is_late(self, number: int) -> bool:
        """Whether a trial may be an exploration when the search has closed in."""
        size = len(self._cube)
        return self._has_shape and size <= MOST_EXPLORED_LATE and number <= _LAST * size

    def _metric(self, points: Sequence[Point], costs: Sequence[float | None]) -> Whitening:
        if not self._has_shape:
            return identity
        order = best_first(costs)
        share = min(_BEST, 3 * len(order) // 10)
        return whitening_of([points[place] for place in order[: max(share, len(self._cube) + 2)]])


def _nearest(points: Sequence[Point], middle: Point, count: int) -> list[int]:
    """The places of the points that are nearest to one, in their order; of equally near ones the later."""
    by_distance = sorted((math.dist(point, middle), -place) for place, point in enumerate(points))
    return sorted(-place for _, place in by_distance[:count])


def _beside(
    middle: Point, trials: Sequence[tuple[Point, float, Point]], count: int
) -> list[tuple[Point, float, Point]]:
    """The trials, each a point, a cost and a place, whose places are nearest to one."""
    return [trials[index] for index in _nearest([one[-1] for one in trials], middle, count)]
