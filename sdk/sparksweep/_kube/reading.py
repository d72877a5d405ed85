"""Objects of the API server as models. The operator that wrote them may be of another version."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from sparksweep._listing import Listing
from sparksweep.errors import Unreadable
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


def read_all(model: type[_M], bodies: Iterable[dict[str, Any]]) -> Listing[_M]:
    """Read the objects of a list of the API server; those that can't be read are errors of the result."""
    listing: list[_M] = []
    unreadable: list[Unreadable] = []
    for body in bodies:
        try:
            listing.append(read(model, body))
        except Unreadable as error:
            unreadable.append(error)
    return Listing(listing, unreadable)
