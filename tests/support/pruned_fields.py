"""Fields that an API server drops, because its CRDs are of an earlier version."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sparksweep_core.api.base import Model


def optional_fields(model: type[Model], prefix: str) -> Iterator[str]:
    """Yield the paths of a model's fields that a stored object may lack: all that a later version can add are."""
    for name, field in model.model_fields.items():
        if not field.is_required():
            yield f"{prefix}.{field.alias or name}"


def prune(value: Any, path: str) -> None:
    """Remove a field from a document, and from each item if a list is on its way."""
    first, _, rest = path.partition(".")
    if isinstance(value, list):
        for item in value:
            prune(item, path)
    elif isinstance(value, dict) and rest:
        prune(value.get(first), rest)
    elif isinstance(value, dict):
        value.pop(first, None)
