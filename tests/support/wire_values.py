"""JSON documents of any wire type, drawn from its annotations alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from enum import StrEnum
from random import Random
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import StringConstraints
from pydantic.fields import FieldInfo

from sparksweep_core.api.base import Model

Json = Any


class Wire(dict[str, Json]):
    """The JSON object of a model, as opposed to a map."""

    def __init__(self, model: type[Model], fields: dict[str, Json]) -> None:
        super().__init__(fields)
        self.model = model


def wire_value(model: type[Model], random: Random) -> Wire:
    """Draw a document of a model in which every field is present, at every depth."""
    fields = {
        field.alias or name: _value(field.annotation, _constraints(field), random)
        for name, field in model.model_fields.items()
    }
    return Wire(model, fields)


def objects_in(value: Json) -> Iterator[Wire]:
    """Iterate over the objects of models in a document, itself included."""
    if isinstance(value, Wire):
        yield value
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from objects_in(item)


def changed_objects(value: Json, change: Callable[[Wire], dict[str, Json]]) -> Json:
    """Return a copy of a document in which each model's object is what `change` returns for it."""
    if isinstance(value, Wire):
        copied = Wire(value.model, {k: changed_objects(v, change) for k, v in value.items()})
        copied.update(change(value))
        return copied
    if isinstance(value, dict):
        return {key: changed_objects(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [changed_objects(item, change) for item in value]
    return value


def _constraints(field: FieldInfo) -> dict[str, Any]:
    return _merged(field.metadata)


def _merged(metadata: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for item in metadata:
        match item:
            case Ge(ge):
                merged["min"] = ge
            case Gt(gt):
                merged["min"] = gt if isinstance(gt, float) else gt + 1  # type: ignore[operator]
            case Le(le):
                merged["max"] = le
            case Lt(lt):
                merged["max"] = lt if isinstance(lt, float) else lt - 1  # type: ignore[operator]
            case MinLen(length):
                merged["min_length"] = length
            case MaxLen(length):
                merged["max_length"] = length
            case StringConstraints():
                named = {
                    "min_length": item.min_length,
                    "max_length": item.max_length,
                    "pattern": item.pattern,
                }
                merged |= {key: value for key, value in named.items() if value is not None}
            case FieldInfo():
                merged |= _merged(item.metadata)
            case _ if getattr(item, "pattern", None) is not None:
                merged["pattern"] = item.pattern
    return merged  # fmt: skip


WORDS = (
    "a",
    "b2",
    "train",
    "Word",
    "train:training",
    "1",
    "0.5",
    "500m",
    "512Mi",
    "/mnt/data",
    "data/train",
    "digits.example.com",
    "s3://bucket/run",
    "example.com/gpu",
    "key",
)
"""Texts for fields with a pattern: each pattern is matched by one of them at least."""


def _value(annotation: Any, limits: dict[str, Any], random: Random) -> Json:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _value(arguments[0], _merged(arguments[1:]) | limits, random)
    if origin in (Union, UnionType):
        # An absent field says nothing about what is inside it.
        chosen = random.choice([item for item in arguments if item is not NoneType])
        return _value(chosen, limits, random)
    if origin is Literal:
        item = random.choice(arguments)
        return getattr(item, "value", item)
    if origin is list:
        count = random.randint(
            max(1, limits.get("min_length", 0)), min(2, limits.get("max_length", 2))
        )
        return [_value(arguments[0], {}, random) for _ in range(count)]
    if origin is tuple:
        return [_value(item, {}, random) for item in arguments]
    if origin is dict:
        keys = [_value(arguments[0], {}, random) for _ in range(random.randint(1, 2))]
        return {key: _value(arguments[1], {}, random) for key in keys}
    if annotation is Any:
        return random.choice([None, 1, "a", [1], {"a": 1}])
    if issubclass(annotation, Model):
        return wire_value(annotation, random)
    if issubclass(annotation, StrEnum):
        return random.choice([item.value for item in annotation])
    return _scalar(annotation, limits, random)


def _scalar(annotation: type, limits: dict[str, Any], random: Random) -> Json:
    if annotation is bool:
        return random.choice([True, False])
    if annotation is int:
        return random.randint(limits.get("min", -(2**53)), limits.get("max", 2**53))
    if annotation is float:
        return random.uniform(limits.get("min", -1e9), limits.get("max", 1e9))
    if annotation is datetime:
        return f"20{random.randint(10, 99)}-01-02T03:04:05.{random.randint(100, 999)}Z"
    if annotation is str:
        least, most = limits.get("min_length", 0), limits.get("max_length", 10**6)
        pattern = limits.get("pattern", "")
        texts = [text for text in WORDS if re.search(pattern, text) and least <= len(text) <= most]
        if texts:
            return random.choice(texts)
    raise TypeError(f"no value is known for {annotation!r} with {limits}: add one here")
