"""Every member of the API's enums is handled wherever the core distinguishes them.

mypy checks the ``match`` statements, by ``assert_never``. These tests cover tables, and chains of ``if`` that end with
an ``else``: a new member fails here until its meaning there is decided.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from itertools import combinations
from typing import Any, get_args

import pytest

from sparksweep_core.algorithms import create
from sparksweep_core.algorithms.encoding.distributions import BoundedDistribution
from sparksweep_core.api import (
    AlgorithmName,
    Condition,
    ConditionType,
    Distribution,
    Objective,
    ObjectiveType,
    ParameterType,
    Trial,
    TrialCounts,
    TrialReason,
    TrialState,
    TrialStatus,
    count_states,
)
from sparksweep_core.api.algorithm_settings import SETTINGS, EvolutionMode, EvolutionStrategy
from sparksweep_core.api.base import Model
from sparksweep_core.api.columns import columns_of
from sparksweep_core.api.crd import KINDS
from sparksweep_core.api.trials import is_better
from sparksweep_core.planner.status import state_word
from sparksweep_core.validation.document import parse_experiment
from support.documents.experiments_for_checks import FUNCTION, changed

SPACES: dict[ParameterType, tuple[dict[str, Any], str]] = {
    ParameterType.DOUBLE: ({"min": "0.5", "max": "1.5", "step": "0.5"}, "float"),
    ParameterType.INT: ({"min": "1", "max": "3"}, "int"),
    ParameterType.DISCRETE: ({"list": ["1", "2.5", "4"]}, "float"),
    ParameterType.CATEGORICAL: ({"list": ["a", "b", "c"]}, "text"),
}
"""A feasible space of three values for each type, and the kind of its column."""


def document(algorithm: AlgorithmName, kind: ParameterType, **settings: str) -> dict[str, Any]:
    return changed(
        FUNCTION,
        {
            "spec.algorithm.algorithmName": algorithm.value,
            "spec.algorithm.algorithmSettings": [{"name": k, "value": v} for k, v in settings.items()],
            "spec.parameters": [
                {"name": "x", "parameterType": kind.value, "feasibleSpace": SPACES[kind][0]}
            ],
        },
    )  # fmt: skip


def enum_fields() -> list[Any]:
    """Every field of the kinds whose type is an enum: its owner, its name, the enum."""
    fields: dict[str, Any] = {}

    def visit(model: type[Model]) -> None:
        for name, field in model.model_fields.items():
            for item in parts(field.annotation):
                # The reasons are too many for a line: docs/troubleshooting.md lists them.
                if issubclass(item, StrEnum) and item is not TrialReason:
                    fields[f"{model.__name__}.{name}"] = (field.description, item)
                elif issubclass(item, Model):
                    visit(item)

    for kind in KINDS:
        visit(kind.model)
    return [pytest.param(*value, id=name) for name, value in fields.items()]


def parts(annotation: Any) -> list[type]:
    if isinstance(annotation, type) and not get_args(annotation):
        return [annotation]
    return [part for item in get_args(annotation) for part in parts(item)]


@pytest.mark.parametrize(("description", "enum"), enum_fields())
def test_a_field_s_description_lists_the_values_of_its_enum(
    description: str, enum: type[StrEnum]
) -> None:
    assert [value for value in enum if value not in description] == []


def test_every_algorithm_has_settings() -> None:
    assert set(SETTINGS) == set(AlgorithmName)


@pytest.mark.parametrize("kind", ParameterType)
@pytest.mark.parametrize("algorithm", AlgorithmName)
def test_every_algorithm_searches_parameters_of_every_type(
    algorithm: AlgorithmName, kind: ParameterType
) -> None:
    experiment = parse_experiment(document(algorithm, kind))
    (trial,) = create(experiment.spec).propose([], 1)
    kind_of_column = columns_of(experiment.spec, [Trial(trial, TrialStatus(number=trial.number))])[
        "parameters.x"
    ]
    assert kind_of_column.kind == SPACES[kind][1]
    assert str(kind_of_column.values[0]) in {trial.parameters["x"], f"{trial.parameters['x']}.0"}


@pytest.mark.parametrize("mode", EvolutionMode)
@pytest.mark.parametrize("strategy", EvolutionStrategy)
def test_differential_evolution_has_every_strategy_in_every_mode(
    strategy: EvolutionStrategy, mode: EvolutionMode
) -> None:
    evolution = AlgorithmName.DIFFERENTIAL_EVOLUTION
    spec = parse_experiment(
        document(evolution, ParameterType.INT, strategy=strategy, mode=mode)
    ).spec
    assert create(spec).propose([], 1)


def test_every_distribution_has_values_of_its_own() -> None:
    values = {
        distribution: BoundedDistribution(1.0, 9.0, distribution).quantile(0.3)
        for distribution in Distribution
    }
    assert all(values[one] != values[other] for one, other in combinations(Distribution, 2))


def test_either_direction_prefers_another_value() -> None:
    better = {
        kind: is_better(1.0, 2.0, Objective(type=kind, objective_metric_name="m"))
        for kind in ObjectiveType
    }
    assert sorted(better.values()) == [False, True]


@pytest.mark.parametrize("state", TrialState)
def test_a_trial_in_any_state_is_counted_once(state: TrialState) -> None:
    counts = count_states([TrialStatus(number=1, state=state)])
    assert counts == TrialCounts(**{"created": 1, state.value.lower(): 1})


def test_the_final_states_are_those_that_a_trial_never_leaves() -> None:
    assert {state: state.is_finished for state in TrialState} == {
        "Pending": False, "Running": False, "Succeeded": True, "Failed": True, "Stopped": True,
    }  # fmt: skip


@pytest.mark.parametrize("kind", ConditionType)
def test_a_condition_that_holds_alone_is_the_experiment_s_state(kind: ConditionType) -> None:
    holding = Condition(
        type=kind,
        status="True",
        reason="Because",
        last_transition_time=datetime(2026, 1, 1, tzinfo=UTC),
    )
    accepted_only = "Pending" if kind is ConditionType.ACCEPTED else kind.value
    assert state_word([holding]) == accepted_only
