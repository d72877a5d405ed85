"""Inline source becomes a file that is found by the name the experiment uses for it."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from sparksweep_core.api import TrialTemplate
from sparksweep_core.api.template import Source
from sparksweep_core.contract.environment import CODE_SEAL_ENV
from sparksweep_core.contract.sealed_files import ChangedFile, Seal, sha256
from sparksweep_trainer.protocol import Assignment
from sparksweep_trainer.slot.runner import StopSignal, TrialRunner
from sparksweep_trainer.slot.trial_code import InlineCode, MountedCode
from support.trainer.trial_rig import Rig, program

TEXT = "GREETING = 'größer'\n"


def test_a_functions_module_is_importable_by_its_name(tmp_path: Path) -> None:
    template = TrialTemplate(function="train:training", source=Source(inline=TEXT))
    assert InlineCode(template, tmp_path).file == tmp_path / "train.py"
    assert (tmp_path / "train.py").read_text(encoding="utf-8") == TEXT


def test_a_dotted_module_is_put_into_packages(tmp_path: Path) -> None:
    template = TrialTemplate(function="models.deep.train:training", source=Source(inline=TEXT))
    InlineCode(template, tmp_path)
    shown = subprocess.run(
        [sys.executable, "-I", "-c",
         f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import models.deep.train as m; print(m.__file__)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shown.stdout.strip() == str(tmp_path / "models" / "deep" / "train.py")


def test_a_commands_source_is_a_file_for_its_placeholder(tmp_path: Path) -> None:
    template = TrialTemplate(command=["python", "${trialSource}"], source=Source(inline=TEXT))
    written = InlineCode(template, tmp_path).file
    assert written is not None
    assert written.read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize(
    "template", [TrialTemplate(function="train:training"), TrialTemplate(command=["true"])]
)
def test_without_inline_source_nothing_is_written(tmp_path: Path, template: TrialTemplate) -> None:
    code = InlineCode(template, tmp_path)
    assert code.file is None
    assert code.restore() == []
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


# ---------------------------------------------------------------------- code that trials can write to

MODULE = """
import os, shutil, sys
from pathlib import Path

HERE = Path(__file__).parent
OTHER = "def training(x):\\n    return 0.999\\n"

def training(x):
    if x == 1:
        ATTACK
    return 0.5
"""
ATTACKS = {
    "rewrites": "os.chmod(HERE, 0o700); os.chmod(__file__, 0o600); Path(__file__).write_text(OTHER)",
    "appends": "os.chmod(__file__, 0o600); open(__file__, 'a').write('training = lambda x: 0.999\\n')",
    "replaces": "os.chmod(HERE, 0o700); Path(HERE, 'new').write_text(OTHER); os.replace(HERE / 'new', __file__)",
    "same-size-and-time": "s = os.stat(__file__); os.chmod(__file__, 0o600); t = Path(__file__).read_text(); "
    "Path(__file__).write_text(t.replace('return 0.5', 'return 0.9')); os.utime(__file__, ns=(s.st_atime_ns, s.st_mtime_ns))",
    "removes": "os.chmod(HERE, 0o700); os.unlink(__file__)",
    "removes-the-directory": "os.chmod(HERE, 0o700); os.chmod(HERE.parent, 0o700); shutil.rmtree(HERE)",
    "links": "os.chmod(HERE, 0o700); p = Path(os.environ['SPARKSWEEP_TRIAL_DIR'], 'o.py'); p.write_text(OTHER); "
    "os.unlink(__file__); os.symlink(p, __file__)",
    "hides": "os.chmod(__file__, 0); os.chmod(HERE, 0)",
    "a-package-before-it": "os.chmod(HERE, 0o700); os.mkdir(HERE / NAME); Path(HERE, NAME, '__init__.py').write_text(OTHER)",
    "a-module-that-it-imports": "os.chmod(HERE, 0o700); Path(HERE, 'shutil.py').write_text('raise ValueError')",
    "bytecode": "import py_compile, importlib.util; os.chmod(HERE, 0o700); s = os.stat(__file__); "
    "p = Path(os.environ['SPARKSWEEP_TRIAL_DIR'], 'o.py'); t = Path(__file__).read_text(); "
    "p.write_text(t.replace('return 0.5', 'return 0.9')); os.utime(p, ns=(s.st_atime_ns, s.st_mtime_ns)); "
    "py_compile.compile(str(p), importlib.util.cache_from_source(__file__))",
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("function", ["train:training", "pack.age.train:training"])
def test_each_trial_runs_the_experiments_code_whatever_an_earlier_one_wrote(
    tmp_path: Path, attack: str, function: str
) -> None:
    source = MODULE.replace("ATTACK", attack).replace("NAME", "'train'")
    with Rig(tmp_path, source, parameters={"x": int}, function=function) as rig:
        assert rig.metrics(number=1, x=1) == {"score": 0.5}
        for number in (2, 3):
            assert rig.metrics(number=number, x=number) == {"score": 0.5}


def test_a_commands_source_is_restored_and_the_log_names_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = "import os; os.chmod(__file__, 0o600); print('score=1'); open(__file__, 'w')\n"
    with Rig(tmp_path, source, command=["python", "${trialSource}"]) as rig:
        assert rig.metrics() == {"score": 1}
        assert rig.metrics(number=2) == {"score": 1}
    (message,) = [line for line in caplog.messages if "was changed" in line]
    assert "trial_source.py was changed, and is the experiment's again" in message


def test_an_accident_is_refused_as_on_a_read_only_mount(tmp_path: Path) -> None:
    template = TrialTemplate(function="a.train:training", source=Source(inline=TEXT))
    (tmp_path / "code").mkdir()
    InlineCode(template, tmp_path / "code")
    for path in (tmp_path / "code").rglob("*"):
        assert path.stat().st_mode & 0o222 == 0, path


def test_sealed_code_that_was_changed_starts_no_trial(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    text = "def training(x):\n    return 0.5\n"
    (code / "train.py").write_text(text)
    sealed = program(tmp_path, None, parameters={"x": int}).model_copy(
        update={
            "search_path": [str(code)],
            "code_seals": {str(code): {"train.py": sha256(text.encode())}},
        }
    )
    with TrialRunner(sealed, slot=0) as runner, closing(StopSignal()) as stop:
        first, second = (Assignment(number=n, attempt=1, parameters={"x": "1"}) for n in (1, 2))
        # Python stores bytecode there.
        assert runner.check() is None
        assert runner.run(first, stop).reason == "Completed"
        for name, content in (("train.py", text + "#"), ("json.py", ""), ("train.py", None)):
            changed = code / name
            if content is None:
                changed.unlink()
            else:
                changed.write_text(content)
            outcome = runner.run(second, stop)
            assert outcome.reason == "StartFailed"
            assert f"{changed} is not what it was when the run began" in outcome.message
            (code / "json.py").unlink(missing_ok=True)
            (code / "train.py").write_text(text)
        assert runner.run(second, stop).reason == "Completed"
