"""The entrance of documents: a file, a text or a dict becomes an Experiment, or every reason why not, at once.

Types first (as strictly as the API server), then the relations between the parts (``checks.py``). Parts that parsed
are checked even if others did not, and those that did not without their wrong fields, so that a document need not be
corrected finding by finding.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from sparksweep_core.api import limits
from sparksweep_core.api.base import Model
from sparksweep_core.api.experiment import Experiment
from sparksweep_core.api.metadata import API_VERSION
from sparksweep_core.api.search_spec import Algorithm, Objective, Parameter
from sparksweep_core.api.template import TrialTemplate
from sparksweep_core.errors import FieldError, InvalidExperiment
from sparksweep_core.kubernetes_yaml import DOCUMENT, parse_yaml
from sparksweep_core.stored_size import stored_bytes
from sparksweep_core.validation.checks import COUNTS, Parts, check_parts, check_spec, parts_of
from sparksweep_core.validation.incomplete import incomplete_errors
from sparksweep_core.validation.messages import field_error, in_document_order
from sparksweep_core.validation.reading import read_object, unknown_fields

__all__ = [
    "parse_experiment",
    "parse_yaml",
    "read_experiment",
    "read_recorded",
    "size_errors",
    "stored_errors",
]

_M = TypeVar("_M", bound=Model)
Check = Callable[[Parts], Iterable[FieldError]]
"""Returns the mistakes of the parts of a spec that parsed."""


def nothing_more(_: Parts) -> Iterable[FieldError]:
    """Return no mistakes."""
    return ()


def read_experiment(path: Path, also: Check = nothing_more) -> Experiment:
    """Read the Experiment of a YAML or JSON file.

    Args:
        path: the file.
        also: a further check, such as of the code on this machine.

    Raises:
        InvalidExperiment: with every finding.
        OSError: the file can't be read.
    """
    return parse_experiment(parse_yaml(_text(path)), also)


def read_recorded(path: Path, *, writer: str = "") -> tuple[Experiment, list[str]]:
    """Read the Experiment that a run has recorded; a later version may have written it.

    Args:
        path: the YAML file.
        writer: the version that recorded it; empty if it is unknown.

    Returns:
        The Experiment, and the paths of the fields that this version does not know and ignores.

    Raises:
        InvalidExperiment: it was changed, and is invalid now.
        Unreadable: this version does not understand a value.
        OSError: the file can't be read.
    """
    document = parse_yaml(_text(path))
    if not isinstance(document, dict):
        raise InvalidExperiment([FieldError(DOCUMENT, "is no Experiment")])
    experiment = read_object(Experiment, document, str(path), writer=writer)
    errors = stored_errors(experiment, document)
    if errors:
        raise InvalidExperiment(errors)
    return experiment, unknown_fields(Experiment, document)


def stored_errors(experiment: Experiment, document: object) -> list[FieldError]:
    """Return the mistakes of an Experiment that was read from a document which the API server has accepted."""
    return in_document_order(check_spec(experiment.spec), document)


def size_errors(spec: object) -> list[FieldError]:
    """Return the error of a spec that leaves its Experiment's status no room in etcd.

    Args:
        spec: the spec's JSON values.
    """
    size = stored_bytes(spec)
    if size <= limits.SPEC_BYTES:
        return []
    message = (
        f"takes {size:,} bytes as it is stored, at most {limits.SPEC_BYTES:,} fit beside the status: "
        "shorten the parameters' values, or put the source into a ConfigMap or into the image"
    )
    return [FieldError("spec", message)]


def parse_experiment(document: object, also: Check = nothing_more) -> Experiment:
    """Return the Experiment of a document: JSON values, its ``status`` included if there is one.

    Args:
        document: the document.
        also: a further check, whose findings are listed with the others.

    Raises:
        InvalidExperiment: with every finding, in the document's order.
    """
    if not isinstance(document, dict):
        message = f"is a {type(document).__name__}: an Experiment is a mapping"
        raise InvalidExperiment([FieldError(DOCUMENT, message)])
    try:
        text = json.dumps(document)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidExperiment([FieldError(DOCUMENT, f"is not JSON: {error}")]) from error
    errors = [
        FieldError(name, f"is missing: write {name}: {value}")
        for name, value in (("apiVersion", API_VERSION), ("kind", "Experiment"))
        if name not in document
    ]
    experiment = None
    try:
        experiment = _parse(Experiment, text)
        errors += check_spec(experiment.spec)
        errors += also(parts_of(experiment.spec))
    except ValidationError as error:
        details = error.errors(include_url=False)
        errors += [field_error(detail, Experiment) for detail in details]
        spec = document.get("spec")
        if isinstance(spec, Mapping):
            broken = [detail["loc"] for detail in details]
            parts = _parts(spec, broken)
            errors += [*check_parts(parts), *also(parts)]
            within = [location[1:] for location in broken if location[:1] == ("spec",)]
            errors += incomplete_errors(spec, within, parts)
    if errors or experiment is None:
        raise InvalidExperiment(in_document_order(errors, document))
    return experiment


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}"
        raise InvalidExperiment([FieldError(DOCUMENT, message)]) from error


def _parse(model: type[_M], text: str) -> _M:
    """Parse as strictly as the API server: with no field names but those on the wire."""
    return model.model_validate_json(text, by_alias=True, by_name=False)


def _parts(spec: Mapping[str, Any], broken: Sequence[tuple[int | str, ...]]) -> Parts:
    """Return the parts of a spec that have no error in them.

    Args:
        spec: the spec as the document has it.
        broken: locations of validation's errors, from the document's root.
    """

    def read(model: type[_M], value: object, *loc: int | str) -> _M | None:
        return None if value is None or is_broken(*loc) else _parse(model, json.dumps(value))

    def is_broken(*loc: int | str) -> bool:
        return any(("spec", *loc)[: len(error)] == error[: len(loc) + 1] for error in broken)

    listed = spec.get("parameters")
    parameters_are_broken = any(error in (("spec",), ("spec", "parameters")) for error in broken)
    return Parts(
        objective=read(Objective, spec.get("objective"), "objective"),
        algorithm=read(Algorithm, spec.get("algorithm"), "algorithm"),
        parameters=()
        if parameters_are_broken
        else tuple(
            read(Parameter, item, "parameters", index) for index, item in enumerate(listed or [])
        ),
        counts={
            name: spec[name]
            for name in COUNTS
            if spec.get(name) is not None and not is_broken(name)
        },
        template=read(TrialTemplate, spec.get("trialTemplate"), "trialTemplate"),
        unreadable=frozenset(name for name in spec if is_broken(name)),
    )
