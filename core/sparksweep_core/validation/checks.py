"""Checks that a schema can't express: the relations between the parts of an Experiment. Pure functions of parsed parts.

A document may be broken in one field and sound in others: fields that did not parse are `unreadable`, and nothing is
concluded from them. The operator, the command line and the SDK all use these checks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from sparksweep_core.api import limits
from sparksweep_core.api.algorithm_settings import check_settings
from sparksweep_core.api.evolution_settings import evolution_settings
from sparksweep_core.api.experiment import ExperimentSpec
from sparksweep_core.api.search_spec import (
    Algorithm,
    AlgorithmName,
    Distribution,
    Objective,
    Parameter,
    ParameterType,
)
from sparksweep_core.api.template import TrialTemplate
from sparksweep_core.errors import FieldError
from sparksweep_core.validation.checks_search import (
    check_objective,
    check_parameters,
    format_count,
    grid_points,
)
from sparksweep_core.validation.checks_storage import check_storage
from sparksweep_core.validation.checks_template import check_template

DEFAULT_PARALLEL: int = ExperimentSpec.model_fields["parallel_trial_count"].default

COUNTS = ("maxTrialCount", "maxFailedTrialCount", "activeDeadlineSeconds")


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of a spec that parsed. None: absent, or unreadable."""

    objective: Objective | None = None
    algorithm: Algorithm | None = None
    parameters: tuple[Parameter | None, ...] = ()
    """In the document's order; None for one that did not parse."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Fields of ``COUNTS`` that are given, by their names in the document."""
    template: TrialTemplate | None = None
    unreadable: frozenset[str] = frozenset()
    """Fields of the spec that are there but did not parse, by their names in the document."""

    @property
    def parsed_parameters(self) -> tuple[Parameter, ...] | None:
        """All parameters; None if any of them did not parse."""
        parsed = tuple(parameter for parameter in self.parameters if parameter is not None)
        if "parameters" in self.unreadable or len(parsed) < len(self.parameters):
            return None
        return parsed

    @property
    def objective_name(self) -> str | None:
        """Name of the metric to optimise; None if there is none, or it did not parse."""
        return None if self.objective is None else self.objective.objective_metric_name

    def is_absent(self, name: str) -> bool:
        """Return True if the document certainly lacks the field."""
        given = self.objective if name == "objective" else self.counts.get(name)
        return given is None and name not in self.unreadable


def check_spec(spec: ExperimentSpec) -> list[FieldError]:
    """Return every mistake of a spec that parsed."""
    return [*check_storage(spec.storage), *check_parts(parts_of(spec))]


def parts_of(spec: ExperimentSpec) -> Parts:
    """Return the parts of a spec that parsed."""
    counts = {
        "maxTrialCount": spec.max_trial_count,
        "maxFailedTrialCount": spec.max_failed_trial_count,
        "activeDeadlineSeconds": spec.active_deadline_seconds,
    }
    return Parts(
        objective=spec.objective,
        algorithm=spec.algorithm,
        parameters=tuple(spec.parameters),
        counts={name: value for name, value in counts.items() if value is not None},
        template=spec.trial_template,
    )


def check_parts(parts: Parts) -> list[FieldError]:
    """Return every mistake in the parts, each by itself and in combination."""
    errors = list(_counts(parts))
    if parts.objective is not None:
        errors += check_objective(parts.objective)
    parameter_errors = check_parameters(parts.parameters)
    errors += parameter_errors
    if parts.algorithm is not None:
        setting_errors = check_settings(parts.algorithm)
        errors += setting_errors
        errors += _algorithm(parts, parts.algorithm)
        if not parameter_errors and not setting_errors:
            errors += _size(parts, parts.algorithm)
    if parts.template is not None:
        errors += check_template(
            parts.template,
            parts.parameters,
            parts.parsed_parameters,
            objective=parts.objective_name,
        )
    return errors


def _counts(parts: Parts) -> Iterator[FieldError]:
    trials = parts.counts.get("maxTrialCount")
    if trials is None:
        return
    failed = parts.counts.get("maxFailedTrialCount")
    if failed is not None and failed > trials:
        yield FieldError(
            "spec.maxFailedTrialCount",
            f"{failed} is more than maxTrialCount {trials}: the limit could never be reached",
        )


def _algorithm(parts: Parts, algorithm: Algorithm) -> Iterator[FieldError]:
    match algorithm.algorithm_name:
        case AlgorithmName.GRID:
            for index, parameter in enumerate(parts.parameters):
                if parameter is not None:
                    yield from _grid_parameter(parameter, f"spec.parameters[{index}].feasibleSpace")
        case AlgorithmName.RANDOM:
            goal_is_absent = parts.is_absent("objective") or (
                parts.objective is not None and parts.objective.goal is None
            )
            if (
                goal_is_absent
                and parts.is_absent("maxTrialCount")
                and parts.is_absent("activeDeadlineSeconds")
            ):
                yield FieldError(
                    "spec.maxTrialCount",
                    "is missing: a random search never ends by itself; "
                    "give maxTrialCount, objective.goal or activeDeadlineSeconds",
                )
        case AlgorithmName.DIFFERENTIAL_EVOLUTION:
            if parts.is_absent("objective"):
                yield FieldError(
                    "spec.objective",
                    "is missing: differential-evolution compares trials by a metric; "
                    "give its objectiveMetricName and type",
                )
        case unreachable:
            assert_never(unreachable)


def _grid_parameter(parameter: Parameter, path: str) -> Iterator[FieldError]:
    space = parameter.feasible_space
    if parameter.parameter_type is ParameterType.DOUBLE and space.step is None:
        yield FieldError(
            f"{path}.step",
            "is missing: a grid needs a step for a double; for other points use a discrete parameter with a list",
        )
    if parameter.parameter_type.is_ranged and space.distribution is not Distribution.UNIFORM:
        yield FieldError(
            f"{path}.distribution",
            f"{space.distribution} is for random and differential-evolution: a grid's points are evenly spaced; "
            "for other points use a discrete parameter with a list",
        )


def _size(parts: Parts, algorithm: Algorithm) -> Iterator[FieldError]:
    """Report a search that plans more trials than an experiment may have."""
    if not parts.is_absent("maxTrialCount"):
        return
    match algorithm.algorithm_name:
        case AlgorithmName.GRID:
            size = grid_points(parts.parsed_parameters or ())
            message = "the grid has {} points"
        case AlgorithmName.DIFFERENTIAL_EVOLUTION:
            size = evolution_settings(algorithm, None).trials
            message = "population times generations is {} trials"
        case AlgorithmName.RANDOM:
            return
        case unreachable:
            assert_never(unreachable)
    if size is not None and size > limits.TRIALS:
        yield FieldError(
            "spec.maxTrialCount",
            f"is missing: {message.format(format_count(size))}, and an experiment has at most {limits.TRIALS:,}; "
            "set maxTrialCount to run the first ones",
        )
