"""The CRDs: structural, closed, documented, bounded, and what is in the repository is what the types say."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparksweep_core.api import Experiment, TrialBatch, limits
from sparksweep_core.api.crd import KINDS, Kind, crd, main, render, structural_schema
from support.documents.experiments_for_checks import FUNCTION, REMOVED, changed
from support.documents.server_rules import broken_rules, with_defaults

ROOT = Path(__file__).parents[3]

FORBIDDEN = {"$ref", "$defs", "title", "anyOf", "oneOf", "allOf", "const", "propertyNames", "patternProperties"}  # fmt: skip


def kind_name(kind: Kind) -> str:
    return kind.model.__name__


each_kind = pytest.mark.parametrize("kind", KINDS, ids=kind_name)


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in the schema, with its place."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        if name in schema:
            yield from nodes(schema[name], f"{path}[{name}]")


def schema_nodes(kind: Kind) -> list[tuple[str, dict[str, Any]]]:
    """All but what the server has its own schema for."""
    own = {".metadata", ".apiVersion", ".kind"}
    return [(path, node) for path, node in nodes(structural_schema(kind.model)) if path not in own]


@each_kind
def test_the_repositorys_file_is_what_the_types_say(kind: Kind) -> None:
    assert (ROOT / "crds" / f"{kind.name}.yaml").read_text() == render(kind)


def test_the_repository_has_no_crd_that_no_type_generates() -> None:
    assert {path.stem for path in (ROOT / "crds").iterdir()} == {kind.name for kind in KINDS}


@each_kind
def test_the_file_holds_the_definition_and_says_that_it_is_generated(kind: Kind) -> None:
    assert yaml.safe_load(render(kind)) == crd(kind)
    assert render(kind).startswith("# Generated from core/sparksweep_core/api by `make crds`.")


@each_kind
def test_the_schema_is_structural(kind: Kind) -> None:
    for path, node in schema_nodes(kind):
        assert "type" in node, path
        assert not FORBIDDEN & node.keys(), path
        assert not ("properties" in node and "additionalProperties" in node), path
        assert isinstance(node.get("additionalProperties", {}), dict), path


@each_kind
def test_everything_that_can_grow_has_a_bound(kind: Kind) -> None:
    for path, node in schema_nodes(kind):
        match node["type"]:
            case "string":
                assert "maxLength" in node or "enum" in node, path
            case "array":
                assert "maxItems" in node, path
            case "object" if "additionalProperties" in node:
                assert "maxProperties" in node, path
            case "integer" | "number":
                assert node["format"] in ("int32", "int64", "double"), path


@each_kind
def test_every_field_is_described(kind: Kind) -> None:
    for path, node in schema_nodes(kind):
        for name, child in node.get("properties", {}).items():
            if (path, name) != ("", "metadata"):
                assert child.get("description", "").strip(), f"{path}.{name}"


@each_kind
def test_lists_say_how_they_are_merged_and_their_keys_are_there(kind: Kind) -> None:
    for path, node in schema_nodes(kind):
        if node["type"] == "array":
            assert node["x-kubernetes-list-type"] in ("map", "set", "atomic"), path
            for key in node.get("x-kubernetes-list-map-keys", []):
                assert key in node["items"]["required"], path


@each_kind
def test_defaults_fit_their_own_schema_and_hold_no_null(kind: Kind) -> None:
    for path, node in schema_nodes(kind):
        if "default" in node:
            assert node["default"] is not None, path
            assert with_defaults(node, copy.deepcopy(node["default"])) == node["default"], path


@each_kind
def test_rules_name_fields_that_exist(kind: Kind) -> None:
    rules = [
        (path, node, rule)
        for path, node in schema_nodes(kind)
        for rule in node.get("x-kubernetes-validations", [])
    ]
    assert rules
    for path, node, rule in rules:
        assert rule["message"], path
        if "fieldPath" in rule:
            assert rule["fieldPath"].removeprefix(".") in node["properties"], path


@each_kind
def test_a_status_is_a_subresource_and_columns_point_at_fields(kind: Kind) -> None:
    (version,) = crd(kind)["spec"]["versions"]
    assert version["subresources"] == {"status": {}}
    schema = version["schema"]["openAPIV3Schema"]
    for column in version["additionalPrinterColumns"]:
        if column["name"] == "Age":
            continue
        here = schema
        for name in column["jsonPath"].removeprefix(".").split("."):
            here = here["properties"][name]
        assert here["type"] == column["type"], column


def test_the_columns_are_those_that_people_look_for() -> None:
    columns = {
        kind.model.__name__: [
            (column["name"], column.get("priority", 0))
            for column in crd(kind)["spec"]["versions"][0]["additionalPrinterColumns"]
        ]
        for kind in KINDS
    }
    assert columns == {
        "Experiment": [
            ("State", 0), ("Trials", 0), ("Best", 0), ("Algorithm", 0), ("Age", 0),
            ("Metric", 1), ("Parallel", 1), ("Failed", 1),
        ],
        "TrialBatch": [("Experiment", 0), ("Trials", 0), ("Running", 0), ("Failed", 0), ("Age", 0)],
    }  # fmt: skip


def test_the_names_do_not_take_katibs() -> None:
    names = {kind.model.__name__: crd(kind)["spec"]["names"] for kind in KINDS}
    assert names["Experiment"]["shortNames"] == ["swx"]
    assert names["TrialBatch"]["shortNames"] == ["swb"]
    assert all(value["categories"] == ["sparksweep"] for value in names.values())


def test_the_experiments_schema_says_what_the_types_say() -> None:
    spec = structural_schema(Experiment)["properties"]["spec"]["properties"]
    assert spec["parallelTrialCount"]["default"] == 3
    assert spec["parallelTrialCount"]["maximum"] == limits.PARALLEL_TRIALS
    assert spec["algorithm"]["properties"]["algorithmName"]["enum"] == [
        "grid", "random", "differential-evolution",
    ]  # fmt: skip
    assert spec["trialTemplate"]["properties"]["resources"]["default"] == {
        "cpu": "1", "memory": "2Gi", "gpu": {"count": 0, "resourceName": "nvidia.com/gpu"},
    }  # fmt: skip
    assert "default" not in spec["objective"]


def experiment_rules(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    schema = structural_schema(Experiment)
    before, after = (with_defaults(schema, copy.deepcopy(item)) for item in (old, new))
    return list(broken_rules(schema, after, before))


@pytest.mark.parametrize(
    "changes",
    [
        {"spec.parameters[0].feasibleSpace.max": "0.6"},
        {"spec.algorithm.algorithmName": "differential-evolution"},
        {"spec.objective.goal": 0.9},
        {"spec.objective": REMOVED},
        {"spec.trialTemplate.maxRetries": 3},
    ],
)
def test_the_search_can_not_be_changed(changes: dict[str, object]) -> None:
    assert experiment_rules(FUNCTION, changed(FUNCTION, changes)) == ["must not change"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"spec.parallelTrialCount": 5},
        {"spec.maxTrialCount": 20},
        {"spec.maxFailedTrialCount": 2},
        {"spec.suspend": True},
        {"spec.activeDeadlineSeconds": 60, "spec.ttlSecondsAfterFinished": 0},
        {"spec.trialTemplate.maxRetries": 0},
    ],
)
def test_the_counts_can_be_changed_and_a_default_can_be_written_out(
    changes: dict[str, object],
) -> None:
    assert experiment_rules(FUNCTION, changed(FUNCTION, changes)) == []


BATCH: dict[str, Any] = {
    "apiVersion": "sparksweep.dev/v1alpha1",
    "kind": "TrialBatch",
    "metadata": {"name": "digits-00000"},
    "spec": {
        "experiment": "digits",
        "index": 0,
        "trials": [{"number": 1, "parameters": {"lr": "0.1"}}],
    },
}


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({"spec.trials[1]": {"number": 2, "parameters": {"lr": "0.2"}}}, []),
        ({"spec.stop": {"reason": "GoalReached"}}, []),
        ({"spec.trials": []}, ["trials must not be removed"]),
        ({"spec.trials[0].number": 2}, ["trials must not be removed"]),
        ({"spec.trials[0].parameters": {"lr": "0.2"}}, ["a trial must not change"]),
        ({"spec.index": 1}, ["must not change"]),
        ({"spec.experiment": "other"}, ["must not change"]),
    ],
)
def test_a_batch_only_grows(changes: dict[str, object], broken: list[str]) -> None:
    schema = structural_schema(TrialBatch)
    assert list(broken_rules(schema, changed(BATCH, changes), BATCH)) == broken


def test_the_command_writes_what_it_then_finds_in_order(tmp_path: Path) -> None:
    directory = tmp_path / "crds"
    assert main(["--check", str(directory)]) == 1
    assert main([str(directory)]) == 0
    assert main(["--check", str(directory)]) == 0
    assert {path.name: path.read_text() for path in directory.iterdir()} == {
        f"{kind.name}.yaml": render(kind) for kind in KINDS
    }


def test_a_check_names_the_file_that_differs_and_leaves_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(tmp_path)])
    changed_file = tmp_path / f"{KINDS[1].name}.yaml"
    changed_file.write_text("changed")
    assert main(["--check", str(tmp_path)]) == 1
    assert changed_file.read_text() == "changed"
    assert capsys.readouterr().err == f"{changed_file} is out of date: run make crds\n"
