"""scripts/test: two runs of pytest side by side, and what comes of both."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "test"

# Ends as a file says that is named after the run; the one beside goes on for a while after the other.
PYTEST = """#!/bin/sh
case "$2" in 'not control_plane'*) run=first ;; *) run=beside ;; esac
echo "$run begins: $*"
[ $run = first ] || sleep 0.5
echo "$run ends"
exit "$(cat $run)"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the script, and a pytest that runs nothing."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")
    program = tmp_path / ".venv" / "bin" / "pytest"
    program.parent.mkdir(parents=True)
    program.write_text(PYTEST)
    program.chmod(0o755)
    return tmp_path


def run(checkout: Path, first: int, beside: int) -> subprocess.CompletedProcess[str]:
    (checkout / "first").write_text(str(first))
    (checkout / "beside").write_text(str(beside))
    return subprocess.run(
        [checkout / "scripts" / "test", "-k", "some thing"],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("first", "beside", "expected"),
    [(0, 0, 0), (5, 0, 0), (0, 5, 0), (5, 5, 5), (1, 0, 1), (0, 1, 1), (5, 2, 1), (2, 5, 1)],
)
def test_it_passes_if_both_do_and_one_selects_something(
    checkout: Path, first: int, beside: int, expected: int
) -> None:
    assert run(checkout, first, beside).returncode == expected


def test_the_output_of_one_comes_after_the_others_and_nothing_is_left(checkout: Path) -> None:
    lines = run(checkout, 0, 0).stdout.splitlines()
    assert lines == [
        "first begins: -m not control_plane and not nodes -k some thing",
        "first ends",
        "beside begins: -m control_plane and not nodes -k some thing",
        "beside ends",
    ]
