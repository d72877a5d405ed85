"""Checks of parts that did not parse, without the fields that are unknown or wrong: their other fields have mistakes, too.

Nothing is concluded from the absence of a field beside one that was left out: it may be the same field, misspelt.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from sparksweep_core.api.algorithm_settings import check_settings
from sparksweep_core.api.base import Model
from sparksweep_core.api.search_spec import Algorithm, Objective, Parameter
from sparksweep_core.api.storage import Storage
from sparksweep_core.api.template import TrialTemplate
from sparksweep_core.errors import FieldError
from sparksweep_core.validation.checks import Parts
from sparksweep_core.validation.checks_pod import check_pod
from sparksweep_core.validation.checks_search import check_objective, check_parameters
from sparksweep_core.validation.checks_storage import check_storage
from sparksweep_core.validation.checks_template import check_template

Location = tuple[int | str, ...]

_M = TypeVar("_M", bound=Model)


@dataclass(frozen=True)
class Pruned:
    """A spec without the fields that have errors."""

    value: Any
    """The spec's JSON values."""
    owners: frozenset[Location]
    """Locations of the objects from which a field was removed, from the spec."""


def prune(spec: object, broken: Sequence[Location]) -> Pruned:
    """Remove the fields at the given locations; an element of a list takes its list with it.

    Args:
        spec: the spec as the document has it.
        broken: locations of validation's errors, from the spec.
    """
    value = json.loads(json.dumps(spec))
    owners = set()
    for location in broken:
        owner, here = None, value
        for depth, step in enumerate(location):
            if isinstance(here, dict):
                owner = (here, depth)
            try:
                here = here[step]
            except (KeyError, IndexError, TypeError):
                break
        if owner is not None:
            fields, depth = owner
            fields.pop(location[depth], None)
            owners.add(location[:depth])
    return Pruned(value, frozenset(owners))


def incomplete_errors(
    spec: object, broken: Sequence[Location], parts: Parts
) -> Iterator[FieldError]:
    """Find the mistakes in the parts of a spec that parse without their wrong fields.

    Args:
        spec: the spec as the document has it.
        broken: locations of validation's errors, from the spec.
        parts: the parts that parsed as they are.
    """
    pruned = prune(spec, broken)
    owners = {_path(owner) for owner in pruned.owners}
    given = set(_given(pruned.value, "spec"))
    for finding in _errors(pruned, parts):
        parent = finding.path.rpartition(".")[0]
        if finding.path not in owners and (parent not in owners or finding.path in given):
            yield finding


def _errors(pruned: Pruned, parts: Parts) -> Iterator[FieldError]:
    spec = pruned.value
    if storage := _read(Storage, spec.get("storage")):
        yield from check_storage(storage)
    if parts.objective is None and (objective := _read(Objective, spec.get("objective"))):
        yield from check_objective(objective)
    if parts.algorithm is None and (algorithm := _read(Algorithm, spec.get("algorithm"))):
        yield from check_settings(algorithm)
    listed = spec.get("parameters")
    if isinstance(listed, list):
        yield from check_parameters([_read(Parameter, item) for item in listed])
    if parts.template is None and (template := _read(TrialTemplate, spec.get("trialTemplate"))):
        if ("trialTemplate",) in pruned.owners:
            # Any of its fields may be the one that was left out.
            yield from check_pod(template)
        else:
            yield from check_template(
                template,
                parts.parameters,
                parts.parsed_parameters,
                objective=parts.objective_name,
            )


def _read(model: type[_M], value: object) -> _M | None:
    try:
        return model.model_validate_json(json.dumps(value), by_alias=True, by_name=False)
    except ValidationError:
        return None


def _path(location: Location) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "spec" + "".join(steps)


def _given(value: object, path: str) -> Iterator[str]:
    """Iterate over the paths of all values."""
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _given(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _given(inner, f"{path}[{index}]")
