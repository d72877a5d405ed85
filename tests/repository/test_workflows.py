"""Workflows, templates and hooks of the repository: they say what their programs expect."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from cluster.binaries import prepare_tool
from cluster.layout import Layout

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_actionlint_finds_nothing() -> None:
    package = "github.com/rhysd/actionlint/cmd/actionlint"
    program = prepare_tool(Layout.from_environment(), "actionlint", package, "20 seconds")
    done = subprocess.run(
        [program, *WORKFLOWS], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    wrong = ROOT / "tests" / "repository" / "wrong-workflow.yml"
    done = subprocess.run([program, wrong], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "undefined variable" in done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_calls_targets_that_there_are(path: Path) -> None:
    commands = [
        step["run"]
        for job in yaml.safe_load(path.read_text())["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]
    called = {
        word for command in commands if command.startswith("make ") for word in command.split()[1:]
    }
    assert called
    assert called <= TARGETS


def test_the_matrix_is_the_range_of_supported_pythons() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    versions = workflow["jobs"]["unit"]["strategy"]["matrix"]["python"]
    first, end = re.findall(r"3\.(\d+)", project["requires-python"])
    assert versions == [f"3.{minor}" for minor in range(int(first), int(end))]


def test_the_hooks_are_a_configuration_that_pre_commit_takes() -> None:
    command = [
        sys.executable,
        "-m",
        "pre_commit",
        "validate-config",
        str(ROOT / ".pre-commit-config.yaml"),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("name", ["bug.yml", "feature.yml"])
def test_a_template_asks_for_something_in_each_of_its_fields(name: str) -> None:
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / name).read_text())
    assert form["name"]
    assert form["description"]
    assert all(field["attributes"]["label"] for field in form["body"])
