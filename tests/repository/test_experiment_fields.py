"""Each field of an Experiment is in every place that CONTRIBUTING's "Adding a field to the Experiment" lists."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from sparksweep import Experiment
from sparksweep._builder import OPTIONS
from sparksweep_core import api
from sparksweep_core.api import ExperimentSpec, TrialTemplate
from sparksweep_core.api.base import Model
from sparksweep_core.api.crd import structural_schema
from sparksweep_core.kubernetes_yaml import parse_yaml
from sparksweep_core.validation.immutability import (
    IMMUTABLE,
    MUTABLE,
    MUTABLE_WHEN_FINISHED,
)
from support.documents.invalid_documents import INVALID
from support.documents.valid_documents import CHANGED, TEXTS

ROOT = Path(__file__).parents[2]

TEMPLATE = "spec.trialTemplate"

ARGUMENTS: dict[str, dict[str, Any]] = {
    "spec.objective": {"objective": "loss"},
    "spec.algorithm": {"algorithm": "random", "max_trials": 9},
    "spec.parameters": {"parameters": {"y": [1]}},
    "spec.parallelTrialCount": {"parallel": 2},
    "spec.maxTrialCount": {"max_trials": 9},
    "spec.maxFailedTrialCount": {"max_failed_trials": 1},
    "spec.activeDeadlineSeconds": {"deadline_seconds": 60},
    "spec.ttlSecondsAfterFinished": {"ttl_seconds": 60},
    "spec.tensorboard": {"tensorboard": False},
    "spec.storage": {"storage": {"sizeLimit": "20Gi"}},
    TEMPLATE: {"max_retries": 1},
    f"{TEMPLATE}.image": {"image": "registry.example/trainer:1"},
    f"{TEMPLATE}.function": {"run": "other:training"},
    f"{TEMPLATE}.command": {"run": ["python", "train.py", "${trialParameters.x}"]},
    f"{TEMPLATE}.source": {"run": lambda x: x},
    f"{TEMPLATE}.preload": {"preload": ["numpy"]},
    f"{TEMPLATE}.resources": {"cpu": 2, "memory": "4Gi", "gpus": 1, "gpu_resource": "amd.com/gpu"},
    f"{TEMPLATE}.nodeSelector": {"node_selector": {"pool": "gpu"}},
    f"{TEMPLATE}.tolerations": {"tolerations": [{"operator": "Exists"}]},
    f"{TEMPLATE}.env": {"env": {"A": "1"}},
    f"{TEMPLATE}.timeoutSeconds": {"timeout_seconds": 60},
    f"{TEMPLATE}.maxRetries": {"max_retries": 1},
    f"{TEMPLATE}.metricsFormat": {"run": ["train"], "metrics_format": "EqualsOrColon"},
}
"""Fields that an argument of `sparksweep.Experiment` sets, each with arguments that give it another value."""

DOCUMENT_ONLY = {
    "spec.suspend": "of an experiment that exists: Client.change(name, suspend=True)",
    f"{TEMPLATE}.imagePullPolicy": "of the pod: template={...}",
    f"{TEMPLATE}.imagePullSecrets": "of the pod: template={...}",
    f"{TEMPLATE}.priorityClassName": "of the pod: template={...}",
    f"{TEMPLATE}.affinity": "of the pod, and deep: template={...}",
    f"{TEMPLATE}.volumes": "of the pod, and deep: template={...}",
    f"{TEMPLATE}.trialParameters": "of Katib's commands; in Python a placeholder has its parameter's name",
    f"{TEMPLATE}.terminationGracePeriodSeconds": "rarely changed: template={...}",
}
"""Fields that no argument sets, with the reason and the way that remains."""

UNRELATED_OPTIONS = {
    "name": "metadata.name",
    "seed": "a setting of the algorithm",
    "description": "an annotation",
    "goal": "spec.objective.goal",
    "metrics": "spec.objective.additionalMetricNames",
    "template": "any field of spec.trialTemplate",
}
"""Options that are not listed above, and the fields that they set."""


def fields(model: type[Model], path: str) -> dict[str, str]:
    """Return the path of each field in a document, and its name in Python."""
    return {f"{path}.{field.alias}": name for name, field in model.model_fields.items()}


SPEC_FIELDS = fields(ExperimentSpec, "spec")
FIELDS = SPEC_FIELDS | fields(TrialTemplate, TEMPLATE)

each_field = pytest.mark.parametrize("path", FIELDS)


def value_at(document: dict[str, Any], path: str) -> object:
    here: Any = document
    for name in path.split("."):
        here = here.get(name) if isinstance(here, dict) else None
    return here


@each_field
def test_a_field_is_set_by_an_argument_or_left_to_the_document_for_a_reason(path: str) -> None:
    assert (path in ARGUMENTS) != (path in DOCUMENT_ONLY)


@pytest.mark.parametrize("path", ARGUMENTS)
def test_an_argument_sets_its_field(path: str) -> None:
    least: dict[str, Any] = {"run": "train:training", "parameters": {"x": [1, 2]}, "name": "a"}
    default = Experiment(**least).to_dict()
    assert value_at(Experiment(**{**least, **ARGUMENTS[path]}).to_dict(), path) != value_at(
        default, path
    )


def test_every_option_sets_a_field_that_is_listed() -> None:
    listed = {keyword for arguments in ARGUMENTS.values() for keyword in arguments}
    assert set(OPTIONS) - listed == UNRELATED_OPTIONS.keys()


def test_every_field_of_the_spec_either_may_change_or_may_not() -> None:
    assert sorted([*MUTABLE, *IMMUTABLE]) == sorted(
        path.removeprefix("spec.") for path in SPEC_FIELDS
    )
    assert set(MUTABLE_WHEN_FINISHED) <= set(MUTABLE)


def test_the_api_server_refuses_changes_of_the_fields_that_may_not_change() -> None:
    schema = structural_schema(api.Experiment)["properties"]["spec"]
    refused = [
        rule["fieldPath"].removeprefix(".")
        for rule in schema["x-kubernetes-validations"]
        if "oldSelf" in rule["rule"]
    ]
    assert sorted(refused) == sorted(IMMUTABLE)
    for name in MUTABLE:
        assert name in schema["description"], "kubectl explain lists the fields that may change"


@each_field
def test_a_mistake_in_a_field_is_among_the_invalid_documents(path: str) -> None:
    assert any(re.match(rf"{re.escape(path)}(?![A-Za-z])", row.path) for row in INVALID)


@each_field
def test_a_field_is_in_a_valid_document(path: str) -> None:
    documents = [*map(parse_yaml, TEXTS.values()), *CHANGED.values()]
    assert any(value_at(document, path) is not None for document in documents)


@each_field
def test_a_field_is_in_a_page_for_people_beside_the_reference(path: str) -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    text = "".join(page.read_text() for page in pages if page.name != "reference.md")
    assert re.search(rf"\b{path.rpartition('.')[2]}\b", text)


@pytest.fixture(scope="module")
def attributes() -> set[str]:
    """Return every attribute that the code reads, outside of the types and the checks."""
    core = ROOT / "core" / "sparksweep_core"
    folders = [core / "algorithms", core / "contract", core / "planner"]
    files = [core / "api" / "placeholders.py"]
    for folder in [*folders, ROOT / "operator", ROOT / "trainer_image", ROOT / "sdk"]:
        files += folder.rglob("*.py")
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    return {node.attr for node in nodes if isinstance(node, ast.Attribute)}


@each_field
def test_a_field_is_read_by_the_code(path: str, attributes: set[str]) -> None:
    assert FIELDS[path] in attributes
