"""The SDK's public modules, and the import paths that the documentation shows."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sparksweep
from sparksweep import errors

ROOT = Path(__file__).parents[2]

MODULES = {
    "api", "cli", "client", "context", "data", "errors", "experiment", "hdfs", "keras", "results", "search", "shipped", "tensorboard",
}  # fmt: skip
"""Modules that users, and the texts of shipped functions, import. All others begin with an underscore."""

PATHS = {
    "sparksweep": (
        "Client Experiment Result Trial __version__ report runs client context data errors experiment hdfs keras results search "
        "tensorboard api"
    ),
    "sparksweep.api": (
        "API_VERSION Algorithm AlgorithmName AlgorithmSetting BestTrial Condition ConditionType Distribution Experiment "
        "ExperimentMeta ExperimentReason ExperimentSpec ExperimentStatus FeasibleSpace Gpu ObjectMeta Objective "
        "ObjectiveType Parameter ParameterType RecentTrial Resources Source Stop Trial TrialBatch TrialBatchSpec "
        "TrialBatchStatus TrialCounts TrialParameter TrialReason TrialSpec TrialState TrialStatus TrialTemplate "
        "batch_name best_of count_states reaches_goal trials_of"
    ),
    "sparksweep.cli": "main",
    "sparksweep.client": "Client",
    "sparksweep.context": "attempt parameters report trial_directory trial_number",
    "sparksweep.data": "dataset path",
    "sparksweep.errors": (
        "ClusterError ClusterUnavailable ExperimentExists ExperimentFailed ExperimentNotFound ExperimentRefused FieldError "
        "Forbidden InvalidCall InvalidExperiment MissingDependency MissingFile RunDirectoryError RunInterrupted SparkNotStarted "
        "SparksweepError TrialNotFound UnknownArgument Unreadable UnreadableFile"
    ),
    "sparksweep.experiment": (
        "Direction LaunchResult differential_evolution evolutionary_search grid_search launch random_search"
    ),
    "sparksweep.hdfs": "project_path",
    "sparksweep.keras": "report_metrics",
    "sparksweep.results": "ReportedStep Result RunList RunSummary Trial Trials runs",
    "sparksweep.search": "Domain choice grid int_uniform log_normal log_uniform normal uniform",
    "sparksweep.shipped": "load",
    "sparksweep.tensorboard": "logdir",
}
"""By module, the names that programs may import from it. A name is never removed from here."""

NOT_MODULES = {"dev", "log", "yaml"}
"""Ends of names that are no modules: the API group sparksweep.dev, and files."""
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(path for path in (ROOT / "examples").iterdir() if path.is_file()),
]
IMPORT = re.compile(r"from (sparksweep[\w.]*) import (\([^)]*\)|[^\n`#;]*)")
AUTODOC = re.compile(r"^\.\. auto\w+:: .*$", re.MULTILINE)
DOTTED = re.compile(r"(?<![\w/.@-])sparksweep(?:\.[A-Za-z_]\w*)+")


def imports_in(text: str) -> set[tuple[str, str]]:
    """Return the modules and names of ``from sparksweep... import ...``."""
    return {
        (module, item.split(" as ")[0].strip())
        for module, items in IMPORT.findall(text)
        for item in items.strip("()").split(",")
        if item.strip()
    }


def dotted_names_in(text: str) -> set[str]:
    return {
        name
        for name in DOTTED.findall(IMPORT.sub("", text))
        if name.split(".")[1] not in NOT_MODULES
    }


def text_of(page: Path) -> str:
    if page.suffix != ".ipynb":
        return page.read_text()
    cells = json.loads(page.read_text())["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells)


def resolve(path: str) -> object:
    """Import the longest module of a dotted path, and return the attribute that the rest names."""
    value: object = sparksweep
    module = "sparksweep"
    for part in path.split(".")[1:]:
        try:
            value = getattr(value, part)
        except AttributeError:
            value = importlib.import_module(f"{module}.{part}")
        module += f".{part}"
    return value


def test_every_other_module_is_private() -> None:
    names = {info.name for info in pkgutil.iter_modules(sparksweep.__path__)} - {"__main__"}
    assert {name for name in names if not name.startswith("_")} == MODULES
    data = importlib.import_module("sparksweep.data")
    assert [i.name for i in pkgutil.iter_modules(data.__path__) if not i.name.startswith("_")] == []
    assert set(PATHS) == {"sparksweep", *(f"sparksweep.{name}" for name in MODULES)}


@pytest.mark.parametrize("module", sorted(PATHS))
def test_a_public_name_can_be_imported(module: str) -> None:
    namespace: dict[str, object] = {}
    exec(f"from {module} import {', '.join(PATHS[module].split())}", namespace)
    assert set(PATHS[module].split()) <= set(namespace)


@pytest.mark.parametrize("module", sorted(PATHS))
def test_a_name_in_all_is_in_the_table(module: str) -> None:
    offered = set(getattr(importlib.import_module(module), "__all__", ()))
    assert offered - {"cli"} <= set(PATHS[module].split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_imports_is_public(page: Path) -> None:
    text = text_of(page)
    for module, name in imports_in(text):
        assert name in PATHS[module].split(), f"from {module} import {name}"
    for name in dotted_names_in(text):
        assert resolve(name) is not None
    # Sphinx finds a class by the module that defines it, which readers do not import.
    for name in dotted_names_in(AUTODOC.sub("", text)):
        assert not any(part.startswith("_") for part in name.split(".")), name


def test_imports_are_recognised_in_any_text() -> None:
    text = (
        "`from sparksweep import a, b as c` from sparksweep.x import (\n    d,\n    e,\n)\n"
        "see sparksweep.client.Client, sparksweep.dev/v1 and sparksweep.log"
    )
    assert imports_in(text) == {
        ("sparksweep", "a"), ("sparksweep", "b"), ("sparksweep.x", "d"), ("sparksweep.x", "e"),
    }  # fmt: skip
    assert dotted_names_in(text) == {"sparksweep.client.Client"}
    assert any(imports_in(text_of(page)) for page in PAGES)


@pytest.mark.parametrize("name", errors.__all__)
def test_a_traceback_names_the_module_that_an_error_is_imported_from(name: str) -> None:
    assert getattr(errors, name).__module__ == "sparksweep.errors"


def test_the_package_shows_its_names_and_imports_nothing_heavy() -> None:
    program = (
        "import sys, sparksweep\n"
        "assert set(sparksweep.__all__) <= set(dir(sparksweep)), dir(sparksweep)\n"
        "assert sparksweep.__version__.count('.') == 2\n"
        "from sparksweep import *\n"
        "assert Experiment and Client and Result and search and experiment and errors and context\n"
        "heavy = {'pandas', 'pyspark', 'kubernetes', 'numpy', 'pyarrow', 'tensorflow'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
