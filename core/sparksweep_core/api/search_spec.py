"""What to search and how: Katib v1beta1's ``objective``, ``algorithm`` and ``parameters`` blocks, by the same names.

Numbers of a feasible space are strings, as in Katib: ``0.1`` stays the decimal it was written as.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, StringConstraints

from sparksweep_core.api import limits
from sparksweep_core.api.base import Model, cel, cel_rules, list_map, list_set

NUMBER_PATTERN = r"^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{1,3})?$"

MetricName = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_./|@:-]+$")
]
"""A metric, as the training function names it or a command prints it."""

ParameterName = Annotated[
    str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$")
]
"""A parameter: for a function it must be a Python identifier too, which is checked against the function."""

NumberText = Annotated[
    str, StringConstraints(min_length=1, max_length=limits.NUMBER, pattern=NUMBER_PATTERN)
]
"""A finite decimal number as text."""

Value = Annotated[str, StringConstraints(min_length=1, max_length=limits.VALUE)]
"""A parameter value as text."""


# Named out here: inside FeasibleSpace `list` is the field.
ValueList = list[Value]


class ObjectiveType(StrEnum):
    """Which way is better."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"


class MetricStrategyValue(StrEnum):
    """Which value of a metric's series counts."""

    MIN = "min"
    MAX = "max"
    LATEST = "latest"


class MetricStrategy(Model):
    """Which value of one metric's series counts, when a command prints it more than once."""

    name: MetricName
    """The metric."""
    value: MetricStrategyValue
    """min, max or latest."""


class Objective(Model):
    """The metric to optimise."""

    model_config = ConfigDict(
        json_schema_extra=cel_rules(
            cel(
                "!(self.objectiveMetricName in self.additionalMetricNames)",
                "must not have objectiveMetricName, which is kept anyway",
                ".additionalMetricNames",
            ),
            cel(
                "self.metricStrategies.all(s, s.name == self.objectiveMetricName"
                " || s.name in self.additionalMetricNames)",
                "must name objectiveMetricName or additionalMetricNames",
                ".metricStrategies",
            ),
        )
    )

    type: ObjectiveType
    """minimize or maximize."""
    objective_metric_name: MetricName
    """The metric that is compared."""
    goal: float | None = None
    """The experiment ends as soon as a trial is at least this good. Absent: all trials run."""
    additional_metric_names: Annotated[
        list[MetricName], list_set(max_length=limits.METRICS - 1)
    ] = []
    """Further metrics to keep for each trial. Of a function's dict every number is kept, these ones first."""
    metric_strategies: Annotated[
        list[MetricStrategy], list_map("name", max_length=limits.METRICS)
    ] = []
    """Which value of a printed series counts. Default: the best for the objective's type, for every metric."""


class AlgorithmName(StrEnum):
    """The search."""

    GRID = "grid"
    RANDOM = "random"
    DIFFERENTIAL_EVOLUTION = "differential-evolution"


class AlgorithmSetting(Model):
    """One setting of the algorithm."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    """Name of the setting."""
    value: Annotated[str, StringConstraints(max_length=limits.VALUE)]
    """Value, as text."""


class Algorithm(Model):
    """How the next trials are chosen."""

    algorithm_name: AlgorithmName
    """grid, random or differential-evolution."""
    algorithm_settings: Annotated[
        list[AlgorithmSetting], list_map("name", max_length=limits.SETTINGS)
    ] = []
    """Settings; which there are depends on the algorithm."""


class ParameterType(StrEnum):
    """What a parameter's values are."""

    DOUBLE = "double"
    INT = "int"
    DISCRETE = "discrete"
    CATEGORICAL = "categorical"


class Distribution(StrEnum):
    """How random values spread between min and max."""

    UNIFORM = "uniform"
    LOG_UNIFORM = "logUniform"
    NORMAL = "normal"
    LOG_NORMAL = "logNormal"


class FeasibleSpace(Model):
    """The values a parameter may take: min, max (and step) for double and int, list for discrete and categorical."""

    min: NumberText | None = None
    """Smallest value, included. double and int only. differential-evolution puts min and max in order."""
    max: NumberText | None = None
    """Largest value, included when a step leads to it. double and int only."""
    step: NumberText | None = None
    """Distance between neighbouring values, counted from min. The grid needs it for a double; for an int it is 1."""
    list: Annotated[ValueList | None, list_set(min_length=1, max_length=limits.LIST_VALUES)] = None
    """The values, as text, each once. discrete (numbers) and categorical (any text) only."""
    distribution: Distribution = Distribution.UNIFORM
    """uniform, logUniform, normal or logNormal. Other than uniform: double and int only, and not for the grid."""


# In a rule, has() guards what its first half leaves to another rule.
_RANGED = "self.parameterType in ['double', 'int']"
_SPACE = "self.feasibleSpace"
_BOTH = f"has({_SPACE}.min) && has({_SPACE}.max)"
_INTEGER = "matches('^[+-]?[0-9]+$')"


class Parameter(Model):
    """One hyperparameter."""

    model_config = ConfigDict(
        json_schema_extra=cel_rules(
            cel(
                f"!({_RANGED}) || ({_BOTH} && !has({_SPACE}.list))",
                "double and int need min and max, and have no list",
                ".feasibleSpace",
            ),
            cel(
                f"{_RANGED} || (has({_SPACE}.list) && !has({_SPACE}.min) && !has({_SPACE}.max)"
                f" && !has({_SPACE}.step) && {_SPACE}.distribution == 'uniform')",
                "discrete and categorical need a list, and have no min, max, step or distribution",
                ".feasibleSpace",
            ),
            cel(
                f"!({_RANGED}) || !({_BOTH}) || (double({_SPACE}.min) != double({_SPACE}.max)"
                f" && double({_SPACE}.max) - double({_SPACE}.min) <= {sys.float_info.max!r}"
                f" && double({_SPACE}.min) - double({_SPACE}.max) <= {sys.float_info.max!r})",
                "min and max must differ, and both and their difference fit into a double",
                ".feasibleSpace",
            ),
            cel(
                f"self.parameterType != 'int' || ((!has({_SPACE}.min) || {_SPACE}.min.{_INTEGER})"
                f" && (!has({_SPACE}.max) || {_SPACE}.max.{_INTEGER})"
                f" && (!has({_SPACE}.step) || {_SPACE}.step.{_INTEGER}))",
                "min, max and step of an int must be integers",
                ".feasibleSpace",
            ),
            cel(
                f"!has({_SPACE}.step) || (double({_SPACE}.step) > 0.0 && {_SPACE}.distribution == 'uniform')",
                "step must be above 0, and the distribution uniform",
                ".feasibleSpace",
            ),
            cel(
                f"!({_SPACE}.distribution in ['logUniform', 'logNormal']) || !({_BOTH})"
                f" || (double({_SPACE}.min) > 0.0 && double({_SPACE}.max) > 0.0)",
                "logUniform and logNormal need min and max above 0",
                ".feasibleSpace",
            ),
        )
    )

    name: ParameterName
    """Name of the function's argument, or of the placeholder's reference."""
    parameter_type: ParameterType
    """double, int, discrete or categorical."""
    feasible_space: FeasibleSpace
    """The values it may take."""
