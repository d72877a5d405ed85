"""YAML as ``kubectl`` reads it: text in, JSON values out, and back.

PyYAML's own rules differ from those of Kubernetes' Go library in what they take plain scalars for: ``1e-3`` is text to
PyYAML and a number to ``kubectl``, ``12:30`` is 750 to PyYAML and text to ``kubectl``. A file that passes here must mean
the same there, so both directions use the Go library's rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from sparksweep_core.errors import FieldError, InvalidExperiment

MAX_CHARACTERS = 1_500_000
"""Characters of a document, and of what its aliases expand to: more than etcd keeps in one object."""

DOCUMENT = "document"
"""The path of a finding that is about the text as a whole."""

_BOOLEANS = "|".join(
    form
    for word in ("y", "n", "yes", "no", "true", "false", "on", "off")
    for form in (word, word.capitalize(), word.upper())
)
_SCALARS = (
    ("bool", rf"^(?:{_BOOLEANS})$", "yYnNtTfFoO"),
    ("int", r"^[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$", "-+0123456789"),
    (
        "float",
        r"^(?:[-+]?(?:[.][0-9]+|[0-9]+(?:[.][0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?[.](?:inf|Inf|INF)|[.](?:nan|NaN|NAN))$",
        "-+0123456789.",
    ),
)
_TEXT = "tag:yaml.org,2002:str"
_LINE_BREAKS = re.compile("[\x85\u2028\u2029]")
_KEYS = (_TEXT, "tag:yaml.org,2002:merge")
_KEPT = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")


class _Loader(yaml.SafeLoader):
    """Reads plain scalars by Kubernetes' rules."""


class _Dumper(yaml.SafeDumper):
    """Quotes what Kubernetes' rules would take for something else than text."""

    def ignore_aliases(self, _: Any) -> bool:
        """Write every value out: an anchor is no help to a reader."""
        return True


def _use_kubernetes_rules(cls: type[_Loader] | type[_Dumper]) -> None:
    cls.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag in _KEPT]
        for first, resolvers in cls.yaml_implicit_resolvers.items()
    }
    for name, pattern, first in _SCALARS:
        cls.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(pattern), list(first))


_use_kubernetes_rules(_Loader)
_use_kubernetes_rules(_Dumper)
# PyYAML knows no "y" and "n".
_Loader.bool_values = {**yaml.SafeLoader.bool_values, "y": True, "n": False}


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # PyYAML would write these line breaks as they are, and read them back as spaces.
    style = '"' if _LINE_BREAKS.search(text) else None
    return dumper.represent_scalar(_TEXT, text, style=style)


_Dumper.add_representer(str, _represent_text)


def parse_yaml(text: str) -> dict[str, Any]:
    """The one mapping that the text holds, as JSON values.

    Raises:
        InvalidExperiment: no YAML, no mapping, several documents, a key given twice, or too large; with the line.
    """
    if len(text) > MAX_CHARACTERS:
        raise _invalid(f"has {len(text):,} characters, at most {MAX_CHARACTERS:,} are read")
    try:
        document = _read(text)
    except yaml.MarkedYAMLError as error:
        raise _invalid(f"{_place(error.problem_mark)}{error.problem}") from error
    except yaml.YAMLError as error:
        raise _invalid(f"is not YAML: {error}") from error
    except RecursionError as error:
        raise _invalid("is nested too deeply") from error
    if not isinstance(document, dict):
        raise _invalid(
            f"is a {type(document).__name__}: an Experiment is a mapping of apiVersion, kind, metadata and spec"
        )
    return document


def dump_yaml(document: Any) -> str:
    """JSON values as YAML that `parse_yaml` and ``kubectl`` read as the same values."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def _read(text: str) -> Any:
    loader = _Loader(text)
    node = _only_document(loader)
    if _expanded_size(node, {}) > MAX_CHARACTERS:
        raise _invalid(f"its aliases expand to more than {MAX_CHARACTERS:,} characters")
    wrong_keys = list(_wrong_keys(node, "", set()))
    if wrong_keys:
        raise InvalidExperiment(wrong_keys)
    try:
        return loader.construct_document(node)
    except ValueError as error:
        # Python converts no more than 4,300 digits to an integer.
        raise _invalid(f"has a number that can't be read: {error}") from error


def _invalid(message: str) -> InvalidExperiment:
    return InvalidExperiment([FieldError(DOCUMENT, message)])


def _place(mark: yaml.Mark | None) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""


def _only_document(loader: _Loader) -> yaml.Node:
    found: list[yaml.Node] = []
    while loader.check_node():
        node = loader.get_node()
        # "---" at the end begins a document with nothing in it.
        if node is not None and (node.value or not isinstance(node, yaml.ScalarNode)):
            found.append(node)
    if not found:
        raise _invalid("is empty")
    if len(found) > 1:
        line = found[1].start_mark.line + 1
        raise _invalid(
            f"line {line}: a second document; put each Experiment into a file of its own"
        )
    return found[0]


def _expanded_size(node: yaml.Node, known: dict[int, int]) -> int:
    """Characters of the node with every alias written out; of a node that contains itself, too many."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = MAX_CHARACTERS + 1
    if isinstance(node, yaml.ScalarNode):
        size = len(node.value) + 1
    else:
        size = 1 + sum(_expanded_size(child, known) for child in _children(node))
    known[id(node)] = size
    return size


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    for child in node.value:
        if isinstance(child, tuple):
            yield from child
        else:
            yield child


def _wrong_keys(node: yaml.Node, path: str, seen: set[int]) -> Iterator[FieldError]:
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            yield from _wrong_keys(child, f"{path}[{index}]", seen)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, child in node.value:
            line = key.start_mark.line + 1
            if key.tag not in _KEYS:
                written = f": write '{key.value}'" if isinstance(key, yaml.ScalarNode) else ""
                message = f"line {line}: a key must be text{written}"
                yield FieldError(path or DOCUMENT, message)
                continue
            place = f"{path}.{key.value}" if path else key.value
            if key.value in lines:
                yield FieldError(
                    place, f"is given twice, in lines {lines[key.value]} and {line}: keep one"
                )
            lines.setdefault(key.value, line)
            yield from _wrong_keys(child, place, seen)
