"""Consistency of the chart's files: generated ones are current, and every value is described and checked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from sparksweep_operator.__main__ import LOG_LEVELS

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "sparksweep"


def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    return found


def values() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return found


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    reference = part.get("$ref", "")
    return schema()["$defs"][reference.removeprefix("#/$defs/")] if reference else part


def objects(part: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Iterate over the schema's objects of fixed properties, with their paths."""
    part = resolved(part)
    if "properties" in part:
        yield path, part
        for name, inner in part["properties"].items():
            yield from objects(inner, f"{path}.{name}".lstrip("."))


def test_the_schema_takes_the_chart_s_own_values_and_is_a_schema_itself() -> None:
    jsonschema.Draft7Validator.check_schema(schema())
    jsonschema.Draft7Validator(schema()).validate(values())


def test_every_object_of_the_schema_is_closed_and_has_exactly_the_values_there_are() -> None:
    for path, part in objects(schema()):
        assert part["additionalProperties"] is False, path
        found: Any = values()
        for step in path.split(".") if path else []:
            found = found[step]
        if path in ("resources", "viewer.resources"):
            continue
        assert set(part["properties"]) - {"global"} == set(found), path


def test_the_levels_of_the_log_are_the_operator_s() -> None:
    assert tuple(schema()["properties"]["logLevel"]["enum"]) == LOG_LEVELS
    assert all(f"`{level}`" in (CHART / "values.yaml").read_text() for level in LOG_LEVELS)


def test_the_version_of_the_chart_is_the_project_s() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    pyproject = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{chart["version"]}"' in pyproject
    assert chart["appVersion"] == chart["version"]


def test_templates_ask_the_cluster_nothing_so_the_same_values_give_the_same_objects() -> None:
    for path in (CHART / "templates").rglob("*"):
        if path.is_file():
            assert not {"lookup", ".Capabilities"} & set(path.read_text().split()), path.name
