"""Objects of the API server as models. The operator that wrote them may be of another version."""

from __future__ import annotations

from typing import Any, TypeVar

from sparksweep_core.api.base import Model
from sparksweep_core.validation.reading import read_object

_M = TypeVar("_M", bound=Model)


def read(model: type[_M], body: dict[str, Any]) -> _M:
    """Read an object of the API server; unknown fields are ignored.

    Raises:
        Unreadable: This version does not understand a value of it.
    """
    metadata = body["metadata"]
    subject = f"{model.__name__} {metadata['name']}"
    if "namespace" in metadata:
        subject += f" in namespace {metadata['namespace']}"
    return read_object(model, body, subject)
