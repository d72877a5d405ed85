"""Rules about imports that import-linter's contracts (`make layers`) can't express."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core" / "sparksweep_core"
FOR_TRIALS = (
    "contract.environment",
    "contract.line_formats",
    "contract.run_layout",
    "metric_names",
)
"""Modules of the core that training code imports, in the trial's process."""


@pytest.mark.parametrize("module", ["context", "hdfs", "tensorboard"])
def test_what_training_code_imports_needs_the_standard_library_only(module: str) -> None:
    """A trial's process must get its log directory without the cost of other imports."""
    source = (ROOT / "sdk" / "sparksweep" / f"{module}.py").read_text()
    core = {name for name in imported_modules(source) if name.startswith("sparksweep_core.")}
    assert core <= {f"sparksweep_core.{name}" for name in FOR_TRIALS}
    assert imported_packages(source) - {"sparksweep_core"} <= sys.stdlib_module_names


@pytest.mark.parametrize("module", FOR_TRIALS)
def test_what_trials_know_of_the_core_needs_the_standard_library_only(module: str) -> None:
    source = (CORE / f"{module.replace('.', '/')}.py").read_text()
    core = {name for name in imported_modules(source) if name.startswith("sparksweep_core.")}
    assert core <= {f"sparksweep_core.{name}" for name in FOR_TRIALS}
    assert imported_packages(source) - {"sparksweep_core"} <= sys.stdlib_module_names
    for package in (CORE / "contract", CORE):
        assert imported_packages((package / "__init__.py").read_text()) == set()


def test_a_process_that_imports_what_training_code_does_has_loaded_nothing_else() -> None:
    code = (
        "import sys, sparksweep.context, sparksweep.hdfs, sparksweep.shipped, sparksweep.tensorboard;"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    # Without site-packages' own start-up code.
    paths = ":".join(str(ROOT / root) for root in ("core", "sdk"))
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = set(done.stdout.split()) - {"__main__"}
    assert loaded - sys.stdlib_module_names == {"sparksweep", "sparksweep_core"}


def test_the_core_needs_pydantic_and_pyyaml_only() -> None:
    imported = {
        name
        for path in (ROOT / "core").rglob("*.py")
        for name in imported_packages(path.read_text())
    }
    # pydantic's own other half, for the type of its errors.
    allowed = {"sparksweep_core", "pydantic", "pydantic_core", "yaml"}
    assert allowed <= imported
    assert imported - allowed <= sys.stdlib_module_names


def test_relative_and_nested_imports_count_as_imports() -> None:
    source = (
        "def f():\n    import yaml.reader\n    from . import api\nfrom rich.table import Table\n"
    )
    assert imported_packages(source) == {"yaml", ".", "rich"}


def imported_packages(source: str) -> set[str]:
    packages = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            packages |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            packages.add("." if node.level else (node.module or "").split(".")[0])
    return packages


def imported_modules(source: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(source)))
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return modules | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
