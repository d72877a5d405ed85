"""Imports that the start of a local run avoids."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.sdk.commands import EXPERIMENTS

PROGRAM = """\
import sys
from sparksweep.cli import main
from sparksweep_trainer.driver.spark import Driver

start = Driver._start_spark

def checked(self):
    context = start(self)
    print("pandas at start:", "pandas" in sys.modules)
    return context

Driver._start_spark = checked
main()
"""


@pytest.mark.spark
def test_starting_spark_imports_no_pandas_and_prints_no_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, "run", str(EXPERIMENTS / "goal.yaml")],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "pandas at start: False" in done.stdout
    assert "Warning" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "module",
    [
        "sparksweep.cli",
        "sparksweep.client",
        "sparksweep_operator.handlers",
        "sparksweep_trainer.kubernetes.application",
    ],
)
def test_what_a_program_imports_first_is_never_pandas(module: str) -> None:
    program = f"import sys, {module}; sys.exit('pandas' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
