"""Generator of ``crds/``: the CustomResourceDefinitions, from the types that the SDK and the operator use.

pydantic writes JSON Schema; Kubernetes requires a structural OpenAPI schema: no references, absent instead of null,
closed by pruning rather than by ``additionalProperties: false``. Run as ``python -m sparksweep_core.api.crd [--check] [DIR]``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparksweep_core.api.base import Model
from sparksweep_core.api.experiment import Experiment
from sparksweep_core.api.metadata import GROUP, VERSION
from sparksweep_core.api.trial_batch import TrialBatch
from sparksweep_core.kubernetes_yaml import dump_yaml

__all__ = ["KINDS", "Kind", "crd", "main", "render", "structural_schema"]

HEADER = "# Generated from core/sparksweep_core/api by `make crds`. Do not edit.\n"

MAX_TIMESTAMP = 64
"""Characters of a timestamp in RFC 3339, with room for any precision."""

_DROPPED = ("title", "$defs", "$ref", "const", "anyOf", "propertyNames", "patternProperties")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of the API, with its names and columns in ``kubectl``."""

    model: type[Model]
    plural: str
    short_name: str
    columns: tuple[dict[str, Any], ...]

    @property
    def name(self) -> str:
        """Name of the definition, and of its file."""
        return f"{self.plural}.{GROUP}"


def _column(name: str, path: str, kind: str = "string", *, wide: bool = False) -> dict[str, Any]:
    column = {"name": name, "type": kind, "jsonPath": path}
    return {**column, "priority": 1} if wide else column


_AGE = _column("Age", ".metadata.creationTimestamp", "date")

KINDS = (
    Kind(
        model=Experiment,
        plural="experiments",
        # Not "exp": Katib has experiments too, and a short name goes to one of the two.
        short_name="swx",
        columns=(
            _column("State", ".status.state"),
            _column("Trials", ".status.progress"),
            _column("Best", ".status.bestTrial.objective", "number"),
            _column("Algorithm", ".spec.algorithm.algorithmName"),
            _AGE,
            _column("Metric", ".spec.objective.objectiveMetricName", wide=True),
            _column("Parallel", ".spec.parallelTrialCount", "integer", wide=True),
            _column("Failed", ".status.trials.failed", "integer", wide=True),
        ),
    ),
    Kind(
        model=TrialBatch,
        plural="trialbatches",
        short_name="swb",
        columns=(
            _column("Experiment", ".spec.experiment"),
            _column("Trials", ".status.progress"),
            _column("Running", ".status.counts.running", "integer"),
            _column("Failed", ".status.counts.failed", "integer"),
            _AGE,
        ),
    ),
)


def crd(kind: Kind) -> dict[str, Any]:
    """Return the CustomResourceDefinition of a kind."""
    singular = kind.model.__name__.lower()
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.name},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.model.__name__,
                "listKind": f"{kind.model.__name__}List",
                "plural": kind.plural,
                "singular": singular,
                "shortNames": [kind.short_name],
                "categories": ["sparksweep"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": list(kind.columns),
                    "schema": {"openAPIV3Schema": structural_schema(kind.model)},
                }
            ],
        },
    }


def structural_schema(model: type[Model]) -> dict[str, Any]:
    """Return the structural schema of a kind's wire type."""
    generated = model.model_json_schema(by_alias=True)
    schema = _structural(generated, generated["$defs"])
    # The server has its own schema for these; of metadata it accepts rules about the name only.
    schema["properties"]["metadata"] = {"type": "object"}
    for name in ("apiVersion", "kind"):
        schema["properties"][name] = {
            key: schema["properties"][name][key] for key in ("type", "description")
        }
    return schema


def render(kind: Kind) -> str:
    """Return the text of a kind's file."""
    return HEADER + dump_yaml(crd(kind))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with ``--check`` name those that are out of date; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m sparksweep_core.api.crd", description=main.__doc__
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 if a file differs"
    )
    parser.add_argument("directory", nargs="?", type=Path, default=Path("crds"), metavar="DIR")
    options = parser.parse_args(arguments)
    texts = {options.directory / f"{kind.name}.yaml": render(kind) for kind in KINDS}
    if not options.check:
        options.directory.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
        return 0
    stale = [
        path
        for path, text in texts.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        sys.stderr.write(f"{path} is out of date: run make crds\n")
    return 1 if stale else 0


def _structural(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema with its references resolved, and without what Kubernetes refuses."""
    merged = _resolved(schema, definitions)
    result = {key: value for key, value in merged.items() if key not in _DROPPED}
    if "default" in result:
        result["default"] = _without_nulls(result["default"])
        if result["default"] is None:
            del result["default"]
    if "description" in result:
        result["description"] = " ".join(result["description"].replace("``", "`").split())
    if "const" in merged:
        result["enum"] = [merged["const"]]
    if result.get("format") == "date-time":
        result["maxLength"] = MAX_TIMESTAMP
    match result.get("type"):
        case "integer":
            small = (
                result.get("minimum", -(2**63)) >= -(2**31) and result.get("maximum", 2**63) < 2**31
            )
            result["format"] = "int32" if small else "int64"
        case "number":
            result["format"] = "double"
        case "array":
            result["items"] = _structural(result["items"], definitions)
        case "object" if "properties" in result:
            result.pop("additionalProperties", None)
            result["properties"] = {
                name: _structural(value, definitions)
                for name, value in result["properties"].items()
            }
        case "object":
            values = merged.get("additionalProperties") or next(
                iter(merged["patternProperties"].values())
            )
            result["additionalProperties"] = _structural(values, definitions)
    return {key: result[key] for key in sorted(result, key=_key_order)}


def _without_nulls(value: Any) -> Any:
    """Return a default as the server accepts it: with absent fields instead of nulls."""
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return value


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema merged with the one that it refers to; its own keys win."""
    if "$ref" in schema:
        target = definitions[schema["$ref"].rpartition("/")[2]]
        return {**_resolved(target, definitions), **schema}
    if "anyOf" in schema:
        # The types have no union but with None.
        (target,) = (item for item in schema["anyOf"] if item != {"type": "null"})
        return {**_resolved(target, definitions), **schema}
    return dict(schema)


_FIRST = ("description", "type", "format", "enum", "default", "pattern")
_LAST = ("required", "properties", "additionalProperties", "items", "x-kubernetes-validations")


def _key_order(key: str) -> tuple[int, str]:
    if key in _FIRST:
        return _FIRST.index(key), key
    if key in _LAST:
        return len(_FIRST) + 1 + _LAST.index(key), key
    return len(_FIRST), key


if __name__ == "__main__":
    sys.exit(main())
