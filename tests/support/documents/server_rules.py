"""Validation as the API server does it, without one: defaults, the structural schema, list types and CEL rules.

Strict field validation is what ``kubectl`` asks for: an unknown field is an error rather than dropped.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, cast

import cel
import jsonschema
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

SERVED = {"apiVersion": "sparksweep.dev/v1alpha1", "kind": "Experiment"}
"""Fields that the server compares before it reads any other."""

RESERVED = {"function", "namespace", "import", "in", "if", "for", "var", "package"}
"""CEL's reserved words, which are written __so__ as the name of a field."""


def refusals(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, list[str]]:
    """Return what a server with this schema refuses in the creation of the document, by the schema and by rules."""
    filled = with_defaults(schema, copy.deepcopy(document))
    # The status is its subresource's; a creation drops it.
    filled.pop("status", None)
    by_schema = [error.message for error in _Validator(schema).iter_errors(filled)]
    by_schema += [name for name in ("apiVersion", "kind") if document.get(name) != SERVED[name]]
    return {
        "schema": by_schema,
        # The server, too, applies the rules to nothing that is of the wrong shape.
        "cel": [] if by_schema else list(broken_rules(schema, filled)),
    }


def with_defaults(schema: dict[str, Any], value: Any) -> Any:
    """Return the value with defaults for absent fields, and without nulls."""
    if isinstance(value, dict) and "properties" in schema:
        for name, child in schema["properties"].items():
            if value.get(name) is None:
                value.pop(name, None)
                if "default" in child:
                    value[name] = copy.deepcopy(child["default"])
            if name in value:
                value[name] = with_defaults(child, value[name])
    elif isinstance(value, list) and "items" in schema:
        return [with_defaults(schema["items"], item) for item in value]
    return value


def broken_rules(schema: dict[str, Any], value: Any, old: Any = None) -> Iterator[str]:
    """Messages of the rules that do not hold; transition rules only where there is an old value."""
    for rule in schema.get("x-kubernetes-validations", []):
        text = rule["rule"]
        if "oldSelf" in text and old is None:
            continue
        try:
            holds = cel.evaluate(text, {"self": _escaped(value), "oldSelf": _escaped(old)})
        except (RuntimeError, ValueError) as error:
            holds, rule = False, {**rule, "message": f"{text}: {error}"}
        if holds is not True:
            yield rule["message"]
    if isinstance(value, dict):
        for name, child in schema.get("properties", {}).items():
            if name in value:
                yield from broken_rules(child, value[name], (old or {}).get(name))
    elif isinstance(value, list):
        keys = schema.get("x-kubernetes-list-map-keys")
        for item in value:
            before = next(
                (o for o in old or [] if keys and all(o[k] == item[k] for k in keys)), None
            )
            yield from broken_rules(schema["items"], item, before)


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            f"__{name}__" if name in RESERVED else name: _escaped(item)
            for name, item in value.items()
        }
    return [_escaped(item) for item in value] if isinstance(value, list) else value


def _strict_properties(validator: Any, properties: Any, instance: Any, schema: Any) -> Any:
    yield from _BASE.VALIDATORS["properties"](validator, properties, instance, schema)
    if isinstance(instance, dict):
        for name in instance.keys() - properties.keys():
            yield ValidationError(f"unknown field {name}")


def _list_type(_: Any, kind: str, instance: Any, schema: Any) -> Any:
    if kind == "atomic" or not isinstance(instance, list):
        return
    keys = schema.get("x-kubernetes-list-map-keys", [])
    identities = [
        json.dumps([item.get(key) for key in keys] if keys and isinstance(item, dict) else item)
        for item in instance
    ]
    if len(set(identities)) < len(identities):
        yield ValidationError(f"duplicates in {instance}")


_BASE = jsonschema.Draft202012Validator
_Validator = cast(Any, extend)(
    _BASE, {"properties": _strict_properties, "x-kubernetes-list-type": _list_type}
)
