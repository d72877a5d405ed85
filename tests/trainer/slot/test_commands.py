"""Execution of a command: its words, and the file that its first word names."""

import os
from pathlib import Path

import pytest

from sparksweep_core.api import TrialTemplate
from sparksweep_core.api.template import TrialParameter
from sparksweep_trainer.slot.commands import ProgramNotFound, command_line, find_program


def words(*command: str, source: Path | None = None, **parameters: str) -> list[str]:
    template = TrialTemplate(command=list(command))
    return command_line(template, parameters, trial="digits-7", source=source)


def test_placeholders_are_replaced_and_all_else_is_left_alone() -> None:
    assert words("sh", "-c", "train --lr=${trialParameters.lr} $HOME ${OTHER}", lr="0.1") == [
        "sh",
        "-c",
        "train --lr=0.1 $HOME ${OTHER}",
    ]


def test_a_value_with_blanks_and_quotes_stays_one_word() -> None:
    assert words("train", "${trialParameters.opt}", opt="a b'$(c)\"") == ["train", "a b'$(c)\""]


def test_the_trials_name_and_its_source_are_placeholders_too() -> None:
    argv = words("python", "${trialSource}", "--run=${trialSpec.Name}", source=Path("/code/t.py"))
    assert argv == ["python", "/code/t.py", "--run=digits-7"]


def test_katibs_trial_parameters_name_another_parameter() -> None:
    template = TrialTemplate(
        command=["train", "--lr=${trialParameters.learningRate}"],
        trial_parameters=[TrialParameter(name="learningRate", reference="lr")],
    )
    argv = command_line(template, {"lr": "0.01"}, trial="t-1", source=None)
    assert argv == ["train", "--lr=0.01"]


def program(path: Path, *, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def test_a_bare_name_is_looked_for_on_the_path_alone(tmp_path: Path) -> None:
    program(tmp_path / "train")
    wanted = program(tmp_path / "bin" / "train")
    assert find_program("train", directory=str(tmp_path), path=str(tmp_path / "bin")) == str(wanted)


def test_a_word_with_a_slash_is_looked_for_in_the_directory(tmp_path: Path) -> None:
    wanted = program(tmp_path / "tools" / "train")
    executed = find_program("tools/train", directory=str(tmp_path), path="/bin")
    assert executed == str(wanted)
    assert find_program(str(wanted), directory="/", path="") == str(wanted)


def test_a_path_relative_to_somewhere_else_becomes_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = program(tmp_path / "bin" / "train")
    monkeypatch.chdir(tmp_path)
    assert os.path.realpath(find_program("train", directory=str(tmp_path), path="bin")) == str(
        wanted.resolve()
    )


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("absent", "no program 'absent' on the PATH"),
        ("./absent", "there is no file"),
        ("./plain", "is not executable: run chmod [+]x"),
        ("./bin", "there is no file"),
    ],
)
def test_a_program_that_is_not_there_is_refused(tmp_path: Path, word: str, text: str) -> None:
    (tmp_path / "bin").mkdir()
    program(tmp_path / "plain", mode=0o644)
    with pytest.raises(ProgramNotFound, match=text):
        find_program(word, directory=str(tmp_path), path=str(tmp_path / "bin"))
