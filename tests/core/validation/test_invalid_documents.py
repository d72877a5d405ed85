"""Every mistake is refused with the field's path and what would be right, and by the one who should notice it first."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sparksweep.errors import FieldError, InvalidExperiment
from sparksweep_core.api import Experiment
from sparksweep_core.api.crd import structural_schema
from sparksweep_core.validation.document import parse_experiment
from support.documents.experiments_for_checks import COMMAND, FUNCTION, REMOVED, changed
from support.documents.invalid_documents import INVALID, LR, TEMPLATE, Row
from support.documents.server_rules import refusals

SCHEMA = structural_schema(Experiment)


def errors_of(document: object) -> tuple[FieldError, ...]:
    with pytest.raises(InvalidExperiment) as caught:
        parse_experiment(document)
    return caught.value.errors


def row_id(row: Row) -> str:
    return row.id


def test_the_table_is_long_and_its_rows_have_names_of_their_own() -> None:
    assert len({row.id for row in INVALID}) == len(INVALID) > 150
    assert {row.caught_by for row in INVALID} == {"schema", "cel", "check"}


@pytest.mark.parametrize("base", [FUNCTION, COMMAND], ids=["function", "command"])
def test_the_documents_that_the_rows_change_are_valid_themselves(base: dict[str, Any]) -> None:
    parse_experiment(base)
    assert refusals(SCHEMA, base) == {"schema": [], "cel": []}


@pytest.mark.parametrize("row", INVALID, ids=row_id)
def test_one_mistake_is_one_finding_with_its_path_and_message(row: Row) -> None:
    (error,) = errors_of(row.document)
    assert error.path == row.path
    assert re.search(row.message, error.message), error.message


@pytest.mark.parametrize("row", INVALID, ids=row_id)
def test_the_server_refuses_what_it_can_and_takes_what_only_a_check_can_tell(row: Row) -> None:
    said = refusals(SCHEMA, row.document)
    assert {name for name, messages in said.items() if messages} == {row.caught_by} - {"check"}


def test_mistakes_in_every_block_are_found_at_once_and_told_in_the_documents_order() -> None:
    document = changed(
        FUNCTION,
        {
            "kind": "Experimnt",
            "metadata.name": "Digits",
            "spec.objective.additionalMetricNames": ["accuracy"],
            "spec.algorithm.algorithmSettings": [{"name": "sed", "value": "1"}],
            f"{LR}.min": 0.1,
            "spec.parameters[1].feasibleSpace.min": "1.5",
            "spec.parameters[2].feasibleSpace.list": ["1", "1.0"],
            "spec.parameters[3].name": "is",
            "spec.parallelTrialCount": 0,
            "spec.maxFailedTrialCount": -1,
            f"{TEMPLATE}.resources": {"cpu": "0"},
            "spec.resumePolicy": "Never",
        },
    )
    assert [error.path for error in errors_of(document)] == [
        "kind",
        "metadata.name",
        "spec.objective.additionalMetricNames[0]",
        "spec.algorithm.algorithmSettings[0].name",
        f"{LR}.min",
        "spec.parameters[1].feasibleSpace.min",
        "spec.parameters[2].feasibleSpace.list[1]",
        "spec.parameters[3].name",
        "spec.parallelTrialCount",
        "spec.trialTemplate.resources.cpu",
        "spec.maxFailedTrialCount",
        "spec.resumePolicy",
    ]


VOLUME = f"{TEMPLATE}.volumes[0]"
BESIDE: list[tuple[str, dict[str, Any], list[str]]] = [
    (
        "volume",
        {f"{TEMPLATE}.volumes": [{"name": "v", "mountPath": "/tmp/x", "hostPath": {"path": "/"}}]},
        [f"{VOLUME}.mountPath", f"{VOLUME}.hostPath"],
    ),
    (
        "volume of a wrong type",
        {f"{TEMPLATE}.volumes": [{"name": "spark-local-dir-1", "mountPath": "/var/data", "emptyDir": {"sizeLimit": "0"}, "readOnly": "yes"}]},
        [f"{VOLUME}.name", f"{VOLUME}.mountPath", f"{VOLUME}.emptyDir.sizeLimit", f"{VOLUME}.readOnly"],
    ),
    (
        "another volume",
        {f"{TEMPLATE}.volumes": [{"name": "v", "mountPath": "/a", "nfs": {}}, {"name": "v", "mountPath": "/tmp"}]},
        [f"{VOLUME}.nfs", f"{TEMPLATE}.volumes[1]", f"{TEMPLATE}.volumes[1].name", f"{TEMPLATE}.volumes[1].mountPath"],
    ),
    (
        "variable",
        {f"{TEMPLATE}.env": [{"name": "SPARKSWEEP_X", "value": 5}]},
        [f"{TEMPLATE}.env[0].name", f"{TEMPLATE}.env[0].value"],
    ),
    (
        "field of the template",
        {f"{TEMPLATE}.soruce": "x", f"{TEMPLATE}.priorityClassName": "system-node-critical"},
        [f"{TEMPLATE}.soruce", f"{TEMPLATE}.priorityClassName"],
    ),
    (
        "resources",
        {f"{TEMPLATE}.resources": {"cpu": "0", "gpu": "x"}},
        [f"{TEMPLATE}.resources.cpu", f"{TEMPLATE}.resources.gpu"],
    ),
    (
        "parameter",
        {"spec.parameters[1].name": "lr", "spec.parameters[1].unit": "s"},
        ["spec.parameters[1].name", "spec.parameters[1].unit"],
    ),
    (
        "objective",
        {"spec.objective.additionalMetricNames": ["accuracy"], "spec.objective.unit": "s"},
        ["spec.objective.additionalMetricNames[0]", "spec.objective.unit"],
    ),
    (
        "setting",
        {"spec.algorithm.algorithmSettings": [{"name": "sed", "value": "1", "unit": "s"}]},
        ["spec.algorithm.algorithmSettings[0].name", "spec.algorithm.algorithmSettings[0].unit"],
    ),
    (
        "field of the spec",
        {"spec.storage": {"uri": "ftp://host/a"}, "spec.unit": "s"},
        ["spec.storage.uri", "spec.unit"],
    ),
]  # fmt: skip
"""Changes of a valid document with an unknown field, or one of a wrong type, and other mistakes beside it."""


@pytest.mark.parametrize(("changes", "paths"), [row[1:] for row in BESIDE], ids=[row[0] for row in BESIDE])  # fmt: skip
def test_mistakes_beside_an_unknown_field_are_found_at_once(
    changes: dict[str, Any], paths: list[str]
) -> None:
    assert sorted(error.path for error in errors_of(changed(FUNCTION, changes))) == sorted(paths)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({f"{TEMPLATE}.volumes": [{"name": "v", "mountPath": "/a", "hostPath": {}}]}, f"{VOLUME}.hostPath"),
        ({f"{TEMPLATE}.function": REMOVED, f"{TEMPLATE}.comand": ["train"]}, f"{TEMPLATE}.comand"),
        ({f"{TEMPLATE}.tolerations": [{"ky": "gpu"}]}, f"{TEMPLATE}.tolerations[0].ky"),
        ({f"{LR}.stp": "1"}, f"{LR}.stp"),
    ],
)  # fmt: skip
def test_a_misspelt_field_is_not_missing_as_well(changes: dict[str, Any], path: str) -> None:
    assert [error.path for error in errors_of(changed(FUNCTION, changes))] == [path]


def test_nothing_is_concluded_from_what_could_not_be_read() -> None:
    """An unreadable maxTrialCount is no missing one, and a command is not compared with half of the parameters."""
    unreadable_end = changed(FUNCTION, {"spec.maxTrialCount": "ten"})
    assert [error.path for error in errors_of(unreadable_end)] == ["spec.maxTrialCount"]
    unreadable_goal = changed(
        FUNCTION, {"spec.maxTrialCount": REMOVED, "spec.objective.goal": "high"}
    )
    assert [error.path for error in errors_of(unreadable_goal)] == ["spec.objective.goal"]
    unreadable_parameter = changed(COMMAND, {f"{LR}.min": 0.1})
    assert [error.path for error in errors_of(unreadable_parameter)] == [f"{LR}.min"]
    unreadable_argument = changed(
        FUNCTION,
        {f"{LR}.min": 0.1, f"{TEMPLATE}.source.inline": "def training(lr): pass"},
    )
    assert [error.path for error in errors_of(unreadable_argument)] == [f"{LR}.min"]


@pytest.mark.parametrize("goal", [float("nan"), float("inf"), float("-inf"), 10**400])
def test_a_goal_must_be_finite(goal: float) -> None:
    (error,) = errors_of(changed(FUNCTION, {"spec.objective.goal": goal}))
    assert error.path == "spec.objective.goal"
    assert "finite" in error.message


@pytest.mark.parametrize("document", [None, [], "text", 3])
def test_what_is_no_mapping_is_refused(document: object) -> None:
    (error,) = errors_of(document)
    assert error.path == "document"


def test_a_value_that_json_can_not_carry_is_refused() -> None:
    (error,) = errors_of(changed(FUNCTION, {"metadata.labels": {"a": object()}}))
    assert error.path == "document"
    assert "not JSON" in error.message


def test_the_exception_prints_every_finding_on_a_line_of_its_own() -> None:
    document = changed(FUNCTION, {"spec.maxTrialCount": 0, "metadata.name": "A"})
    with pytest.raises(InvalidExperiment) as caught:
        parse_experiment(document)
    first, second = str(caught.value).splitlines()
    assert first.startswith("metadata.name: ")
    assert second == "spec.maxTrialCount: 0 is less than 1"
