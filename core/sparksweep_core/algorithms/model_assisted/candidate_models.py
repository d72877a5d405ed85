"""Candidates that models propose: a quadratic model's minimizer, explorations, and the ranking of children.

X. Lu, K. Tang, "Classification- and Regression-Assisted Differential Evolution for Computationally Expensive Problems",
Journal of Computer Science and Technology 27(5), 2012: a model chooses among the children of differential evolution.
B. Liu, Q. Zhang, G. G. E. Gielen, "A Gaussian Process Surrogate Model Assisted Evolutionary Algorithm for Medium Scale
Expensive Optimization Problems", IEEE Transactions on Evolutionary Computation 18(2), 2014 (GPEME): the model is local.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import islice

from sparksweep_core.algorithms.differential_evolution.population import CostFunction
from sparksweep_core.algorithms.encoding.space import Point
from sparksweep_core.algorithms.encoding.unit_cube import Genotype, UnitCube
from sparksweep_core.algorithms.keyed_random import BELOW_ONE, Draw
from sparksweep_core.algorithms.memo import Memo
from sparksweep_core.algorithms.model_assisted.schedule import Schedule
from sparksweep_core.algorithms.model_assisted.stagnation import MIN_STALLED, has_stagnated
from sparksweep_core.algorithms.model_assisted.training_data import (
    TrainingData,
    examples_of,
    nearest,
    nearest_examples,
)
from sparksweep_core.algorithms.models.expected_improvement import (
    LOCAL_CENTRES,
    candidates,
    categorical_candidates,
    distant,
    most_promising,
)
from sparksweep_core.algorithms.models.kriging import Kriging, best_first, normal_scores
from sparksweep_core.algorithms.models.linear_algebra import Vector
from sparksweep_core.algorithms.models.mahalanobis import Whitening, identity, whitening_of
from sparksweep_core.algorithms.models.quadratic_model import (
    coefficient_count,
    minimizer,
    predictive_r2,
)
from sparksweep_core.api import Trial

_LATEST = 300
"""Trials that training data is taken from."""
_NEAREST = 30
"""Ended trials of these, the nearest to the centre, that children are ranked by."""
_NEAREST_RUNNING = 10
"""Trials that have not ended and are in that model too."""
_LEAST = 4
"""Ended trials before there is a model."""
_EXAMPLES_TO_PREDICT, _LEAST_R2 = 3, 0.5
"""Examples for each coefficient of a quadratic model that must predict well, and its least predictive R²."""
_BEST = 9
"""Number of best trials that distances get their shape from; three in ten trials while that is less."""


class CandidateModels:
    """Fits models to trials and proposes candidates of them. Its cache only saves time."""

    def __init__(self, cube: UnitCube, cost_of: CostFunction, schedule: Schedule) -> None:
        self._cube = cube
        self._cost_of = cost_of
        self._schedule = schedule
        self._features = Memo[Vector](lambda _, point: cube.features(point))

    def training_data(
        self, observed: Sequence[Trial], unobserved: Sequence[Point], *, centre: Point
    ) -> TrainingData:
        """Return the data that models are fitted to.

        Args:
            observed: the trials whose results may be used; those without a lineage are skipped.
            unobserved: the points of the trials after these.
            centre: the point around which local models are made.
        """
        latest = [trial for trial in observed[-_LATEST:] if trial.spec.lineage]
        ended = [trial for trial in latest if trial.state.is_finished]
        running = [trial.spec.parameters for trial in latest if not trial.state.is_finished]
        vectors = [self._vector(trial) for trial in ended]
        costs = [self._cost_of(trial) for trial in ended]
        centre_vector = self._cube.features(centre)
        whiten = self._whitening(vectors, costs)
        unfinished = [self._cube.features(point) for point in (*running, *unobserved)]
        return TrainingData(
            points=[trial.spec.parameters for trial in ended],
            ended=vectors,
            costs=costs,
            unfinished=unfinished,
            centre=centre_vector,
            whiten=whiten,
            ended_whitened=[whiten(vector) for vector in vectors],
            unfinished_whitened=[whiten(vector) for vector in unfinished],
            centre_whitened=whiten(centre_vector),
        )

    def quadratic_minimizer(self, data: TrainingData) -> Genotype | None:
        """Return the minimizer of a quadratic model of the nearest ended trials.

        None if they are too few to determine one, if it is the centre, if the trial nearest to it has not ended, so
        that its result is awaited, or if the model does not predict well enough where the schedule asks for that.
        """
        examples = examples_of(data)
        size = len(self._cube)
        coefficients = coefficient_count(size)
        if len(examples) < coefficients + size:
            return None
        required = _EXAMPLES_TO_PREDICT * coefficients
        if self._schedule.needs_prediction and len(examples) >= required:
            examples = nearest_examples(examples, data.centre_whitened, required)
            vectors = [example.vector for example in examples]
            costs = [example.cost for example in examples]
            if predictive_r2(vectors, costs, data.centre) < _LEAST_R2:
                return None
        examples = nearest_examples(examples, data.centre_whitened, 2 * coefficients)
        lowest = minimizer(
            [example.vector for example in examples],
            [example.cost for example in examples],
            data.centre,
        )
        if lowest is None:
            return None
        goal = data.whiten(lowest)
        ended, unfinished = (
            min((math.dist(vector, goal) for vector in vectors), default=math.inf)
            for vectors in ([example.whitened for example in examples], data.unfinished_whitened)
        )
        if unfinished < ended:
            return None
        return [min(max(position, 0.0), BELOW_ONE) for position in lowest]

    def exploration(
        self, number: int, data: TrainingData, draw: Draw, *, is_leading: bool
    ) -> Genotype | None:
        """Return the candidate with the highest expected improvement; in late exploration, distant from all trials.

        Args:
            number: of a trial for which the schedule says that it explores.
            data: to fit the model to.
            draw: source of the candidates' random numbers.
            is_leading: True if the trial's target is a leading one, which early exploration leaves out.

        Returns:
            The candidate; None if the trial is in neither phase, the trials are too few, or all costs are equal.
        """
        if len(data.ended) < _LEAST:
            return None
        if self._schedule.is_combinatorial:
            genotypes, vectors = self._untried_variations(number, data, draw)
        else:
            is_over = has_stagnated(data.costs, data.ended.__getitem__, stalled=MIN_STALLED)
            is_early = not is_leading and self._schedule.is_early_exploration(number)
            if not is_over and not is_early:
                return None
            genotypes = candidates(data.ended, data.costs, draw)
            vectors = self._vectors(genotypes)
            if is_over:
                # Near the best trials the model is sure of a small gain, which refining trials are for.
                indices = distant(vectors, [*data.ended, *data.unfinished])
                genotypes = [genotypes[index] for index in indices]
                vectors = [vectors[index] for index in indices]
        chosen = most_promising(
            data.ended,
            data.costs,
            data.unfinished,
            vectors,
            has_categories=self._schedule.is_combinatorial,
        )
        return None if chosen is None else genotypes[chosen]

    def ranking(self, data: TrainingData, children: Sequence[Point]) -> list[int]:
        """Return the indices of the children, the one with the best predicted score first."""
        if len(data.ended) < _LEAST:
            return list(range(len(children)))
        ended, unfinished = data.ended_whitened, data.unfinished_whitened
        near_ended = nearest(ended, data.centre_whitened, _NEAREST)
        near_unfinished = nearest(unfinished, data.centre_whitened, _NEAREST_RUNNING)
        model = Kriging(
            [ended[index] for index in near_ended]
            + [unfinished[index] for index in near_unfinished],
            normal_scores([data.costs[index] for index in near_ended])
            + [0.0] * len(near_unfinished),
        )
        scores = [model.mean_at(data.whiten(self._cube.features(child))) for child in children]
        return sorted(range(len(children)), key=scores.__getitem__)

    def has_stagnated(self, newest: Iterable[Trial], size: int) -> bool:
        """Return True if a population is at one point, and gains next to nothing there.

        Args:
            newest: its ended trials, the newest first.
            size: number of its targets.
        """
        latest = list(islice(newest, _LATEST))[::-1]
        costs = [self._cost_of(trial) for trial in latest]
        return has_stagnated(
            costs, lambda index: self._vector(latest[index]), stalled=max(MIN_STALLED, size)
        )

    def _untried_variations(
        self, number: int, data: TrainingData, draw: Draw
    ) -> tuple[list[Genotype], list[Vector]]:
        """Return the categorical candidates that were not tried, and their vectors."""
        order = best_first(data.costs)[:LOCAL_CENTRES]
        if not order:
            return [], []
        best = [self._cube.encode(data.points[index], (number, index)) for index in order]
        genotypes = categorical_candidates(best, draw)
        vectors = self._vectors(genotypes)
        tried = {*data.ended, *data.unfinished}
        untried = [index for index, vector in enumerate(vectors) if vector not in tried]
        return [genotypes[index] for index in untried], [vectors[index] for index in untried]

    def _vector(self, trial: Trial) -> Vector:
        return self._features.get(trial.number, trial.spec.parameters)

    def _vectors(self, genotypes: Sequence[Genotype]) -> list[Vector]:
        return [self._cube.features(self._cube.decode(genotype)) for genotype in genotypes]

    def _whitening(self, vectors: Sequence[Vector], costs: Sequence[float | None]) -> Whitening:
        if not self._schedule.has_quadratic_model:
            return identity
        order = best_first(costs)
        count = max(min(_BEST, 3 * len(order) // 10), len(self._cube) + 2)
        return whitening_of([vectors[index] for index in order[:count]])
