"""Inline source becomes a file that is found by the name the experiment uses for it."""

import subprocess
import sys
from pathlib import Path

import pytest

from sparksweep_core.api import TrialTemplate
from sparksweep_core.api.template import Source
from sparksweep_core.contract.environment import CODE_SEAL_ENV
from sparksweep_core.contract.sealed_files import ChangedFile, Seal, sha256
from sparksweep_trainer.protocol import Assignment
from sparksweep_trainer.slot.runner import StopSignal, TrialRunner
from sparksweep_trainer.slot.trial_code import MountedCode, write_source
from support.trainer.trial_rig import program

TEXT = "GREETING = 'größer'\n"


def test_a_functions_module_is_importable_by_its_name(tmp_path: Path) -> None:
    template = TrialTemplate(function="train:training", source=Source(inline=TEXT))
    assert write_source(template, tmp_path) == tmp_path / "train.py"
    assert (tmp_path / "train.py").read_text(encoding="utf-8") == TEXT


def test_a_dotted_module_is_put_into_packages(tmp_path: Path) -> None:
    template = TrialTemplate(function="models.deep.train:training", source=Source(inline=TEXT))
    write_source(template, tmp_path)
    shown = subprocess.run(
        [sys.executable, "-I", "-c",
         f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import models.deep.train as m; print(m.__file__)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shown.stdout.strip() == str(tmp_path / "models" / "deep" / "train.py")


def test_a_commands_source_is_a_file_for_its_placeholder(tmp_path: Path) -> None:
    template = TrialTemplate(command=["python", "${trialSource}"], source=Source(inline=TEXT))
    written = write_source(template, tmp_path)
    assert written is not None
    assert written.read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize(
    "template", [TrialTemplate(function="train:training"), TrialTemplate(command=["true"])]
)
def test_without_inline_source_nothing_is_written(tmp_path: Path, template: TrialTemplate) -> None:
    assert write_source(template, tmp_path) is None
    assert list(tmp_path.iterdir()) == []


SEAL = Seal("digits-code-0", {"train.py": sha256(TEXT.encode())})


def mounted(directory: Path, text: str | None = TEXT) -> MountedCode:
    """Return the source as an executor's pod mounts it."""
    if text is not None:
        (directory / "train.py").write_text(text, encoding="utf-8")
    return MountedCode({CODE_SEAL_ENV: SEAL.to_json()}, directory)


def test_mounted_code_is_what_the_operator_wrote(tmp_path: Path) -> None:
    mounted(tmp_path).check()
    with pytest.raises(ChangedFile, match=r"train\.py of ConfigMap digits-code-0 .* replaced"):
        mounted(tmp_path, TEXT + "import evil\n").check()
    (tmp_path / "train.py").unlink()
    with pytest.raises(FileNotFoundError):
        mounted(tmp_path, None).check()


def test_code_that_nobody_sealed_is_the_users_to_change(tmp_path: Path) -> None:
    MountedCode({}, tmp_path).check()


def test_changed_code_is_refused_by_the_check_and_starts_no_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    text = "def training(x):\n    return 1.0\n"
    (code / "train.py").write_text(text)
    seal = Seal("digits-code-0", {"train.py": sha256(text.encode())})
    monkeypatch.setenv(CODE_SEAL_ENV, seal.to_json())
    monkeypatch.setattr("sparksweep_trainer.slot.trial_code.CODE_DIRECTORY", str(code))
    mounting = program(tmp_path, None, parameters={"x": int}).model_copy(
        update={"search_path": [str(code)]}
    )
    with TrialRunner(mounting, slot=0) as runner:
        assert runner.check() is None
        (code / "train.py").write_text(text.replace("1.0", "2.0"))
        assert "ConfigMap digits-code-0" in (runner.check() or "")
        stop = StopSignal()
        outcome = runner.run(Assignment(number=1, attempt=1, parameters={"x": "1"}), stop)
        stop.close()
    assert outcome.reason == "StartFailed"
    assert "ConfigMap digits-code-0" in outcome.message
