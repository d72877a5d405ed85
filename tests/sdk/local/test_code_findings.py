"""Mistakes in the trial code that are found by reading it: each by its path, with the nearest name."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparksweep._local.code_findings import CodePlaces, code_notes
from sparksweep_core.api.search_spec import FeasibleSpace, Objective, Parameter, ParameterType
from sparksweep_core.api.template import TrialTemplate
from sparksweep_core.validation.checks import Parts

GOOD = "def training(x):\n    return {'loss': x}\n"


def project(home: Path) -> None:
    """Make a directory with modules of every kind; none of them may be imported."""
    package = home / "package"
    package.mkdir()
    (home / "namespace").mkdir()
    (home / "namespace" / "inner.py").write_text(GOOD)
    modules = {
        "train": GOOD,
        "assigned": "training = make()\n",
        "elsewhere": "from package import training\n",
        "decorated": "@wrap\ndef training(lr):\n    return {'los': lr}\n",
        "broken": "def training(x:\n",
        "arguments": "def training(lr):\n    return 1\n",
        "number": "def training(x):\n    return 0.5\n",
        "misnamed": "def training(x):\n    if x:\n        return {'los': x}\n    return {'acc': 1}\n",
        "perhaps": "def training(x):\n    if x:\n        return {'los': x}\n    return other(x)\n",
        "unpacked": "def training(x):\n    return {**other(x)}\n",
        "computed": "def training(x):\n    return {name: x for name in names}\n",
        "variable": "def training(x):\n    return {KEY: x}\n",
        "nested": "def training(x):\n    def f():\n        return {'a': 1}\n    return {'loss': f()}\n",
        "nothing": "def training(x):\n    raise NotImplementedError\n",
        "package/__init__": "raise RuntimeError('imported')\n",
        "package/deep": GOOD,
    }
    for name, text in modules.items():
        (home / f"{name}.py").write_text(text)


def parts(template: TrialTemplate, objective: str | None = "loss") -> Parts:
    space = FeasibleSpace(min="0", max="1")
    return Parts(
        objective=None
        if objective is None
        else Objective.model_validate_json(
            f'{{"type": "minimize", "objectiveMetricName": "{objective}"}}'
        ),
        parameters=(
            Parameter(name="x", parameter_type=ParameterType.DOUBLE, feasible_space=space),
        ),
        template=template,
    )


def findings(home: Path, **template: object) -> list[str]:
    checked = parts(TrialTemplate.model_validate(template))
    return [f"{item.path}: {item.message}" for item in CodePlaces(home).code_findings(checked)]


@pytest.mark.parametrize(
    "function",
    [
        "train:training",
        "assigned:training",
        "elsewhere:training",
        "decorated:training",
        "number:training",
        "perhaps:training",
        "unpacked:training",
        "computed:training",
        "variable:training",
        "nested:training",
        "nothing:training",
        "package:anything",
        "package.deep:training",
        "namespace.inner:training",
        "json:dumps",
        "numpy.linalg:solve",
        "sys:exit",
        "math:sqrt",
        "os.path:join",
        "sparksweep.search:uniform",
    ],
)
def test_code_that_may_be_right_is_not_refused(tmp_path: Path, function: str) -> None:
    project(tmp_path)
    found = findings(tmp_path, function=function)
    assert not [text for text in found if "no module" in text or "not defined" in text]
    if function.endswith(":training"):
        assert found == []


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("trian:training", "there is no module trian in HOME or among the installed packages: did you mean train?"),
        ("nunpy:solve", "did you mean numpy?"),
        ("qqqqqq:training", "there is no module qqqqqq in HOME or among the installed packages"),
        ("package.dep:training", "there is no module package.dep in HOME/package: did you mean package.deep?"),
        ("train.deep:training", "there is no module train.deep: train is a module and no package"),
        ("package.deep.er:f", "package.deep is a module and no package"),
        ("train:trainig", "trainig is not defined in train.py: did you mean training?"),
        ("namespace.inner:other", "other is not defined at the top level of namespace/inner.py: it defines training"),
        ("broken:training", "broken.py: line 1 is not Python"),
        ("arguments:training", "training(lr) needs lr, which is not a parameter"),
        ("misnamed:training", "training returns los, acc (line 3), but objectiveMetricName is loss: did you mean los?"),
    ],
)  # fmt: skip
def test_a_mistake_names_what_is_near(tmp_path: Path, function: str, words: str) -> None:
    project(tmp_path)
    found = findings(tmp_path, function=function)
    assert found
    assert found[0].startswith("spec.trialTemplate.function: ")
    assert words.replace("HOME", str(tmp_path)) in found[0]


def test_preloads_are_found_too(tmp_path: Path) -> None:
    project(tmp_path)
    found = findings(tmp_path, function="train:training", preload=["json", "train", "nunpy"])
    assert found == [
        f"spec.trialTemplate.preload[2]: there is no module nunpy in {tmp_path} "
        "or among the installed packages: did you mean numpy?"
    ]


@pytest.mark.parametrize(
    ("command", "is_found"),
    [
        (["sh", "-c", "true"], True),
        (["./run.sh"], True),
        (["run.sh"], False),
        (["./plain.txt"], False),
        (["no-such-program", "x"], False),
        (["${trialParameters.x}"], True),
    ],
)
def test_the_program_of_a_command_is_looked_up(
    tmp_path: Path, command: list[str], is_found: bool
) -> None:
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "plain.txt").touch()
    assert (findings(tmp_path, command=command) == []) is is_found


def test_an_objective_that_is_absent_or_unreadable_is_not_compared(tmp_path: Path) -> None:
    project(tmp_path)
    checked = parts(TrialTemplate(function="misnamed:training"), objective=None)
    assert list(CodePlaces(tmp_path).code_findings(checked)) == []


def test_a_command_that_ignores_a_parameter_is_a_note() -> None:
    template = TrialTemplate(command=["train", "--x=${trialParameters.x}"])
    (note,) = code_notes(template, ["x", "y"])
    assert "does not use the parameter y" in note
    assert code_notes(TrialTemplate(function="a:b"), ["x"]) == []


def test_a_message_names_one_directory_and_suggests_from_all(tmp_path: Path) -> None:
    elsewhere = tmp_path / "lib"
    elsewhere.mkdir()
    (elsewhere / "trainer_a.py").write_text(GOOD)
    checked = parts(TrialTemplate(function="trainer_b:training"))
    (finding,) = CodePlaces(tmp_path, paths=[str(elsewhere)]).code_findings(checked)
    assert finding.message == (
        f"there is no module trainer_b in {tmp_path} or among the installed packages: "
        "did you mean trainer_a?"
    )
