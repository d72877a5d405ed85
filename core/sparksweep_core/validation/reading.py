"""The tolerant reading of objects and files that another program wrote, perhaps one of another version.

Unknown fields are ignored, at every depth. A value that can't be understood, such as a state that a later version added,
makes the object `Unreadable`: an error that names it. No reader may take an unreadable object for an absent one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

from pydantic import ValidationError

from sparksweep_core.api.base import Model
from sparksweep_core.api.reasons import ExperimentReason
from sparksweep_core.api.trial_batch import TrialBatch
from sparksweep_core.contract.annotations import ENDING_ANNOTATION, SEED_ANNOTATION
from sparksweep_core.errors import FieldError, Unreadable
from sparksweep_core.validation.messages import field_error

VERSION_ANNOTATION = "sparksweep.dev/version"
"""Annotation: the version that wrote the object. Of a TrialBatch the operator's, of an Experiment that of the SDK that
created it."""

_M = TypeVar("_M", bound=Model)
_REASONS = frozenset(reason.value for reason in ExperimentReason)
_SEED = re.compile("[0-9]{1,19}")


def own_version() -> str:
    """Return the version of the installed sparksweep; ``unknown`` if it is not installed."""
    try:
        return version("sparksweep")
    except PackageNotFoundError:
        return "unknown"


def read_object(model: type[_M], body: object, subject: str, *, writer: str = "") -> _M:
    """Read an object as the API server has it.

    Args:
        model: the object's type.
        body: its JSON values.
        subject: the object in words, for the error: ``TrialBatch lab/digits-00003``.
        writer: the version that wrote it, if it does not name one itself; empty if it is unknown.

    Raises:
        Unreadable: this version does not understand a value of it.
    """
    try:
        return model.from_api(body)
    except ValidationError as error:
        raise unreadable(error, model, subject, writer=_writer(body) or writer) from error


def read_json(model: type[_M], text: str | bytes, subject: str, *, writer: str = "") -> _M:
    """Read the JSON text of a file or a message; see `read_object`.

    Args:
        model: the text's type.
        text: the JSON text.
        subject: the file or the message in words, for the error.
        writer: the version that wrote it; empty if it is unknown.

    Raises:
        Unreadable: this version does not understand a value of it.
    """
    try:
        return model.from_json(text)
    except ValidationError as error:
        raise unreadable(error, model, subject, writer=writer) from error


def check_notes(batch: TrialBatch, subject: str, *, writer: str = "") -> None:
    """Check the annotations that one planner leaves in a batch for the next one.

    They can't be ignored: an experiment that a later version has ended, for a reason of its own, would begin anew.

    Args:
        batch: the batch.
        subject: the batch in words, for the error.
        writer: the version that wrote it, if it does not name one itself; empty if it is unknown.

    Raises:
        Unreadable: this version does not understand one of them.
    """
    notes = batch.metadata.annotations or {}
    findings = []
    ending, seed = notes.get(ENDING_ANNOTATION), notes.get(SEED_ANNOTATION)
    if batch.spec.stop is not None and ending is not None and ending not in _REASONS:
        message = f'"{ending}" is no reason that this version knows'
        findings.append(FieldError(f"metadata.annotations[{ENDING_ANNOTATION}]", message))
    if seed is not None and not _SEED.fullmatch(seed):
        message = f'"{seed[:40]}" is no integer from 0 to 2^63-1'
        findings.append(FieldError(f"metadata.annotations[{SEED_ANNOTATION}]", message))
    if findings:
        named = notes.get(VERSION_ANNOTATION) or writer
        raise Unreadable(subject, findings, reader=own_version(), writer=named)


def unreadable(
    error: ValidationError, model: type[Model], subject: str, *, writer: str = ""
) -> Unreadable:
    """Return the error of a reading that failed, with each field's path and value.

    Args:
        error: the error of the tolerant reading as `model`.
        model: the type.
        subject: the object, file or message in words.
        writer: the version that wrote it; empty if it is unknown.
    """
    details = error.errors(include_url=False)
    findings = [
        FieldError("the text", f"is not JSON: {detail['msg']}")
        if detail["type"] == "json_invalid"
        else field_error(detail, model)
        if detail["loc"]
        else FieldError("the value", f"is no {model.__name__}: {detail['msg']}")
        for detail in details
    ]
    return Unreadable(subject, findings, reader=own_version(), writer=writer)


def unknown_fields(model: type[Model], body: Mapping[str, Any]) -> list[str]:
    """Return the paths of the fields that the tolerant reading of an object ignores, in the order of the type."""
    try:
        model.model_validate_json(json.dumps(body))
    except ValidationError as error:
        return [
            field_error(detail, model).path
            for detail in error.errors(include_url=False)
            if detail["type"] == "extra_forbidden"
        ]
    return []


def _writer(body: object) -> str:
    """Return the version that an object names as its writer's; empty if it names none."""
    metadata = body.get("metadata") if isinstance(body, Mapping) else None
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    writer = annotations.get(VERSION_ANNOTATION) if isinstance(annotations, Mapping) else None
    return writer if isinstance(writer, str) else ""
