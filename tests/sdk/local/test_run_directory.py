"""Run directories: made once, locked by one process, and refused if they hold something else."""

import subprocess
import sys
from pathlib import Path

import pytest

from sparksweep._local.run_directory import RunDirectory
from sparksweep.errors import RunDirectoryError


def test_an_existing_directory_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(RunDirectoryError, match=r"exists already.*--resume"):
        RunDirectory.create(tmp_path)


def test_an_empty_directory_may_be_used(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path)
    assert directory.trials.is_dir()
    directory.unlock()


def test_what_is_no_run_directory_can_not_be_opened(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="is not a run directory"):
        RunDirectory.open(tmp_path)


def test_two_processes_can_not_run_one_directory(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path / "run")
    program = (
        "import sys; from pathlib import Path; from sparksweep._local.run_directory import RunDirectory\n"
        "RunDirectory(Path(sys.argv[1])).lock()"
    )
    second = subprocess.run(
        [sys.executable, "-c", program, directory.path], capture_output=True, text=True, check=False
    )
    assert second.returncode == 1
    assert "is in use by process" in second.stderr
    directory.unlock()
    third = RunDirectory(directory.path)
    third.lock()
    third.unlock()


def test_a_directory_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunDirectoryError, match=r"file/run can't be made"):
        RunDirectory.create(tmp_path / "file" / "run")
