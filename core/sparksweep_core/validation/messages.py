"""pydantic's errors as findings for users: the field's path as Kubernetes writes it, the value and the correction."""

from __future__ import annotations

import difflib
import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic_core import ErrorDetails

from sparksweep_core.api.base import Model
from sparksweep_core.api.metadata import API_VERSION, EXPERIMENT_NAME_PATTERN
from sparksweep_core.api.names import DNS_LABEL_PATTERN, OBJECT_NAME_PATTERN
from sparksweep_core.api.quantities import CPU_PATTERN, MEMORY_PATTERN
from sparksweep_core.api.search_spec import NUMBER_PATTERN, PARAMETER_NAME_PATTERN
from sparksweep_core.api.template import FUNCTION_PATTERN, MODULE_PATTERN
from sparksweep_core.api.volumes import MOUNT_PATH_PATTERN, SUB_PATH_PATTERN
from sparksweep_core.errors import FieldError
from sparksweep_core.metric_names import METRIC_NAME_PATTERN
from sparksweep_core.validation.katib_hints import KATIB_ALGORITHMS, KATIB_API_VERSION, KATIB_FIELDS

_MAX_SHOWN = 60

_PATTERNS = {
    NUMBER_PATTERN: "a decimal number, such as 0.1 or 1e-3",
    PARAMETER_NAME_PATTERN: "the name of a parameter: letters of any alphabet, digits, '_', '.' and '-', "
    "not beginning with a digit, '.' or '-'",
    METRIC_NAME_PATTERN: "the name of a metric: any text of one line, without blanks at its ends",
    EXPERIMENT_NAME_PATTERN: "a name of lower-case letters, digits and '-' that starts with a letter",
    FUNCTION_PATTERN: "module:function, such as train:training",
    MODULE_PATTERN: "the name of a module, such as sklearn.datasets",
    CPU_PATTERN: 'a number of CPUs, such as "2" or "500m"',
    MEMORY_PATTERN: 'an amount of memory, such as "512Mi" or "4Gi"',
    OBJECT_NAME_PATTERN: "the name of a Kubernetes object: lower-case letters, digits, '-' and '.'",
    DNS_LABEL_PATTERN: "a name of lower-case letters, digits and '-'",
    MOUNT_PATH_PATTERN: "an absolute path, such as /mnt/data, without '.', '..', ':' or a '/' at its end",
    SUB_PATH_PATTERN: "a relative path, such as data/train, without '.', '..', ':' or a '/' at its end",
}

_POD_FIELDS = {
    "spec.trialTemplate.volumes.hostPath": "a trial has no access to its node's directories; use a persistentVolumeClaim, "
    "or an emptyDir for temporary files",
    "spec.trialTemplate.volumeMounts": "give each entry of volumes a mountPath",
}
"""Hints for fields of a pod's spec that a trial's pod does not have, by path without indices."""

_PATH_PART = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")


def field_error(error: ErrorDetails, root: type[Model]) -> FieldError:
    """Convert one error of validating a document as `root`."""
    path, owner = _locate(error["loc"], root)
    if error["loc"][-1] == "[key]":
        return FieldError(path, f"the key {_message(error, path, owner)}")
    return FieldError(path, _message(error, path, owner))


def in_document_order(errors: Iterable[FieldError], document: object) -> list[FieldError]:
    """Return the findings once each, in the document's order; a missing field comes after its siblings."""
    return sorted(dict.fromkeys(errors), key=lambda error: _position(error.path, document))


def short_json(value: object) -> str:
    """Return a value as JSON, shortened."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."


def _position(path: str, document: object) -> list[int]:
    position = []
    here = document
    for index, name in _PATH_PART.findall(path):
        if isinstance(here, Mapping):
            keys = list(here)
            key = name or index
            position.append(keys.index(key) if key in here else len(keys))
            here = here.get(key)
        elif isinstance(here, list) and index.isdigit():
            position.append(int(index))
            here = here[int(index)] if int(index) < len(here) else None
        else:
            break
    return position


def _locate(loc: tuple[int | str, ...], root: type[Model]) -> tuple[str, type[Model] | None]:
    """Return the path, and the type that has (or lacks) its last field."""
    path = ""
    here: Any = root
    owner = None
    for item in loc:
        here = _bare(here)
        if item == "[key]":
            break
        if isinstance(here, type) and issubclass(here, Model):
            owner = here
            path += f".{item}"
            here = _fields(here).get(str(item))
        elif isinstance(item, int) or get_origin(here) is dict:
            path += f"[{item}]"
            here = (get_args(here) or (None,))[-1]
        else:
            path += f".{item}"
    return path.removeprefix("."), owner


def _bare(annotation: Any) -> Any:
    """Return the type without None and without Annotated's metadata."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, UnionType):
            annotation = next(item for item in get_args(annotation) if item is not NoneType)
        else:
            return annotation


