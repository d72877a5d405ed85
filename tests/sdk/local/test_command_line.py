"""The command line: exit codes, standard output, and findings."""

import json
from pathlib import Path

import pytest
import yaml

from support.sdk.commands import EXPERIMENTS, Finished, sparksweep

GOOD = EXPERIMENTS / "negative.yaml"


def changed(tmp_path: Path, **changes: object) -> Path:
    """Write a copy of a valid experiment with other values at dotted paths of its spec."""
    document = yaml.safe_load(GOOD.read_text())
    for path, value in changes.items():
        *way, last = path.split("__")
        node = document["spec"]
        for key in way:
            node = node[key]
        node[last] = value
    file = tmp_path / "experiment.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


def refused(done: Finished, *texts: str) -> None:
    assert done.code == 2, done
    assert done.stdout == ""
    for text in texts:
        assert text in done.stderr


def test_validate_says_what_will_run() -> None:
    done = sparksweep("validate", GOOD)
    assert done.code == 0
    assert "negative is valid" in done.stdout
    assert "8 trials" in done.stdout


def test_validate_prints_every_finding_with_its_path(tmp_path: Path) -> None:
    file = changed(
        tmp_path,
        parallelTrialCount=0,
        objective={"type": "up", "objectiveMetricName": "minus_loss"},
        surprise=1,
    )
    done = sparksweep("validate", file)
    refused(done, "spec.parallelTrialCount", "spec.objective.type", "spec.surprise")


def test_repeated_grid_values_are_refused(tmp_path: Path) -> None:
    repeated = [
        {
            "name": "lr",
            "parameterType": "discrete",
            "feasibleSpace": {"list": ["0.1", "0.2", "0.10"]},
        },
        {"name": "layers", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "2"}},
    ]
    refused(sparksweep("run", changed(tmp_path, parameters=repeated)), "0.10", "list")


def test_a_file_that_is_not_yaml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text("spec: [unclosed")
    refused(sparksweep("run", file), "experiment.yaml")


def test_render_fills_in_defaults_and_enumerates_trials() -> None:
    done = sparksweep("render", GOOD, "--trials", "3")
    assert done.code == 0
    experiment, trials = yaml.safe_load_all(done.stdout)
    assert experiment["spec"]["trialTemplate"]["resources"]["memory"] == "2Gi"
    assert [trial["number"] for trial in trials["trials"]] == [1, 2, 3]
    assert trials["trials"][1]["parameters"] == {"lr": "0", "layers": "2"}


def test_render_prints_the_same_as_json() -> None:
    lines = sparksweep("render", GOOD, "--trials", "3", "-o", "json").stdout.splitlines()
    assert [json.loads(line) for line in lines] == list(
        yaml.safe_load_all(sparksweep("render", GOOD, "--trials", "3").stdout)
    )
    refused(sparksweep("render", GOOD, "-o", "table"), "'table' is not one of 'yaml', 'json'")


def test_a_rendered_experiment_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "rendered.yaml"
    file.write_text(sparksweep("render", GOOD).stdout)
    assert sparksweep("validate", file).code == 0


def test_what_a_local_run_can_not_do_is_refused_before_anything_starts(tmp_path: Path) -> None:
    file = changed(tmp_path, suspend=True)
    refused(sparksweep("run", file, "--dir", tmp_path / "run"), "spec.suspend")
    assert not (tmp_path / "run").exists()


def test_a_directory_in_use_by_something_else_is_refused(tmp_path: Path) -> None:
    refused(sparksweep("run", GOOD, "--dir", tmp_path.parent), "name another directory with --dir")


@pytest.mark.parametrize("command", ["trials", "best"])
def test_what_is_no_run_directory_is_refused(tmp_path: Path, command: str) -> None:
    refused(sparksweep(command, tmp_path), "is not a run directory")


@pytest.mark.spark
def test_a_function_that_can_not_take_the_parameters_is_refused_before_any_trial(
    tmp_path: Path,
) -> None:
    # Decorated, so that only importing it shows what it takes.
    source = (
        "import functools\n"
        "def traced(function):\n"
        "    @functools.wraps(function)\n"
        "    def call(*args, **kwargs):\n"
        "        return function(*args, **kwargs)\n"
        "    return call\n"
        "@traced\n"
        "def training(learning_rate, layers):\n"
        "    return 0.5\n"
    )
    file = changed(tmp_path, trialTemplate__source={"inline": source})
    done = sparksweep("run", file, "--dir", tmp_path / "run", "-o", "json")
    assert done.code == 2, done.stderr
    status = done.document["status"]
    assert status["trials"]["created"] == status["trials"]["stopped"]
    failed = next(c for c in status["conditions"] if c["type"] == "Failed")
    assert failed["reason"] == "FunctionRefused"
    assert "learning_rate" in failed["message"]
    assert "lr" in failed["message"]
    # TensorBoard's file of the experiment is no trial's.
    assert [path for path in (tmp_path / "run" / "trials").iterdir() if path.is_dir()] == []


@pytest.mark.spark
def test_a_run_prints_its_table_best_trial_and_where_the_files_are(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    done = sparksweep("run", GOOD, "--dir", directory)
    assert done.code == 0, done.stderr
    assert "SearchSpaceExhausted" in done.stdout
    assert "Best trial 3: minus_loss=-1.1" in done.stdout
    assert str(directory) in done.stdout
    assert done.stderr.splitlines()[-1] == "8/8 trials, 2 failed, best minus_loss=-1.1 (trial 3)"
    best = sparksweep("best", directory)
    assert best.code == 0
    assert "parameters.lr: 0.1" in best.stdout
    recorded = yaml.safe_load((directory / "experiment.yaml").read_text())
    assert recorded["status"]["state"] == "Complete"
