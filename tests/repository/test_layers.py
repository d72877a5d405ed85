"""Which package may import which: import-linter's contracts, and what they can't express."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_every_contract_in_pyproject_is_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache", "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", ["context", "tensorboard"])
def test_what_training_code_imports_needs_the_standard_library_only(module: str) -> None:
    """A trial's process must get its log directory without paying for anybody's imports."""
    source = (ROOT / "sdk" / "sparksweep" / f"{module}.py").read_text()
    assert imported_packages(source) <= sys.stdlib_module_names


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
