"""Schedule of a model-assisted search: which kinds of candidates a trial may have.

D is the number of parameters, n the number of the trial. A numeric parameter is one that is not categorical; leading
targets are those of the best third of the members. A trial in several phases has the candidates of all, in this order:

| phase             | parameters                           | trials                     | targets                     |
|-------------------|--------------------------------------|----------------------------|-----------------------------|
| combinatorial     | some categorical, none continuous    | n <= 100                   | all                         |
| early exploration | 1 to 3 numeric                       | even n <= min(25 D, 50)    | all but leading             |
| late exploration  | 1 or 2 numeric, search has stagnated | n <= 100 D                 | all; leading: n % 4 != 0    |
| quadratic model   | 1 to 5 numeric                       | n <= 2000                  | leading                     |
| ranking           | any                                  | n <= 2000                  | all                         |

| phase             | candidate                                                                                   |
|-------------------|---------------------------------------------------------------------------------------------|
| combinatorial     | highest expected improvement, among untried variations of the best trials and random points |
| early exploration | highest expected improvement in the whole space                                             |
| late exploration  | the same, distant from all trials                                                           |
| quadratic model   | minimizer; in a long search of 3 to 5 parameters only if the model predicts well            |
| ranking           | 1 to 20 children, more the fewer trials are left; the best predicted first                  |

Children to choose from make the search converge on its best region, so there are few early and many late. Targets that
are not leading stay apart and explore what no quadratic model shows. In the phase of the quadratic model, but outside
late exploration's, a population that has stagnated is replaced by another.

The constants are those that did best in benchmarks/search.py and benchmarks/tabular.py on other instances, and with
other seeds, than the ones that are reported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sparksweep_core.algorithms.differential_evolution.algorithm import FEW_PARAMETERS
from sparksweep_core.algorithms.differential_evolution.offspring import MAX_CHILDREN
from sparksweep_core.algorithms.encoding.unit_cube import UnitCube

_CHILDREN_PER_PARAMETER = 50
"""Children for each parameter, distributed over the trials that are left."""
_REFINING = 4
"""In late exploration, one in so many of the leading targets' trials goes on refining the best region."""
_LONG_BUDGET = 75
"""With more trials than this for each parameter, and too many parameters for late exploration, the quadratic model must
predict well: elsewhere there are several regions to search, and trials enough for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Bounds within which one kind of candidate is proposed."""

    max_trials: float = math.inf
    """Number of the last trial."""
    trials_per_parameter: float = math.inf
    """The same, for each parameter."""
    max_parameters: float = math.inf

    def last_trial(self, dimensions: int) -> float:
        """Return the number of the last trial; 0 if there are too many parameters."""
        if dimensions > self.max_parameters:
            return 0
        return min(self.max_trials, self.trials_per_parameter * dimensions)


_COMBINATORIAL = Phase(max_trials=100)
_EARLY_EXPLORATION = Phase(max_parameters=3, trials_per_parameter=25, max_trials=50)
_LATE_EXPLORATION = Phase(max_parameters=FEW_PARAMETERS, trials_per_parameter=100)
"""Later the model takes too long."""
_QUADRATIC = Phase(max_parameters=5, max_trials=2000)
"""A model of more parameters than 5 has more than 21 coefficients: it takes too many trials, and too long."""
_RANKING = Phase(max_trials=2000)
"""Differential evolution has learnt its steps by then, and a proposal stays below a millisecond after any number of
trials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The phases of one search."""

    dimensions: int
    budget: int
    """Number of trials that the search makes in all."""
    is_combinatorial: bool
    """True if some parameters are categorical and none is continuous, which wants steps too."""
    is_numeric: bool
    """True if no parameter is categorical: between categories there is no direction."""

    @staticmethod
    def of(cube: UnitCube, budget: int) -> Schedule:
        """Return the schedule of a search in a cube."""
        has_categories = any(cube.is_category)
        return Schedule(
            dimensions=len(cube),
            budget=budget,
            is_combinatorial=has_categories and not cube.continuous,
            is_numeric=not has_categories,
        )

    @property
    def has_quadratic_model(self) -> bool:
        """True if trials of this space can be described by a quadratic model."""
        return self._is_numeric_within(_QUADRATIC, 1)

    @property
    def needs_prediction(self) -> bool:
        """True if the quadratic model is used only where it predicts well."""
        is_long = self.budget > _LONG_BUDGET * self.dimensions
        return self.dimensions > FEW_PARAMETERS and is_long

    def child_count(self, number: int) -> int:
        """Return the number of children to make for a trial; 1: they are not ranked."""
        if number > _RANKING.last_trial(self.dimensions):
            return 1
        left = max(self.budget - number + 1, 1)
        wanted = round(_CHILDREN_PER_PARAMETER * self.dimensions / left)
        return min(max(wanted, 1), MAX_CHILDREN)

    def uses_quadratic_model(self, number: int) -> bool:
        """Return True if a leading target's trial may be the quadratic model's minimizer."""
        return self._is_numeric_within(_QUADRATIC, number)

    def explores(self, number: int, *, is_leading: bool) -> bool:
        """Return True if a trial may be an exploration.

        Args:
            number: of the trial.
            is_leading: True if its target is a leading one.
        """
        if self.is_combinatorial:
            return number <= _COMBINATORIAL.last_trial(self.dimensions)
        if is_leading:
            return self.is_late_exploration(number) and number % _REFINING != 0
        return self.is_early_exploration(number) or self.is_late_exploration(number)

    def replaces_population(self, number: int) -> bool:
        """Return True if a population that has stagnated is replaced: where it does not explore instead."""
        return self.uses_quadratic_model(number) and not self.is_late_exploration(number)

    def is_early_exploration(self, number: int) -> bool:
        """Return True if a trial is in the phase of early exploration."""
        return number % 2 == 0 and self._is_numeric_within(_EARLY_EXPLORATION, number)

    def is_late_exploration(self, number: int) -> bool:
        """Return True if a trial is in the phase of late exploration, which needs a search that has stagnated too."""
        return self._is_numeric_within(_LATE_EXPLORATION, number)

    def _is_numeric_within(self, phase: Phase, number: int) -> bool:
        return self.is_numeric and number <= phase.last_trial(self.dimensions)
