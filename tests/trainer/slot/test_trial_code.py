"""Inline source becomes a file that is found by the name the experiment uses for it."""

import subprocess
import sys
from pathlib import Path

import pytest

from sparksweep_core.api import TrialTemplate
from sparksweep_core.api.template import Source
from sparksweep_trainer.slot.trial_code import write_source

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
