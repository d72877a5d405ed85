"""The two readings of every wire type: unknown fields are refused in documents, and ignored on every other wire."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from random import Random
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from pydantic import ValidationError

import sparksweep
import sparksweep_core
import sparksweep_operator
import sparksweep_trainer
from sparksweep_core.api import Condition, Experiment, TrialBatch, TrialStatus
from sparksweep_core.api.base import Model
from sparksweep_core.api.metadata import ObjectMeta
from sparksweep_core.api.trial_batch import Stop
from sparksweep_core.errors import Unreadable
from sparksweep_core.validation.reading import (
    VERSION_ANNOTATION,
    own_version,
    read_object,
    unknown_fields,
)
from sparksweep_trainer.protocol import (
    Chunk,
    Heartbeat,
    Outcome,
    Refusal,
    Report,
    SlotHello,
    SlotRef,
)
from support.documents.experiments_for_checks import FUNCTION
from support.wire_values import changed_objects, objects_in, wire_value

PACKAGES = (sparksweep_core, sparksweep_operator, sparksweep_trainer, sparksweep)
ROOTS = {package.__name__: Path(package.__path__[0]) for package in PACKAGES}
FRAMEWORKS = ("sparksweep.data._tensorflow_dataset", "sparksweep.keras")
"""Modules for training code that need a framework; none has a wire type."""

NEW = "fieldOfALaterVersion"

STRICT = {
    "sparksweep_core.api.base": "the two readings themselves",
    "sparksweep_core.history.trial_columns": "rows of batches that were read before",
    "sparksweep_core.validation.document": "documents of users",
    "sparksweep_core.validation.incomplete": "parts of users' documents, without their wrong fields",
    "sparksweep_core.validation.reading": "names of the unknown fields",
    "sparksweep_operator.batch_pages": "frames of lists and events, whose types ignore unknown fields, as their batches do",
}
"""Modules that may call pydantic's own validation."""

TOLERANT = {
    "sparksweep._backends.local": "messages of a local run's process",
    "sparksweep._kube.reading": "objects of the API server, for the SDK",
    "sparksweep._local.journal": "records of a run",
    "sparksweep._local.process": "the order for a local run",
    "sparksweep._local.record": "run.json",
    "sparksweep_core.history.records": "its own folded batches",
    "sparksweep_core.validation.document": "experiment.yaml of a run directory",
    "sparksweep_core.validation.reading": "objects and files of another version",
    "sparksweep_operator.cache": "TrialBatches, for the operator",
    "sparksweep_operator.driver_lifecycle": "the whole Experiment, for the code of a new driver",
    "sparksweep_operator.gateway.viewers": "single values of pods",
    "sparksweep_operator.reconciler": "Experiments, for the operator",
    "sparksweep_trainer.driver.trial_server": "requests of slots",
    "sparksweep_trainer.kubernetes.batches": "pages of TrialBatches, for the driver",
    "sparksweep_trainer.kubernetes.settings": "driver.json, program.json and their seal",
    "sparksweep_trainer.kubernetes.status_writer": "TrialBatches, for the driver",
    "sparksweep_trainer.slot.trial_client": "answers of the driver",
    "sparksweep_trainer.slot.trial_code": "the seal of the inline source",
}
"""Modules that read a wire type tolerantly, and the wire. A new one is added here, with a test of a newer writer."""


def _models() -> list[type[Model]]:
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name not in FRAMEWORKS and not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    found: dict[type[Model], None] = {}

    def visit(model: type[Model]) -> None:
        for child in model.__subclasses__():
            if child.__module__.partition(".")[0] in ROOTS:
                found[child] = None
            visit(child)

    visit(Model)
    return sorted(found, key=lambda model: model.__qualname__)


MODELS = _models()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@pytest.mark.parametrize("seed", range(8))
def test_unknown_fields_are_ignored_at_every_depth_and_all_values_are_kept(
    model: type[Model], seed: int
) -> None:
    document = wire_value(model, Random(seed))
    newer = changed_objects(document, lambda _: {NEW: {"a": [1, None]}})
    read = model.from_api(newer)
    assert read == model.from_api(document)
    assert NEW not in read.to_json()
    assert model.from_json(read.to_json()) == read, "what is read can be written and read again"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@pytest.mark.parametrize("seed", range(8))
