"""The base of every wire type: camelCase outside, snake_case inside, immutable, strict about types.

Strict, because the API server is: it takes neither ``"3"`` for 3 nor ``0.1`` for a string, and a document that
passes here must pass there.

Each type has two readings. The strict one refuses an unknown field, which in a user's document is a mistake:
constructing a model, and ``sparksweep_core.validation.document``. The tolerant one, `Model.from_api` and
`Model.from_json`, ignores it at every depth: it reads objects of the API server, journals and messages, whose writer
may be a later version. `tests/core/api/test_tolerant_reading.py` holds every other module to these two.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """Base of the wire types. Attribute docstrings become the fields' descriptions, which ``kubectl explain`` prints."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        ser_json_inf_nan="null",
    )

    @classmethod
    def from_api(cls, body: object) -> Self:
        """Read the model from JSON values that the API server or another program sent; ignore unknown fields.

        As strict as JSON text would be read: a string is no number, but a time or an enum's value is a string.

        Raises:
            ValidationError: the values do not fit the type. ``sparksweep_core.validation.reading`` names the object.
        """
        # Validating a dict would be strict about Python's types, and take no string for a datetime or an enum.
        return cls.from_json(json.dumps(body))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read the model from the JSON text of another program or of a file; ignore unknown fields.

        Raises:
            ValidationError: the text does not fit the type.
        """
        return cls.model_validate_json(text, extra="ignore")

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON values: camelCase keys, absent fields left out."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_json(self) -> str:
        """Return the document as JSON text on one line."""
        return self.model_dump_json(exclude_none=True)


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _in_utc(moment: datetime) -> datetime:
    """Return the moment in UTC: one without a time zone can't be compared, and one out of range can't be written.

    Raises:
        ValueError: it has no time zone, or lies beyond the years 1 to 9999 in UTC.
    """
    if moment.tzinfo is None:
        raise ValueError("has no time zone: end it with Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is not within the years 1 to 9999 in UTC") from None


Timestamp = Annotated[
    datetime, AfterValidator(_in_utc), PlainSerializer(_rfc3339, when_used="json")
]
"""A moment in UTC, written as RFC 3339 with milliseconds."""


def schema_extra(**extensions: Any) -> dict[str, Any]:
    """Return ``x-kubernetes-*`` keys for a field's schema: ``schema_extra(list_type="map", list_map_keys=["name"])``.

    The value goes under ``json_schema_extra``; the CRD generator copies it out. ``cel`` holds the rules as a list of
    ``{"rule": ..., "message": ...}``.
    """
    renamed = {
        "list_type": "x-kubernetes-list-type",
        "list_map_keys": "x-kubernetes-list-map-keys",
        "map_type": "x-kubernetes-map-type",
        "preserve_unknown_fields": "x-kubernetes-preserve-unknown-fields",
        "cel": "x-kubernetes-validations",
    }
    return {renamed.get(key, key): value for key, value in extensions.items()}


def cel(rule: str, message: str, field_path: str | None = None) -> dict[str, str]:
    """Return a rule of the Common Expression Language, which the API server evaluates on each write.

    Args:
        rule: an expression that is true of a valid value, ``self``; with ``oldSelf`` it holds for updates only.
        message: the correction, in words that follow the field's name.
        field_path: path of the field to report, relative to ``self``: ``.command``.
    """
    described = {"rule": rule, "message": message}
    return described if field_path is None else {**described, "fieldPath": field_path}


def cel_rules(*rules: dict[str, str]) -> dict[str, Any]:
    """Return a wire type's rules, for ``json_schema_extra`` in its ``model_config``."""
    return schema_extra(cel=list(rules))


def list_map(*keys: str, **field: Any) -> Any:
    """Declare a list field that Kubernetes merges item by item; `keys` identify an item."""
    return Field(json_schema_extra=schema_extra(list_type="map", list_map_keys=list(keys)), **field)


def list_set(**field: Any) -> Any:
    """Declare a list field of distinct scalars."""
    return Field(json_schema_extra=schema_extra(list_type="set"), **field)


def list_atomic(**field: Any) -> Any:
    """Declare a list field that Kubernetes replaces as a whole."""
    return Field(json_schema_extra=schema_extra(list_type="atomic"), **field)


def map_atomic(**field: Any) -> Any:
    """Declare a map that Kubernetes replaces as a whole."""
    return Field(json_schema_extra=schema_extra(map_type="atomic"), **field)
