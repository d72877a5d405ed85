"""Environment of a trial, and the precedence of its sources."""

from __future__ import annotations

from typing import Any

from sparksweep_core.api import TrialTemplate
from sparksweep_trainer.slot.environment import server_environment


def environment(base: dict[str, str], *env: dict[str, Any]) -> dict[str, str]:
    template = TrialTemplate.model_validate({"function": "m:f", "env": list(env)})
    return server_environment(template, base=base, marker="1")


def from_secret(name: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": "tokens", "key": "a"}}}


def test_the_templates_value_wins_over_the_slots_and_over_ours() -> None:
    variables = environment(
        {"A": "slot", "B": "slot"},
        {"name": "A", "value": "template"},
        {"name": "OMP_NUM_THREADS", "value": "7"},
    )
    assert (variables["A"], variables["B"], variables["OMP_NUM_THREADS"]) == (
        "template",
        "slot",
        "7",
    )


def test_a_variable_from_a_secret_keeps_the_value_that_the_pod_has_set() -> None:
    base = {"TOKEN": "secret", "OMP_NUM_THREADS": "5"}
    variables = environment(base, from_secret("TOKEN"), from_secret("OMP_NUM_THREADS"))
    assert (variables["TOKEN"], variables["OMP_NUM_THREADS"]) == ("secret", "5")


def test_sparksweeps_own_variables_are_not_inherited_but_the_users_one_is() -> None:
    base = {"SPARKSWEEP_TRIAL_NUMBER": "3", "SPARKSWEEP_PROJECT_PATH": "/data"}
    variables = environment(base)
    assert "SPARKSWEEP_TRIAL_NUMBER" not in variables
    assert variables["SPARKSWEEP_PROJECT_PATH"] == "/data"


def test_an_optional_variable_that_the_pod_could_not_set_is_absent() -> None:
    assert "TOKEN" not in environment({}, from_secret("TOKEN"))
