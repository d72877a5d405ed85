"""YAML as ``kubectl`` reads it: text in, JSON values out, and back.

PyYAML's own rules for plain scalars differ from those of Kubernetes' Go library: ``1e-3`` is text to
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
"""Characters of a document, also after its aliases are expanded: more than etcd stores in one object."""

DOCUMENT = "document"
"""Path of a finding about the text as a whole."""

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
_KEPT_TAGS = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")


class _Loader(yaml.SafeLoader):
    """Loader that reads plain scalars by Kubernetes' rules."""


class _Dumper(yaml.SafeDumper):
    """Dumper that quotes text that Kubernetes' rules would read as another type."""

    def ignore_aliases(self, _: Any) -> bool:
        """Write every value out: anchors do not help a reader."""
        return True


def _use_kubernetes_rules(cls: type[_Loader] | type[_Dumper]) -> None:
    cls.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag in _KEPT_TAGS]
        for first, resolvers in cls.yaml_implicit_resolvers.items()
    }
    for name, pattern, first in _SCALARS:
        cls.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(pattern), list(first))


_use_kubernetes_rules(_Loader)
_use_kubernetes_rules(_Dumper)
# PyYAML knows no "y" and "n".
_Loader.bool_values = {**yaml.SafeLoader.bool_values, "y": True, "n": False}


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    if _LINE_BREAKS.search(text):
        # PyYAML would write these line breaks as they are, and read them back as spaces.
        style = '"'
    elif "\n" in text:
        # Code stays legible in a block. Text that no block can hold, such as a tab, PyYAML writes in quotes all the same.
        style = "|"
    else:
        style = None
    return dumper.represent_scalar(_TEXT, text, style=style)


_Dumper.add_representer(str, _represent_text)


def parse_yaml(text: str) -> dict[str, Any]:
    """Return the one mapping of the text, as JSON values.

    Raises:
        InvalidExperiment: with the line: not YAML, not a mapping, several documents, a repeated key, or too large.
    """
    return _parse(text, several=False)[0]


def parse_yaml_documents(text: str) -> list[dict[str, Any]]:
    """Return the mappings of the text, which are separated by ``---``, as JSON values.

    Raises:
        InvalidExperiment: with the line: not YAML, not mappings, a repeated key, or too large.
    """
    return _parse(text, several=True)


def _parse(text: str, *, several: bool) -> list[dict[str, Any]]:
    if len(text) > MAX_CHARACTERS:
        raise _invalid(f"has {len(text):,} characters, at most {MAX_CHARACTERS:,} are read")
    try:
        documents = _read(text, several=several)
    except yaml.MarkedYAMLError as error:
        raise _invalid(f"{_position(error.problem_mark)}{error.problem}") from error
    except yaml.YAMLError as error:
        raise _invalid(f"is not YAML: {error}") from error
    except RecursionError as error:
        raise _invalid("is nested too deeply") from error
    for document in documents:
        if not isinstance(document, dict):
            raise _invalid(
                f"is a {type(document).__name__}: an Experiment is a mapping of apiVersion, kind, metadata and spec"
            )
    return documents


def dump_yaml(document: Any) -> str:
    """Return JSON values as YAML that `parse_yaml` and ``kubectl`` read as the same values."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def _read(text: str, *, several: bool) -> list[Any]:
    loader = _Loader(text)
    nodes = _documents(loader)
    if len(nodes) > 1 and not several:
        line = nodes[1].start_mark.line + 1
        raise _invalid(
            f"line {line}: a second document; put each Experiment into a file of its own"
        )
    for node in nodes:
        if _expanded_size(node, {}) > MAX_CHARACTERS:
            raise _invalid(f"its aliases expand to more than {MAX_CHARACTERS:,} characters")
        wrong_keys = list(_wrong_keys(node, "", set()))
        if wrong_keys:
            raise InvalidExperiment(wrong_keys)
    try:
        return [loader.construct_document(node) for node in nodes]
    except ValueError as error:
        # Python converts no more than 4,300 digits to an integer.
        raise _invalid(f"has a number that can't be read: {error}") from error


def _invalid(message: str) -> InvalidExperiment:
    return InvalidExperiment([FieldError(DOCUMENT, message)])


def _position(mark: yaml.Mark | None) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""


def _documents(loader: _Loader) -> list[yaml.Node]:
    documents: list[yaml.Node] = []
    while loader.check_node():
        node = loader.get_node()
        # "---" at the end begins an empty document.
        if node is not None and (node.value or not isinstance(node, yaml.ScalarNode)):
            documents.append(node)
    if not documents:
        raise _invalid("is empty")
    return documents


def _expanded_size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Count the characters of the node with every alias written out; of a node that contains itself, too many."""
    if id(node) in sizes:
        return sizes[id(node)]
    sizes[id(node)] = MAX_CHARACTERS + 1
    if isinstance(node, yaml.ScalarNode):
        size = len(node.value) + 1
    else:
        size = 1 + sum(_expanded_size(child, sizes) for child in _children(node))
    sizes[id(node)] = size
    return size


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    for child in node.value:
        if isinstance(child, tuple):
            yield from child
        else:
            yield child


def _wrong_keys(node: yaml.Node, path: str, visited: set[int]) -> Iterator[FieldError]:
    if id(node) in visited:
        return
    visited.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            yield from _wrong_keys(child, f"{path}[{index}]", visited)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, child in node.value:
            line = key.start_mark.line + 1
            if key.tag not in _KEYS:
                written = f": write '{key.value}'" if isinstance(key, yaml.ScalarNode) else ""
                message = f"line {line}: a key must be text{written}"
                yield FieldError(path or DOCUMENT, message)
                continue
            key_path = f"{path}.{key.value}" if path else key.value
            if key.value in lines:
                yield FieldError(
                    key_path, f"is given twice, in lines {lines[key.value]} and {line}: keep one"
                )
            lines.setdefault(key.value, line)
            yield from _wrong_keys(child, key_path, visited)
