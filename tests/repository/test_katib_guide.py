"""The guide for those who come from Katib is right: its example files, before and after, and its table of fields."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparksweep.errors import InvalidExperiment
from sparksweep_core.validation.document import parse_experiment, read_experiment
from sparksweep_core.validation.katib_hints import KATIB_FIELDS
from support.trainer.trial_rig import Rig

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "katib.md").read_text()
ORIGINALS = Path(__file__).parent / "katib_examples"

EXAMPLES = ("grid", "random")
PROGRAM = """
    import argparse, logging

    parser = argparse.ArgumentParser()
    for name in ("epochs", "batch-size", "lr", "momentum"):
        parser.add_argument(f"--{name}", type=float)
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(levelname)-8s %(message)s", datefmt="%Y-%m-%dT%H:%M:%SZ", level=logging.DEBUG)
    for batch in (0, 160):
        logging.info(f"Train Epoch: 1 [{batch}/60000 ({batch / 600:.0f}%)]\\tloss={options.lr / (batch + 1):.4f}")
    logging.info("{metricName: accuracy, metricValue: 0.8000};{metricName: loss, metricValue: 0.6000}\\n")
"""
"""Writes to standard error through logging, as the program in the image of Katib's examples does."""


def migrated(name: str) -> dict[str, Any]:
    documents = [
        yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    ]
    (found,) = [document for document in documents if document["metadata"]["name"] == name]
    return dict(found)


def original(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((ORIGINALS / f"{name}.yaml").read_text()))


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_migrated_example_is_valid(name: str) -> None:
    parse_experiment(migrated(name))


@pytest.mark.parametrize("name", EXAMPLES)
def test_all_blocks_but_the_template_are_pasted_in_unchanged(name: str) -> None:
    before, after = original(name)["spec"], migrated(name)["spec"]
    assert {key: value for key, value in before.items() if key != "trialTemplate"} == {
        key: value for key, value in after.items() if key != "trialTemplate"
    }
    container = before["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]["containers"][0]
    assert after["trialTemplate"]["command"] == container["command"]
    assert after["trialTemplate"]["trialParameters"] == before["trialTemplate"]["trialParameters"]
    limits = container.get("resources", {}).get("limits")
    assert after["trialTemplate"].get("resources") == limits


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_original_is_told_what_to_do_about_each_field_that_is_different(name: str) -> None:
    with pytest.raises(InvalidExperiment) as refused:
        read_experiment(ORIGINALS / f"{name}.yaml")
    found = {error.path: str(error) for error in refused.value.errors}
    for field in ("trialSpec", "primaryContainerName"):
        path = f"spec.trialTemplate.{field}"
        assert KATIB_FIELDS[path] in found[path]
    assert not [path for path in found if path.startswith(("spec.objective", "spec.parameters"))]


@pytest.mark.parametrize("path", [path for path in KATIB_FIELDS if ".resources." not in path])
def test_every_field_that_has_no_like_here_is_in_the_table(path: str) -> None:
    name = path.rpartition(".")[2]
    rows = [line for line in GUIDE.splitlines() if line.startswith("|")]
    assert any(f"{name}`" in row for row in rows), name


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_trial_of_the_migrated_example_finds_its_metric(tmp_path: Path, name: str) -> None:
    spec = parse_experiment(migrated(name)).spec
    template = spec.trial_template
    command = [
        "${trialSource}" if word.endswith("mnist.py") else word for word in template.command or ()
    ]
    with Rig(
        tmp_path, PROGRAM, command=command, trial_parameters=template.trial_parameters,
        parameters={"lr": float, "momentum": float}, objective=spec.objective,
    ) as runs:  # fmt: skip
        assert runs.metrics(lr="0.0322", momentum="0.5") == {"loss": 0.0002}
        assert runs.log() == ""
