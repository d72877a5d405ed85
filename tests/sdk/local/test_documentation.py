"""Examples of the documentation: every Experiment is valid, and those that need no framework run."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparksweep_core.validation.document import parse_experiment
from support.sdk.commands import sparksweep

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def experiments() -> list[tuple[str, str]]:
    blocks = [
        block
        for page in PAGES
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), flags=re.DOTALL)
    ]
    return [
        (yaml.safe_load(block)["metadata"]["name"], block)
        for block in blocks
        if "kind: Experiment" in block
    ]


@pytest.mark.parametrize(("name", "text"), experiments(), ids=[name for name, _ in experiments()])
def test_an_experiment_of_the_documentation_is_valid(name: str, text: str) -> None:
    assert parse_experiment(yaml.safe_load(text)).metadata.name == name


@pytest.mark.spark
@pytest.mark.parametrize(("name", "trials"), [("hello", 9), ("parabola", None)])
def test_an_experiment_of_the_documentation_runs(
    tmp_path: Path, name: str, trials: int | None
) -> None:
    file = tmp_path / f"{name}.yaml"
    file.write_text(dict(experiments())[name])
    done = sparksweep("run", file, "--dir", tmp_path / "run", "-o", "json")
    assert done.code == 0, done.stderr
    status = done.document["status"]
    assert status["bestTrial"]
    if trials is not None:
        assert status["trials"]["succeeded"] == trials


@pytest.mark.spark
def test_the_python_of_the_documentation_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPARKSWEEP_BACKEND", raising=False)
    page = (ROOT / "docs" / "python.md").read_text()
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(compile(block, "python.md", "exec"), namespace)
    assert namespace["best_params"] == {"learning_rate": 0.001, "dropout": 0.45}
    assert (
        namespace["again"].to_dict()
        == namespace["Experiment"].from_yaml(namespace["again"].to_yaml()).to_dict()
    )
    assert "name: digits" in capsys.readouterr().out
