"""The document that keyword arguments make, and findings before anything runs."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
import yaml

from sparksweep import Experiment, search
from sparksweep._builder import Request, unique_name
from sparksweep.errors import InvalidExperiment, SparksweepError
from sparksweep_core.validation.document import parse_experiment

SPACE = {"lr": search.log_uniform(1e-4, 0.1), "units": search.int_uniform(8, 64)}


def training(lr: float, units: int) -> float:
    return lr * units


def test_every_argument_is_in_the_document() -> None:
    document = Experiment(
        "train:training", SPACE, name="digits", algorithm="random", settings={"seed": 7}, objective="accuracy",
        direction="min", description="a try", parallel=2, max_trials=9, max_failed_trials=3, goal=0.1,
        metrics=["loss"], deadline_seconds=60, ttl_seconds=5, image="mine:1", cpu=2, memory="4Gi", gpus=1,
        gpu_resource="amd.com/gpu", node_selector={"zone": "a"}, tolerations=[{"operator": "Exists"}],
        env={"A": "1"}, timeout_seconds=30, max_retries=2, preload=["json"],
        template={"priorityClassName": "low"},
    ).to_dict()  # fmt: skip
    assert document["metadata"] == {
        "name": "digits",
        "annotations": {"sparksweep.dev/description": "a try"},
    }
    spec = document["spec"]
    assert spec["objective"] == {
        "type": "minimize", "objectiveMetricName": "accuracy", "goal": 0.1, "additionalMetricNames": ["loss"],
        "metricStrategies": [],
    }  # fmt: skip
    assert spec["algorithm"] == {
        "algorithmName": "random",
        "algorithmSettings": [{"name": "seed", "value": "7"}],
    }
    assert (spec["parallelTrialCount"], spec["maxTrialCount"], spec["maxFailedTrialCount"]) == (
        2,
        9,
        3,
    )
    assert (spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (60, 5)
    template = spec["trialTemplate"]
    assert (template["image"], template["function"]) == ("mine:1", "train:training")
    assert template["resources"] == {
        "cpu": "2", "memory": "4Gi", "gpu": {"count": 1, "resourceName": "amd.com/gpu"},
    }  # fmt: skip
    assert (template["nodeSelector"], template["env"]) == (
        {"zone": "a"},
        [{"name": "A", "value": "1"}],
    )
    assert (template["timeoutSeconds"], template["maxRetries"], template["preload"]) == (
        30,
        2,
        ["json"],
    )
    assert template["priorityClassName"] == "low"
    assert template["tolerations"][0]["operator"] == "Exists"


@pytest.mark.parametrize("preload", [None, [], ["json"]])
def test_no_preload_and_an_empty_one_differ(preload: list[str] | None) -> None:
    built = Experiment(training, SPACE, preload=preload)
    again = Experiment.from_yaml(built.to_yaml())
    assert built.spec.trial_template.preload == again.spec.trial_template.preload == preload


def test_yaml_is_what_it_was_built_from() -> None:
    built = Experiment(training, SPACE, max_trials=4)
    again = Experiment.from_yaml(built.to_yaml())
    assert again.to_dict() == built.to_dict()
    assert parse_experiment(yaml.safe_load(built.to_yaml())).spec == built.spec


def test_lists_make_a_grid_and_ranges_an_evolution() -> None:
    grid = Experiment("train:training", {"lr": [0.1, 0.2], "units": search.int_uniform(1, 3)})
    assert grid.spec.algorithm.algorithm_name == "grid"
    assert (
        Experiment("train:training", SPACE).spec.algorithm.algorithm_name
        == "differential-evolution"
    )


def test_few_trials_need_no_more_executors() -> None:
    assert Experiment("train:training", SPACE, max_trials=2).spec.parallel_trial_count == 2


def test_a_command_is_a_list_of_words() -> None:
    built = Experiment(["python", "-c", "print('metric=${trialParameters.lr}')"], {"lr": [0.1]})
    assert built.spec.trial_template.command == [
        "python",
        "-c",
        "print('metric=${trialParameters.lr}')",
    ]


@pytest.mark.parametrize(
    ("parameters", "options", "path", "message"),
    [
        ({}, {}, "parameters", "is empty"),
        ({"lr": 0.1}, {}, "parameters['lr']", "0.1 is not a list of values: write [0.1]"),
        ({"lr": []}, {}, "parameters['lr'].values", "is empty"),
        ({"lr": [0.1]}, {"parallel": 0}, "spec.parallelTrialCount", "0"),
        ({"lr": [0.1]}, {"memory": "4GB"}, "spec.trialTemplate.resources.memory", "4GB"),
        ({"lr": [0.1]}, {"algorithm": "bayesian"}, "spec.algorithm.algorithmName", "bayesian"),
        (
            {"lr": [0.1]},
            {"settings": {"sed": 1}},
            "spec.algorithm.algorithmSettings[0].name",
            "sed",
        ),
        ({"lr": [0.1]}, {"direction": "up"}, "direction", "'up' is neither"),
        ({"lr": [None]}, {}, "parameters['lr']", "None is neither a number nor text"),
        ({"lr": [0.1]}, {"name": "My Name"}, "metadata.name", "My Name"),
    ],
)
def test_what_is_wrong_is_named(
    parameters: Any, options: dict[str, Any], path: str, message: str
) -> None:
    with pytest.raises(InvalidExperiment) as caught:
        Experiment("train:training", parameters, **options)
    found = {error.path: error.message for error in caught.value.errors}
    assert path in found, found
    assert message in found[path]


def test_a_name_is_made_of_whatever_it_was_called() -> None:
    assert unique_name("My Grid!").startswith("my-grid-")
    assert unique_name("2nd try").startswith("x-2nd-try-")
    assert unique_name("<lambda>").startswith("lambda-")
    assert len(unique_name("a" * 100)) <= 40
    assert unique_name("a") != unique_name("a")


def test_what_was_not_submitted_can_not_be_waited_for() -> None:
    with pytest.raises(SparksweepError, match="call submit"):
        Experiment(training, SPACE).wait()


def test_as_html_it_says_what_it_is_and_escapes_what_it_holds() -> None:
    shown = Experiment(training, {**SPACE}, name="digits", objective="acc")._repr_html_()
    assert ">digits</b>" in shown
    assert "maximize acc" in shown
    command = Experiment(["sh", "-c", "echo metric=1 ${trialParameters.lr}"], {"lr": ["<b>", "c"]})
    assert "<td" in command._repr_html_()


def test_every_argument_is_described_where_users_read_of_it() -> None:
    text = Experiment.__init__.__doc__ or ""
    described = re.findall(r"^            (\w+): ", text.partition("Raises:")[0], re.MULTILINE)
    assert described == list(inspect.signature(Experiment).parameters)


def test_the_arguments_and_the_request_have_the_same_names_and_defaults() -> None:
    request = inspect.signature(Request).parameters.values()
    arguments = inspect.signature(Experiment).parameters.values()
    assert [(item.name, item.default, item.annotation) for item in arguments] == [
        (item.name, item.default, item.annotation.replace("Function", "Callable[..., object]"))
        for item in request
    ]
