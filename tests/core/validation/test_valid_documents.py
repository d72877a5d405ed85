"""Valid documents pass, here and on the server, and mean the same after a round trip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep.errors import FieldError, InvalidExperiment
from sparksweep_core.api import Experiment, ExperimentStatus, TrialCounts
from sparksweep_core.api.crd import structural_schema
from sparksweep_core.kubernetes_yaml import dump_yaml
from sparksweep_core.validation.document import parse_experiment, parse_yaml, read_experiment
from support.documents.server_rules import refusals
from support.documents.valid_documents import CHANGED, TEXTS
from support.hypothesis_profiles import examples

SCHEMA = structural_schema(Experiment)
VALID = {name: parse_yaml(text) for name, text in TEXTS.items()} | CHANGED


@pytest.mark.parametrize("document", VALID.values(), ids=VALID)
def test_a_valid_document_passes_here_and_on_the_server(document: dict[str, Any]) -> None:
    assert parse_experiment(document).metadata.name == document["metadata"]["name"]
    assert refusals(SCHEMA, document) == {"schema": [], "cel": []}


@pytest.mark.parametrize("document", VALID.values(), ids=VALID)
def test_an_experiment_is_the_same_after_a_round_trip(document: dict[str, Any]) -> None:
    experiment = parse_experiment(document)
    assert parse_experiment(experiment.to_dict()) == experiment
    assert parse_experiment(json.loads(experiment.to_json())) == experiment
    assert parse_experiment(parse_yaml(dump_yaml(experiment.to_dict()))) == experiment


@pytest.mark.parametrize("document", VALID.values(), ids=VALID)
def test_what_sparksweep_writes_is_what_the_server_takes(document: dict[str, Any]) -> None:
    written = parse_experiment(document).to_dict()
    assert refusals(SCHEMA, written) == {"schema": [], "cel": []}


def test_a_status_comes_back_as_it_was_written() -> None:
    experiment = parse_experiment(VALID["least"]).model_copy(
        update={
            "status": ExperimentStatus(state="Running", trials=TrialCounts(created=1, running=1))
        }
    )
    assert parse_experiment(experiment.to_dict()) == experiment


def test_a_file_is_read_as_its_text(tmp_path: Path) -> None:
    path = tmp_path / "least.yaml"
    path.write_text(TEXTS["least"], encoding="utf-8")
    assert read_experiment(path) == parse_experiment(VALID["least"])


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"kind: \xff\xfe")
    with pytest.raises(InvalidExperiment, match="not UTF-8 text: byte 6 is 0xff"):
        read_experiment(path)


def json_values() -> st.SearchStrategy[Any]:
    """JSON values as a user might put them in the wrong place."""
    scalars = (
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
        | st.sampled_from(["0.1", "1", "grid", "${trialParameters.lr}", "a:b", "1e999"])
    )  # fmt: skip
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=5,
    )


def places(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Every place in a document."""
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


PLACES = [
    (name, place)
    for name in ("katib-grid", "evolution", "pod")
    for place in places(VALID[name])
    if place
]


@examples(600)
@given(place=st.sampled_from(PLACES), value=json_values())
def test_any_value_anywhere_is_taken_or_refused_with_findings(
    place: tuple[str, tuple[Any, ...]], value: Any
) -> None:
    """And never ends in another exception; what is taken survives a round trip, and the server takes it too."""
    name, keys = place
    document = json.loads(json.dumps(VALID[name]))
    here = document
    for key in keys[:-1]:
        here = here[key]
    here[keys[-1]] = value
    outcome = parsed(document)
    if isinstance(outcome, Experiment):
        assert parse_experiment(outcome.to_dict()) == outcome
        assert refusals(SCHEMA, document) == {"schema": [], "cel": []}
    else:
        assert outcome
        assert all(error.path and error.message for error in outcome)
        assert len(set(outcome)) == len(outcome)


def parsed(document: object) -> Experiment | tuple[FieldError, ...]:
    try:
        return parse_experiment(document)
    except InvalidExperiment as refused:
        return refused.errors
