"""Python values of parameters whose values are texts in the document: True, None, tuples, dictionaries.

The document has an annotation with those that Python can write as literals, so that an Experiment read from YAML, from a
run directory or from a cluster still has them. Others, such as classes, are known to the program that made it, and to the
shipped function.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Mapping

from sparksweep_core import api
from sparksweep_core.api.parameter_values import typed_values

VALUES_ANNOTATION = f"{api.API_VERSION.partition('/')[0]}/python-values"
"""Annotation: by parameter, the Python literal of each of its texts, as JSON."""
_MOST = 64 * 1024
"""Characters of the annotation; all annotations of an object may have 256 KiB."""

Values = Mapping[str, Mapping[str, object]]
"""By parameter, the Python value of each text."""


def values_annotation(values: Values) -> str | None:
    """Return the annotation's text; None if there is nothing to write."""
    literals: dict[str, dict[str, str]] = {}
    for name, by_text in values.items():
        written = {text: _literal(value) for text, value in by_text.items()}
        if None not in written.values():
            literals[name] = {text: literal for text, literal in written.items() if literal}
    text = json.dumps(literals, ensure_ascii=False)
    return text if literals and len(text) <= _MOST else None


def values_of(experiment: api.Experiment) -> Values:
    """Return the values that the document's annotation has; an annotation that can't be read counts as none."""
    text = (experiment.metadata.annotations or {}).get(VALUES_ANNOTATION)
    if text is None or len(text) > _MOST:
        return {}
    try:
        return {
            str(name): {str(key): _read(literal) for key, literal in literals.items()}
            for name, literals in json.loads(text).items()
        }
    except (ValueError, SyntaxError, AttributeError, TypeError, RecursionError, MemoryError):
        return {}


def objects_only_in(values: Values, experiment: api.Experiment) -> list[str]:
    """Return the names of the parameters whose values the document can't hold."""
    written = values_of(experiment)
    return [name for name in values if name not in written]


def document_values(experiment: api.Experiment, trial: api.Trial) -> dict[str, object]:
    """Return a trial's parameters as the function gets them, as far as JSON and YAML can hold them.

    A tuple is a list there. Bytes, NaN, keys that are no text and objects without a literal stay the document's texts.
    """
    texts = trial.spec.parameters
    values: dict[str, object] = dict(typed_values(experiment.spec.parameters, texts))
    for name, by_text in values_of(experiment).items():
        if name in values and texts[name] in by_text and _is_json(by_text[texts[name]]):
            values[name] = by_text[texts[name]]
    return values


def _is_json(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(_is_json, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | str)


def _literal(value: object) -> str | None:
    """Return the Python literal of a value; None if there is none that gives an equal value."""
    try:
        text = repr(value)
        back = _read(text)
    except Exception:
        return None
    return text if type(back) is type(value) and repr(back) == text else None


def _read(literal: str) -> object:
    # Python has no literals for these.
    return float(literal) if literal in ("nan", "inf", "-inf") else ast.literal_eval(literal)
