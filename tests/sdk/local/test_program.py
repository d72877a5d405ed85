"""Fields of an Experiment that a local run ignores, and those that it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from sparksweep._local.program import check_local, ignored_locally
from sparksweep.errors import InvalidExperiment
from sparksweep_core.api import Experiment
from sparksweep_core.validation.document import parse_experiment


def experiment(**template: Any) -> Experiment:
    return parse_experiment(
        {
            "apiVersion": "sparksweep.dev/v1alpha1",
            "kind": "Experiment",
            "metadata": {"name": "a"},
            "spec": {
                "algorithm": {"algorithmName": "grid"},
                "parameters": [
                    {
                        "name": "x",
                        "parameterType": "categorical",
                        "feasibleSpace": {"list": ["a"]},
                    }
                ],
                "trialTemplate": dict[str, Any](function="m:f") | template,
            },
        }
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image", "trainer:1"),
        ("imagePullPolicy", "Always"),
        ("imagePullSecrets", [{"name": "registry"}]),
        ("nodeSelector", {"pool": "a"}),
        ("tolerations", [{"operator": "Exists"}]),
        ("affinity", {"nodeAffinity": {}}),
        ("priorityClassName", "batch"),
        ("volumes", [{"name": "a", "mountPath": "/mnt/a", "emptyDir": {}}]),
    ],
)
def test_a_field_that_only_a_cluster_uses_is_named_and_no_error(field: str, value: object) -> None:
    given = experiment(**{field: value})
    check_local(given)
    assert ignored_locally(given) == [f"spec.trialTemplate.{field}"]


def test_a_local_run_uses_every_other_field() -> None:
    given = experiment(env=[{"name": "A", "value": "1"}], resources={"cpu": "2"}, maxRetries=1)
    check_local(given)
    assert ignored_locally(given) == []


def test_a_variable_from_a_secret_is_refused_as_there_are_none() -> None:
    secret = {"secretKeyRef": {"name": "tokens", "key": "a", "optional": True}}
    given = experiment(env=[{"name": "A", "value": "1"}, {"name": "B", "valueFrom": secret}])
    with pytest.raises(InvalidExperiment) as caught:
        check_local(given)
    (error,) = caught.value.errors
    assert error.path == "spec.trialTemplate.env[1].valueFrom"
    assert "no Secrets and no ConfigMaps; remove it and set B in the shell" in error.message