def _fields(model: type[Model]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _description(model: type[Model] | None, name: str) -> str:
    for field_name, field in model.model_fields.items() if model else ():
        if name == (field.alias or field_name):
            first_paragraph = (field.description or "").partition("\n\n")[0]
            return " ".join(first_paragraph.split())
    return ""


def _message(error: ErrorDetails, path: str, owner: type[Model] | None) -> str:
    kind = error["type"]
    if kind == "missing":
        if path == "metadata":
            return "is missing: write metadata: {name: ...}"
        return f"is missing: {_description(owner, str(error['loc'][-1]))}"
    if kind == "extra_forbidden":
        return _unknown_field(str(error["loc"][-1]), path, owner)
    value, context = error["input"], error.get("ctx", {})
    if value is None:
        return "is empty: give a value, or leave the field out"
    if kind in ("enum", "literal_error"):
        return _not_a_choice(value, path, str(context["expected"]))
    words = _WORDS.get(kind)
    if words:
        return words(value, context)
    # pydantic puts this before the words of a check of ours.
    return f"{short_json(value)}: {error['msg'].removeprefix('Value error, ')}"


def _unknown_field(name: str, path: str, owner: type[Model] | None) -> str:
    plain_path = re.sub(r"\[\d+\]", "", path)
    if plain_path in KATIB_FIELDS:
        return f"is a field of Katib: {KATIB_FIELDS[plain_path]}"
    if plain_path in _POD_FIELDS:
        return f"is not supported: {_POD_FIELDS[plain_path]}"
    fields = list(_fields(owner)) if owner else []
    lowered = {field.lower(): field for field in fields}
    plain = name.replace("_", "").replace("-", "").lower()
    close = difflib.get_close_matches(plain, lowered, n=1) or [f for f in lowered if plain in f]
    if len(close) == 1:
        return f"is unknown: did you mean {lowered[close[0]]}?"
    return f"is unknown: the fields are {', '.join(fields)}"


def _not_a_choice(value: object, path: str, expected: str) -> str:
    # pydantic writes "'a', 'b' or 'c'".
    choices = re.findall(r"'([^']*)'", expected)
    if path == "apiVersion" and value == KATIB_API_VERSION:
        return (
            f"{short_json(value)} is the version of Katib: write {API_VERSION}; objective, algorithm and parameters stay as they are, "
            "and trialTemplate.trialSpec becomes trialTemplate.command"
        )
    if path == "spec.algorithm.algorithmName" and value in KATIB_ALGORITHMS:
        return f"{short_json(value)} is an algorithm of Katib: there are {', '.join(choices)}"
    if len(choices) == 1:
        return f"{short_json(value)} is not {choices[0]}"
    close = difflib.get_close_matches(str(value).lower(), [c.lower() for c in choices], n=1)
    hint = next((c for c in choices if close and c.lower() == close[0]), None)
    ending = f": did you mean {hint}?" if hint else ""
    return f"{short_json(value)} is not one of {', '.join(choices)}{ending}"


def _not_text(value: object, _: Mapping[str, Any]) -> str:
    if isinstance(value, bool):
        return f"{short_json(value)} is not text: put the word that you wrote, such as n, no or on, in quotes"
    if isinstance(value, int | float):
        return f'{short_json(value)} is a number: write "{short_json(value)}" in quotes'
    return f"{short_json(value)} is not text"


def _not_number(words: str) -> Callable[[object, Mapping[str, Any]], str]:
    def message(value: object, _: Mapping[str, Any]) -> str:
        if isinstance(value, str) and re.fullmatch(NUMBER_PATTERN, value):
            return f"{short_json(value)} is text: write {value} without quotes"
        return f"{short_json(value)} is not {words}"

    return message


def _not_boolean(value: object, _: Mapping[str, Any]) -> str:
    if value in ("true", "false"):
        return f"{short_json(value)} is text: write {value} without quotes"
    return f"{short_json(value)} is not true or false"


def _not_list(value: object, _: Mapping[str, Any]) -> str:
    # Commas may separate the elements, or be part of an argument.
    has_words = isinstance(value, str) and "," not in value
    hint = f": write {_words_of(value)}" if has_words else ""
    return f"{short_json(value)} is not a list{hint}"


def _words_of(text: object) -> str:
    """Return a text as a list of its words, as in a shell; as a list of itself if quotes are open."""
    try:
        words = shlex.split(str(text))
    except ValueError:
        words = [str(text)]
    return short_json(words or [str(text)])


def _pattern(value: object, context: Mapping[str, Any]) -> str:
    words = _PATTERNS.get(context["pattern"])
    if context["pattern"] == FUNCTION_PATTERN and len(str(value).split()) > 1:
        return f"{short_json(value)} is not {words}; a program with arguments is a command: {_words_of(value)}"
    return (
        f"{short_json(value)} is not {words}"
        if words
        else f"{short_json(value)} does not match {context['pattern']}"
    )


_INTEGER = _not_number("an integer")

_WORDS: Mapping[str, Callable[[Any, Mapping[str, Any]], str]] = {
    "string_type": _not_text,
    "int_type": _INTEGER,
    "int_from_float": _INTEGER,
    "float_type": _not_number("a number"),
    "bool_type": _not_boolean,
    "finite_number": lambda value, _: (
        f"{value} is not finite: give a number, or leave the field out"
    ),
    "list_type": _not_list,
    "dict_type": lambda value, _: f"{short_json(value)} is not a mapping",
    "model_type": lambda value, _: f"{short_json(value)} is not a mapping of fields",
    "string_pattern_mismatch": _pattern,
    "string_too_short": lambda value, _: f"{short_json(value)} is empty",
    "string_too_long": lambda value, context: (
        f"{short_json(value)} has {len(value)} characters, at most {context['max_length']}"
    ),
    "too_short": lambda *_: "is empty: give at least one",
    "too_long": lambda value, context: f"has {len(value)} entries, at most {context['max_length']}",
    "greater_than_equal": lambda value, context: (
        f"{short_json(value)} is less than {context['ge']:,}"
    ),
    "less_than_equal": lambda value, context: f"{short_json(value)} is more than {context['le']:,}",
}
