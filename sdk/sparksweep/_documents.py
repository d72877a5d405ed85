"""Reads an Experiment from YAML: a file or text, alone or with the ConfigMap that holds its function's code."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from sparksweep._builder import Built, StoredCode, function_map_name
from sparksweep._plain_values import invalid, shown
from sparksweep._shipping import MODULE
from sparksweep._values import values_of
from sparksweep.errors import FieldError, InvalidExperiment, MissingFile, UnreadableFile
from sparksweep_core.kubernetes_yaml import DOCUMENT, parse_yaml_documents
from sparksweep_core.validation.document import Check, nothing_more, parse_experiment


def read_source(source: object, also: Check = nothing_more) -> Built:
    """Return the Experiment of a file's path, of YAML as text, or of an open file.

    Args:
        source: Where it is.
        also: A further check, whose findings are listed with the others.

    Raises:
        InvalidExperiment: It is not valid; the error lists every finding.
        MissingFile: There is no such file.
        UnreadableFile: The file can't be read.
    """
    if isinstance(source, str) and _is_yaml(source):
        return _read(source, None, also)
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        if isinstance(path, str):
            return _read_file(Path(path), also)
    if hasattr(source, "read"):
        text = source.read()
        name = getattr(source, "name", None)
        home = Path(name).absolute().parent if isinstance(name, str) else None
        return _read(text.decode() if isinstance(text, bytes) else str(text), home, also)
    raise invalid("source", f"{shown(source)} is neither the path of a file nor YAML as text")


def _is_yaml(text: str) -> bool:
    """Return True for text that is no path: of several lines, or a mapping on one line."""
    if "\n" in text:
        return True
    is_mapping = ": " in text or text.endswith(":") or text.lstrip().startswith("{")
    return is_mapping and not os.path.exists(text)


def _read_file(given: Path, also: Check) -> Built:
    path = given.expanduser() if str(given).startswith("~") else given
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError as error:
        raise MissingFile([FieldError(str(given), _missing(path))]) from error
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}"
        raise UnreadableFile([FieldError(str(given), message)]) from error
    except IsADirectoryError as error:
        raise UnreadableFile([FieldError(str(given), _folder(path))]) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableFile([FieldError(shown(str(given)), f"can't be read: {reason}")]) from error
    return _read(text, path.absolute().parent, also)


def _missing(path: Path) -> str:
    if path.is_absolute():
        return "there is no such file"
    return f"there is no such file in {Path.cwd()}"


def _folder(path: Path) -> str:
    names = sorted(item.name for item in path.iterdir() if item.suffix in (".yaml", ".yml"))
    return f"is a directory: name a file in it{f', such as {names[0]}' if names else ''}"


def _read(text: str, home: Path | None, also: Check) -> Built:
    documents = parse_yaml_documents(text)
    maps = [item for item in documents if item.get("kind") == "ConfigMap"]
    others = [item for item in documents if item.get("kind") != "ConfigMap"]
    if len(others) != 1:
        message = f"has {len(others)} Experiments: put each into a file of its own"
        if not others:
            message = "has no Experiment, only a ConfigMap"
        raise InvalidExperiment([FieldError(DOCUMENT, message)])
    experiment = parse_experiment(others[0], also)
    built = Built(experiment, values=values_of(experiment), home=home)
    return _with_code(built, maps) if maps else built


def _with_code(built: Built, maps: list[dict[str, Any]]) -> Built:
    """Return the experiment with the code that its ConfigMap holds."""
    experiment = built.experiment
    name = function_map_name(experiment.metadata.name)
    source = experiment.spec.trial_template.source
    reference = None if source is None else source.config_map
    key = f"{MODULE}.py"
    data = [
        item.get("data", {}).get(key)
        for item in maps
        if _name(item) == name and isinstance(item.get("data"), dict)
    ]
    is_ours = reference is not None and (reference.name, reference.key) == (name, key)
    if not is_ours or [_name(item) for item in maps] != [name]:
        names = ", ".join(shown(_name(item)) for item in maps)
        message = (
            f"has the ConfigMap {names} beside the Experiment: only the one of a function that Experiment.to_yaml() wrote "
            f"is read, {name}; put others into a file of their own"
        )
        raise InvalidExperiment([FieldError(DOCUMENT, message)])
    if not data or not isinstance(data[0], str):
        message = f"the ConfigMap has no text under this key, which the Experiment refers to: {key}"
        raise InvalidExperiment([FieldError(f"data[{key!r}]", message)])
    template = experiment.spec.trial_template.model_copy(update={"source": None})
    spec = experiment.spec.model_copy(update={"trial_template": template})
    without = experiment.model_copy(update={"spec": spec})
    return replace(built, experiment=without, code=StoredCode(data[0]))


def _name(document: dict[str, Any]) -> object:
    metadata = document.get("metadata")
    return metadata.get("name") if isinstance(metadata, dict) else None