def test_the_strict_reading_refuses_one_unknown_field_at_any_depth(
    model: type[Model], seed: int
) -> None:
    random = Random(seed)
    document = wire_value(model, random)
    # The API server writes fields of its own into metadata.
    closed = [item for item in objects_in(document) if not issubclass(item.model, ObjectMeta)]
    if not closed:
        return
    place = random.choice(closed)
    newer = changed_objects(document, lambda item: {NEW: 1} if item is place else {})
    with pytest.raises(ValidationError) as raised:
        model.model_validate_json(json.dumps(newer))
    assert "extra_forbidden" in {error["type"] for error in raised.value.errors()}


def _kinds(annotation: Any) -> set[Any]:
    """Return a field's type, or those of its union."""
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return set().union(*map(_kinds, get_args(annotation)))
    return {annotation}


def _with_each(model: type[Model], document: Any, kind: type, value: Any) -> Iterator[Any]:
    """Yield copies of a document in each of which one field of the model itself, of the kind, has another value."""
    for field in model.model_fields.values():
        if kind in _kinds(field.annotation):
            yield {**document, field.alias or "": value}


@pytest.mark.parametrize(
    "moment",
    ["2026-01-01T00:00:00", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", 0, "", "now"],
)
def test_a_time_that_can_be_neither_compared_nor_written_is_an_error_on_every_wire(
    moment: object,
) -> None:
    tried = 0
    for model in MODELS:
        for document in _with_each(model, wire_value(model, Random(0)), datetime, moment):
            tried += 1
            with pytest.raises(ValidationError):
                model.from_api(document)
    assert tried > 10


def test_the_error_of_a_time_says_what_it_lacks() -> None:
    document = {**wire_value(Condition, Random(0)), "lastTransitionTime": "2026-01-01T00:00:00"}
    with pytest.raises(Unreadable) as raised:
        read_object(Condition, document, "status")
    assert 'lastTransitionTime: "2026-01-01T00:00:00": has no time zone: end it with Z' in str(
        raised.value
    )


@pytest.mark.parametrize("number", [2**63, 10**30, 10**4000, -(2**63), True, 1.0, "1"])
def test_an_integer_that_the_api_server_does_not_store_is_refused_from_slots(
    number: object,
) -> None:
    """It would refuse the status of the whole batch, again and again."""
    tried = 0
    for model in (Report, Outcome, Chunk, Heartbeat, SlotHello, SlotRef, Refusal):
        for document in _with_each(model, wire_value(model, Random(0)), int, number):
            tried += 1
            with pytest.raises(ValidationError):
                model.from_api(document)
    assert tried > 10


def test_every_wire_type_is_tried() -> None:
    names = {model.__name__ for model in MODELS}
    assert {"Experiment", "TrialBatch", "Program", "DriverConfig", "NextOrder", "RunRecord", "RunMessage"} <= names  # fmt: skip


def _calls(names: set[str]) -> Iterator[str]:
    for package, root in ROOTS.items():
        for path in root.rglob("*.py"):
            tree = ast.parse(path.read_text())
            called = {
                node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
                for node in ast.walk(tree)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)
            }
            if called & names:
                parts = path.relative_to(root).with_suffix("").parts
                yield ".".join([package, *parts])


def test_only_documents_of_users_are_read_strictly() -> None:
    strict = {"model_validate", "model_validate_json", "model_validate_strings", "model_construct"}
    strict |= {"TypeAdapter", "validate_json", "validate_python", "parse_raw", "parse_obj"}
    assert set(_calls(strict)) == set(STRICT)


def test_every_tolerant_reading_is_listed_with_its_wire() -> None:
    # `Pod.from_api` picks single values from a dict.
    reading = set(_calls({"from_api", "from_json", "read_object", "read_json", "read_recorded"}))
    reading -= {
        "sparksweep._kube.sync_client",
        "sparksweep.client",
        "sparksweep._local.run_directory",
    }
    assert reading - set(STRICT) == set(TOLERANT) - set(STRICT)  # fmt: skip


