"""The search: Katib v1beta1's ``objective``, ``algorithm`` and ``parameters`` blocks, by the same names.

Numbers of a feasible space are strings, as in Katib: ``0.1`` stays the decimal that was written.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, assert_never

from pydantic import ConfigDict, StringConstraints

from sparksweep_core.api import limits
from sparksweep_core.api.base import Model, cel, cel_rules, list_map, list_set
from sparksweep_core.metric_names import MAX_METRIC_NAME, METRIC_NAME_PATTERN

NUMBER_PATTERN = r"^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{1,3})?$"

MetricName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_METRIC_NAME, pattern=METRIC_NAME_PATTERN),
]
"""A metric, as the training function names it or a command prints it."""

PARAMETER_NAME_PATTERN = (
    r"^[^\x00-\x40\x5b-\x5e\x60\x7b-\xa0][^\x00-\x2c\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\xa0]*$"
)
"""Letters, digits, ``_``, ``.`` and ``-``. Go, Rust and Python read these escapes alike; of other alphabets any character
passes here, and `validation` excludes those that are no letters."""
MAX_PARAMETER_NAME = 64
"""Characters of a parameter's name."""

ParameterName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_PARAMETER_NAME, pattern=PARAMETER_NAME_PATTERN),
]
"""A parameter: for a function it must be a Python identifier too, which is checked against the function."""

NumberText = Annotated[
    str, StringConstraints(min_length=1, max_length=limits.NUMBER, pattern=NUMBER_PATTERN)
]
"""A finite decimal number as text."""

Value = Annotated[str, StringConstraints(min_length=1, max_length=limits.VALUE)]
"""A parameter value as text."""


# Defined here, because inside FeasibleSpace `list` is the field.
ValueList = list[Value]


class ObjectiveType(StrEnum):
    """Direction in which the objective improves."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"


class MetricStrategyValue(StrEnum):
    """Value of a metric's series that counts."""

    MIN = "min"
    MAX = "max"
    LATEST = "latest"


class MetricStrategy(Model):
    """Rule for a metric that a command prints more than once."""

    name: MetricName
    """Name of the metric."""
    value: MetricStrategyValue
    """Value of the series that counts: min, max or latest."""


class Objective(Model):
    """The metric to optimise."""

    model_config = ConfigDict(
        json_schema_extra=cel_rules(
            cel(
                "!(self.objectiveMetricName in self.additionalMetricNames)",
                "must not repeat objectiveMetricName, which is recorded anyway",
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
    """Direction of the optimisation: minimize or maximize."""
    objective_metric_name: MetricName
    """Name of the metric by which trials are compared."""
    goal: float | None = None
    """The experiment completes as soon as a trial's metric is at least this good. Absent: all trials run."""
    additional_metric_names: Annotated[
        list[MetricName], list_set(max_length=limits.METRICS - 1)
    ] = []
    """Further metrics to record for each trial. Every number in a function's returned dict is recorded, these first."""
    metric_strategies: Annotated[
        list[MetricStrategy], list_map("name", max_length=limits.METRICS)
    ] = []
    """Rules for metrics that a command prints more than once. Default: the best value for the objective's type counts."""


class AlgorithmName(StrEnum):
    """Search algorithms."""

    GRID = "grid"
    RANDOM = "random"
    DIFFERENTIAL_EVOLUTION = "differential-evolution"


class AlgorithmSetting(Model):
    """One setting of the algorithm."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    """Name of the setting."""
    value: Annotated[str, StringConstraints(max_length=limits.VALUE)]
    """Value of the setting, as text."""


class Algorithm(Model):
    """The algorithm that chooses the next trials."""

    algorithm_name: AlgorithmName
    """Name of the algorithm: grid, random or differential-evolution."""
    algorithm_settings: Annotated[
        list[AlgorithmSetting], list_map("name", max_length=limits.SETTINGS)
    ] = []
    """Settings of the algorithm; each algorithm has its own."""


class ParameterType(StrEnum):
    """Type of a parameter's values."""

    DOUBLE = "double"
    INT = "int"
    DISCRETE = "discrete"
    CATEGORICAL = "categorical"

    @property
    def is_ranged(self) -> bool:
        """True if the values lie between min and max, False if they are listed."""
        match self:
            case ParameterType.DOUBLE | ParameterType.INT:
                return True
            case ParameterType.DISCRETE | ParameterType.CATEGORICAL:
                return False
            case _:
                assert_never(self)


class Distribution(StrEnum):
    """Distribution of random values between min and max."""

    UNIFORM = "uniform"
    LOG_UNIFORM = "logUniform"
    NORMAL = "normal"
    LOG_NORMAL = "logNormal"

    @property
    def is_logarithmic(self) -> bool:
        """True if the values' logarithm is distributed, which needs positive bounds."""
        match self:
            case Distribution.LOG_UNIFORM | Distribution.LOG_NORMAL:
                return True
            case Distribution.UNIFORM | Distribution.NORMAL:
                return False
            case _:
                assert_never(self)

    @property
    def is_normal(self) -> bool:
        """True if values near the middle are more likely, False if all are equally likely."""
        match self:
            case Distribution.NORMAL | Distribution.LOG_NORMAL:
                return True
            case Distribution.UNIFORM | Distribution.LOG_UNIFORM:
                return False
            case _:
                assert_never(self)


class FeasibleSpace(Model):
    """Values that a parameter may take: min, max (and step) for double and int, list for discrete and categorical."""

    min: NumberText | None = None
    """Smallest value, inclusive. For double and int only. Reversed min and max are exchanged, which the condition Accepted reports."""
    max: NumberText | None = None
    """Largest value, inclusive if a step leads to it. For double and int only."""
    step: NumberText | None = None
    """Distance between neighbouring values, counted from min. grid requires it for a double; for an int it defaults to 1."""
    list: Annotated[ValueList | None, list_set(min_length=1, max_length=limits.LIST_VALUES)] = None
    """The distinct values, as text. For discrete (numbers) and categorical (any text) only."""
    distribution: Distribution = Distribution.UNIFORM
    """uniform, logUniform, normal or logNormal. All but uniform are for double and int only, and not for grid."""


# In a rule, has() excludes absent fields, which another rule reports.
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
                "min and max must differ, and both and their difference must fit into a double",
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
    """Name of the parameter: the function's argument, or the reference of a placeholder."""
    parameter_type: ParameterType
    """Type of the values: double, int, discrete or categorical."""
    feasible_space: FeasibleSpace
    """Values that the parameter may take."""
