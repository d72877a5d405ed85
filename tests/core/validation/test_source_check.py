"""Inline source is judged without being run, and only where the verdict is certain."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparksweep_core.errors import InvalidExperiment
from sparksweep_core.validation.document import parse_experiment
from sparksweep_core.validation.source_check import check_source
from support.operator.operator_objects import experiment_body


def messages(source: str, *names: str) -> list[str]:
    errors = check_source(source, function="training", parameter_names=names or ("lr",))
    return [f"{error.path.rpartition('.')[2]}: {error.message}" for error in errors]


@pytest.mark.parametrize(
    "source",
    [
        "def training(lr): pass",
        "def training(lr, epochs=3, *, seed=7, **others): pass",
        "def training(*, lr): pass",
        "def training(*args, lr): pass",
        "def training(**parameters): pass",
        "def training(first=1, /, **parameters): pass",
        "try:\n  import a\nexcept ImportError:\n  def training(lr): pass",
        "if True:\n  def training(lr): pass\nelse:\n  def training(x): pass",
        "match 1:\n  case 1:\n    def training(lr): pass",
        "with open('x') as f:\n  def training(lr): pass",
        'def training(lr):\n  return "\\d"',
    ],
)
def test_a_function_that_takes_the_parameters_passes(source: str) -> None:
    assert messages(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "from lib import *",
        "from lib import training",
        "from lib import main as training",
        "import training",
        "training = lambda x: x",
        "training: object = make()",
        "(training := make())",
        "class training:\n  pass",
        "for training in []: pass",
        "with make() as training: pass",
        "globals()['training'] = 1",
        "exec('def training(lr): pass')",
        "def __getattr__(name): return 1",
        "def f():\n  global training\n  training = 1",
        "match x:\n  case {'a': training}: pass",
        "@decorated\ndef training(x): pass",
        "@decorated\nasync def training(x): pass",
        "def training(x): pass\ntraining = wrap(training)",
        "def training(x): pass\ndef training(lr): pass",
    ],
)
def test_nothing_is_said_of_what_only_running_it_could_tell(source: str) -> None:
    assert messages(source) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1", ["function: training is not defined at the top level of source.inline: it defines no function"]),
        ("def traning(lr): pass", ["function: training is not defined in source.inline: did you mean traning?"]),
        ("class A:\n  def training(self, lr): pass",
         ["function: training is not defined at the top level of source.inline: it defines no function"]),
        ("async def training(lr): pass", ["function: training is an async def (line 1): write it as a plain def"]),
        ("def training(): pass",
         ["function: training() has no argument lr: add it, or remove the parameter"]),
        ("def training(lr, *, b): pass",
         ["function: training(lr, *, b) needs b, which is not a parameter: "
          "add it to spec.parameters or give it a default"]),
        ("def training(lr, /): pass",
         ["function: training(lr, /) takes lr by position only, but gets it by name: remove the /",
          "function: training(lr, /) has no argument lr: add it, or remove the parameter"]),
        ("def training(lr):\nreturn 1", ["inline: line 2 is not Python, expected an indented block after "
                                         "function definition on line 1: return 1"]),
        ("x = 1 +", ["inline: line 1 is not Python, invalid syntax: x = 1 +"]),
    ],
)  # fmt: skip
def test_what_is_certain_is_said_with_what_would_be_right(source: str, expected: list[str]) -> None:
    assert messages(source) == expected


def test_source_that_is_nested_beyond_the_parser_is_refused() -> None:
    (message,) = messages("x = " + "(" * 5000)
    assert message.startswith("inline: ")
    assert "not Python" in message


def test_arguments_are_not_compared_with_parameters_that_are_not_known() -> None:
    source = "def training(a, b): pass"
    assert check_source(source, function="training", parameter_names=None) == []


def test_the_source_is_never_run(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    source = f"open({str(witness)!r}, 'w')\ndef training(lr=open({str(witness)!r}, 'w')): pass"
    assert messages(source) == []
    assert not witness.exists()


@pytest.mark.parametrize(("character", "times", "fits"), [
    ("x", 499_900, True), ("é", 499_900, True), ("漢", 333_000, True), ("漢", 400_000, False),
    ("<", 166_000, True), ("<", 200_000, False), ("\U0001f600", 249_000, True), ("\U0001f600", 250_100, False),
])  # fmt: skip
def test_inline_source_is_bounded_in_the_bytes_that_are_stored(
    character: str, times: int, fits: bool
) -> None:
    source = "def training(x):\n    return x\n#" + character * times
    body = experiment_body(template={"source": {"inline": source}})
    if fits:
        parse_experiment(body)
        return
    with pytest.raises(
        InvalidExperiment, match=r"source\.inline: takes [0-9,]+ bytes .* 1,000,000"
    ):
        parse_experiment(body)