# ---------------------------------------------------------------------- values of a later version

BATCH: dict[str, Any] = {
    "apiVersion": "sparksweep.dev/v1alpha1",
    "kind": "TrialBatch",
    "metadata": {"name": "digits-00000", "namespace": "lab"},
    "spec": {"experiment": "digits", "index": 0, "trials": [{"number": 1, "parameters": {}}]},
}


def test_an_unknown_reason_or_condition_is_kept_as_text() -> None:
    assert Stop.from_api({"reason": "QuotaSpent"}).reason == "QuotaSpent"
    assert TrialStatus.from_api({"number": 1, "reason": "Preempted"}).reason == "Preempted"
    condition = {
        "type": "Queued", "status": "True", "reason": "NoQuota", "lastTransitionTime": "2026-01-01T00:00:00Z"
    }  # fmt: skip
    assert Condition.from_api(condition).type == "Queued"
    moment = "2026-01-01T00:00:00Z"
    outcome = {
        "state": "Failed", "reason": "DiskFull", "startTime": moment, "completionTime": moment, "durationSeconds": 1
    }  # fmt: skip
    assert Outcome.from_api(outcome).reason == "DiskFull"


@pytest.mark.parametrize(
    ("change", "path", "value"),
    [
        pytest.param({"status": {"trials": [{"number": 1, "state": "EarlyStopped"}]}}, "status.trials[0].state", "EarlyStopped", id="state"),
        pytest.param({"apiVersion": "sparksweep.dev/v2"}, "apiVersion", "sparksweep.dev/v2", id="apiVersion"),
        pytest.param({"kind": "TrialSheet"}, "kind", "TrialSheet", id="kind"),
        pytest.param({"spec": {"experiment": "digits", "index": "one"}}, "spec.index", "one", id="type"),
        pytest.param({"spec": {"experiment": "digits"}}, "spec.index", "missing", id="missing"),
    ],
)  # fmt: skip
def test_a_value_that_is_not_understood_is_an_error_with_object_field_value_and_version(
    change: dict[str, Any], path: str, value: str
) -> None:
    with pytest.raises(Unreadable) as raised:
        read_object(TrialBatch, BATCH | change, "TrialBatch lab/digits-00000")
    text = str(raised.value)
    assert text.startswith("TrialBatch lab/digits-00000 can't be read by sparksweep")
    assert path in text
    assert value in text
    assert own_version() in text


def test_an_unknown_algorithm_is_an_error_that_names_it() -> None:
    document = json.loads(json.dumps(FUNCTION))
    document["spec"]["algorithm"]["algorithmName"] = "annealing"
    with pytest.raises(Unreadable, match=r'spec\.algorithm\.algorithmName: "annealing" is not'):
        read_object(Experiment, document, "Experiment lab/digits")


def test_the_error_names_the_version_that_wrote_the_object() -> None:
    metadata = {"name": "b", "annotations": {VERSION_ANNOTATION: "9.8.7"}}
    body = BATCH | {"metadata": metadata, "kind": "TrialSheet"}
    with pytest.raises(Unreadable, match=r"written by sparksweep 9\.8\.7: use that version"):
        read_object(TrialBatch, body, "it")


@pytest.mark.parametrize("body", [None, [], "text", 3, {}, {"metadata": None}, {"metadata": []}])
def test_whatever_is_no_object_is_unreadable_too(body: Any) -> None:
    with pytest.raises(Unreadable, match="it can't be read"):
        read_object(TrialBatch, body, "it")


def test_unknown_fields_are_named_by_their_paths() -> None:
    document = json.loads(json.dumps(FUNCTION))
    document["spec"]["earlyStopping"] = {"algorithmName": "medianstop"}
    document["spec"]["parameters"][0]["when"] = {}
    assert set(unknown_fields(Experiment, document)) == {
        "spec.earlyStopping", "spec.parameters[0].when"
    }  # fmt: skip
    assert unknown_fields(Experiment, FUNCTION) == []
