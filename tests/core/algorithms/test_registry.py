"""Each algorithm is in every place that CONTRIBUTING's "Adding an algorithm" lists, as far as a machine can see."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from sparksweep_core.algorithms import create
from sparksweep_core.algorithms.base import Algorithm
from sparksweep_core.algorithms.differential_evolution.algorithm import DifferentialEvolution
from sparksweep_core.api import AlgorithmName
from sparksweep_core.api.algorithm_settings import SETTINGS, EvolutionStrategy
from support.algorithms.search_spaces import double, integer, spec_of

ROOT = Path(__file__).parents[3]
TABLE = (ROOT / "docs/quickstart.md").read_text()
CONTRACT = "AlgorithmContract"


def contract_names() -> set[str]:
    """Return the names of the algorithms that have a test class of the contract."""
    names: set[str] = set()
    for file in Path(__file__).parent.glob("test_*.py"):
        module = ast.parse(file.read_text())
        constants = assigned(module)
        for item in module.body:
            if isinstance(item, ast.ClassDef) and CONTRACT in map(ast.unparse, item.bases):
                name = assigned(item)["name"]
                names.add(constants.get(name, name))
    return names


def assigned(scope: ast.Module | ast.ClassDef) -> dict[str, str]:
    """Return the texts and names that are assigned to a name in a scope."""
    values: dict[str, str] = {}
    for item in scope.body:
        if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name):
            value = item.value
            text = value.value if isinstance(value, ast.Constant) else ast.unparse(value)
            values[item.targets[0].id] = str(text)
    return values


@pytest.mark.parametrize("name", AlgorithmName)
def test_an_algorithm_is_built_by_its_name(name: AlgorithmName) -> None:
    assert isinstance(create(spec_of([integer("x", 1, 3)], name)), Algorithm)


@pytest.mark.parametrize("name", AlgorithmName)
def test_an_algorithm_has_settings_a_contract_test_a_row_of_the_docs_and_an_example(
    name: AlgorithmName,
) -> None:
    assert name in SETTINGS
    assert name in contract_names(), f"no class Test...({CONTRACT}) has name = {name.value!r}"
    (row,) = re.findall(rf"^\| `{name.value}` \|.*$", TABLE, re.MULTILINE)
    for setting in SETTINGS[name]:
        assert f"`{setting}`" in row
    examples = "".join(file.read_text() for file in sorted((ROOT / "examples").glob("*.yaml")))
    assert re.search(rf"algorithmName: {name.value}\b", examples)


@pytest.mark.parametrize("strategy", EvolutionStrategy)
def test_models_advise_the_screened_strategy_alone(strategy: EvolutionStrategy) -> None:
    spec = spec_of([double("x", "0", "1")], "differential-evolution", strategy=strategy)
    algorithm = create(spec)
    assert isinstance(algorithm, DifferentialEvolution)
    assert (algorithm._advisor is not None) == (strategy is EvolutionStrategy.SCREENED)


def test_the_guide_names_files_that_exist() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    section = guide.split("\n## Adding an algorithm\n")[1].split("\n## ")[0]
    paths = re.findall(r"`((?:core|tests|docs|examples|sdk)/[^` <>]*|CHANGELOG\.md)`", section)
    assert len(paths) > 8
    assert [path for path in paths if not (ROOT / path).exists()] == []
