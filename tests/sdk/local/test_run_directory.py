"""Run directories: made once, locked by one process, and refused if they hold something else."""

import subprocess
import sys
from pathlib import Path

import pytest

from sparksweep._local.doors import Door
from sparksweep._local.program import local_program
from sparksweep._local.record import RunRecord
from sparksweep._local.run_directory import RunDirectory
from sparksweep.errors import RunDirectoryError
from sparksweep_core.contract.sealed_files import ChangedFile, sha256
from sparksweep_trainer.slot.trial_code import SealedCode
from support.sdk.run_directories import discrete, experiment_of, record_run


def test_an_existing_directory_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(
        RunDirectoryError, match=r"exists already: name another directory with --dir$"
    ):
        RunDirectory.create(tmp_path)
    with pytest.raises(RunDirectoryError, match=r"exists already: give another one as directory=$"):
        RunDirectory.create(tmp_path, door=Door.PYTHON)


def test_the_words_for_a_used_directory_are_those_of_its_user(tmp_path: Path) -> None:
    run = record_run(tmp_path / "run", experiment_of([discrete("x", ["1"])]), [{"x": "1"}])
    with pytest.raises(RunDirectoryError, match=r"or go on with sparksweep run --resume /"):
        RunDirectory.create(run)
    with pytest.raises(
        RunDirectoryError, match=r"or go on with Experiment\.open\('/.*'\)\.resume\(\)"
    ):
        RunDirectory.create(run, door=Door.PYTHON)
    directory = RunDirectory.open(run)
    directory.lock()
    for door, words in (
        (Door.PYTHON, r"Experiment\.open\("),
        (Door.COMMAND_LINE, "sparksweep trials"),
    ):
        with pytest.raises(RunDirectoryError, match=rf"is in use by process \d+: {words}"):
            RunDirectory.open(run).lock(door=door)
    directory.unlock()


def test_an_empty_directory_may_be_used(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path)
    assert directory.trials.is_dir()
    directory.unlock()


def test_what_is_no_run_directory_can_not_be_opened(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="is not a run directory"):
        RunDirectory.open(tmp_path)


def test_the_error_of_a_directory_of_runs_names_one_of_them(tmp_path: Path) -> None:
    for name in ("a", "digits"):
        (tmp_path / name).mkdir()
    (tmp_path / "digits" / "journal.jsonl").touch()
    (tmp_path / "digits" / "experiment.yaml").touch()
    message = (
        f"{tmp_path} is not a run directory: name one of those in it, such as {tmp_path / 'digits'}"
    )
    with pytest.raises(RunDirectoryError) as caught:
        RunDirectory.open(tmp_path)
    assert str(caught.value) == message


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


def test_a_runs_own_code_is_sealed_at_its_start_for_every_later_trial(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path / "run")
    experiment = experiment_of([discrete("x", ["1"])])
    directory.begin(experiment, RunRecord.of_start(tmp_path), {"train.py": b"x = 1\n"})
    sealed = {str(directory.code): {"train.py": sha256(b"x = 1\n")}}
    assert directory.code_seals(directory.read_record()) == sealed
    assert (directory.code / "train.py").stat().st_mode & 0o222 == 0
    (directory.code / "train.py").chmod(0o600)
    (directory.code / "train.py").write_bytes(b"x = 2\n")
    (directory.code / "json.py").touch()
    seals = directory.code_seals(directory.read_record())
    assert seals == sealed, "a resumed run compares with the start, too"
    program = local_program(
        experiment, trials=directory.trials, home=tmp_path, code_seals=seals, modules=[directory.code]
    )  # fmt: skip
    with pytest.raises(ChangedFile, match=r"code/json\.py is not what it was when the run began"):
        SealedCode(program.code_seals).check()
    (directory.code / "json.py").unlink()
    with pytest.raises(ChangedFile, match=r"code/train\.py is not what it was when the run began"):
        SealedCode(program.code_seals).check()
    directory.unlock()


def test_code_of_an_earlier_versions_run_is_sealed_as_it_is_found(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path / "run")
    assert directory.code_seals(RunRecord()) == {}
    directory.code.mkdir()
    (directory.code / "train.py").write_bytes(b"x = 1\n")
    (directory.code / "__pycache__").mkdir()
    assert directory.code_seals(RunRecord()) == {
        str(directory.code): {"train.py": sha256(b"x = 1\n")}
    }
    directory.unlock()
