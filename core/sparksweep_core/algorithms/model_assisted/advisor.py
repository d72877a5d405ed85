"""The advisor that makes differential evolution model-assisted: the strategy `screened`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from sparksweep_core.algorithms.base import next_number
from sparksweep_core.algorithms.differential_evolution.advisor import AdviceRequest, Candidate
from sparksweep_core.algorithms.differential_evolution.population import (
    Population,
    finished_newest_first,
)
from sparksweep_core.algorithms.differential_evolution.search_context import (
    ADVISOR_KEY,
    SearchContext,
)
from sparksweep_core.algorithms.keyed_random import uniform_stream
from sparksweep_core.algorithms.model_assisted.candidate_models import CandidateModels
from sparksweep_core.algorithms.model_assisted.schedule import Schedule
from sparksweep_core.api import Trial

_LEADING = 1 / 3
"""Share of the members, the best ones, whose targets are leading."""


class ModelAdvisor:
    """Implements differential evolution's `Advisor` with models of the ended trials."""

    def __init__(self, context: SearchContext) -> None:
        self._context = context
        self._schedule = Schedule.of(context.cube, context.budget)
        self._models = CandidateModels(context.cube, context.cost_of, self._schedule)

    def candidates(self, request: AdviceRequest) -> Iterator[Candidate]:
        """Yield an exploration, the quadratic model's minimizer and ranked children, as far as the schedule allows."""
        number, decode = request.number, self._context.cube.decode
        leading = request.ranked[: max(1, round(_LEADING * len(request.ranked)))]
        is_leading = request.target_member in leading
        explores = self._schedule.explores(number, is_leading=is_leading)
        minimizes = is_leading and self._schedule.uses_quadratic_model(number)
        child_count = self._schedule.child_count(number)
        if not minimizes and not explores and child_count == 1:
            return
        data = self._models.training_data(
            request.observed, request.unobserved, centre=request.ranked[0].point
        )
        if explores:
            draw = uniform_stream((self._context.seed, number, ADVISOR_KEY))
            exploration = self._models.exploration(number, data, draw, is_leading=is_leading)
            if exploration is not None:
                yield Candidate(decode(exploration), None)
        if minimizes and (lowest := self._models.quadratic_minimizer(data)) is not None:
            yield Candidate(decode(lowest), None)
        if child_count > 1:
            children = list(islice(request.children, child_count))
            for index in self._models.ranking(data, [child.point for child in children]):
                yield children[index]

    def has_stagnated(self, population: Population, trials: Sequence[Trial]) -> bool:
        """Return True if the population is at one point and gains nothing there, and the schedule has it replaced."""
        if not self._schedule.replaces_population(next_number(trials)):
            return False
        if len(population.members) < population.size:
            return False
        newest = finished_newest_first(trials, population.restart)
        return self._models.has_stagnated(newest, population.size)
