"""``trialTemplate.preload``: absent, empty and a list are three things, in every form that a document takes."""

from __future__ import annotations

from typing import Any

import pytest

from sparksweep_core.api import Experiment, TrialTemplate
from sparksweep_core.api.crd import structural_schema
from sparksweep_core.contract.program import Program
from sparksweep_core.errors import FieldError
from sparksweep_core.kubernetes_yaml import dump_yaml, parse_yaml
from sparksweep_core.validation.document import parse_experiment
from sparksweep_core.validation.immutability import check_resume
from support.documents.experiments_for_checks import FUNCTION, changed

CASES: list[list[str] | None] = [None, [], ["numpy"], ["numpy", "sklearn.svm"]]


def made(preload: list[str] | None) -> Experiment:
    changes = {} if preload is None else {"spec.trialTemplate.preload": preload}
    return parse_experiment(changed(FUNCTION, changes))


@pytest.mark.parametrize("preload", CASES)
def test_it_survives_every_wire(preload: list[str] | None) -> None:
    experiment = made(preload)
    body = experiment.to_dict()
    assert body["spec"]["trialTemplate"].get("preload") == preload
    again = parse_experiment(parse_yaml(dump_yaml(body)))
    stored = Experiment.from_api(again.to_dict())
    program = Program(
        experiment="digits",
        parameters=stored.spec.parameters,
        trial_template=stored.spec.trial_template,
        trials_directory="/trials",
    )
    sent = Program.model_validate_json(program.to_json())
    assert sent.trial_template.preload == preload


def _property(name: str) -> dict[str, Any]:
    spec = structural_schema(Experiment)["properties"]["spec"]["properties"]
    found: dict[str, Any] = spec["trialTemplate"]["properties"][name]
    return found


def test_the_api_server_fills_in_nothing() -> None:
    assert "default" not in _property("preload")


def test_null_is_absence() -> None:
    assert TrialTemplate.from_api({"function": "a:b", "preload": None}).preload is None


@pytest.mark.parametrize("before", [None, []])
@pytest.mark.parametrize("after", [None, []])
def test_a_run_of_an_earlier_version_which_recorded_an_empty_list_goes_on(
    before: list[str] | None, after: list[str] | None
) -> None:
    assert check_resume(made(before), made(after), created=0) == []


@pytest.mark.parametrize(("before", "after"), [([], ["numpy"]), (["numpy"], None), (["numpy"], [])])
def test_another_list_is_another_experiment(
    before: list[str] | None, after: list[str] | None
) -> None:
    errors: list[FieldError] = check_resume(made(before), made(after), created=0)
    assert [error.path for error in errors] == ["spec.trialTemplate.preload"]
