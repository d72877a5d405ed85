"""Values for the tests of TensorBoard sessions: two parameters, their values, and an objective."""

from datetime import UTC, datetime

from sparksweep_core.api import Objective, ObjectiveType, Parameter
from sparksweep_core.api.search_spec import FeasibleSpace, ParameterType

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PARAMETERS = [
    Parameter(
        name="lr",
        parameter_type=ParameterType.DOUBLE,
        feasible_space=FeasibleSpace(min="0", max="1"),
    ),
    Parameter(
        name="kind",
        parameter_type=ParameterType.CATEGORICAL,
        feasible_space=FeasibleSpace(list=["a", "b"]),
    ),
]
OBJECTIVE = Objective(
    type=ObjectiveType.MAXIMIZE,
    objective_metric_name="accuracy",
    additional_metric_names=["loss"],
)
VALUES = {"lr": "0.5", "kind": "a"}
