"""A command's placeholders: found as they are replaced, and values never taken for anything but text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.api.placeholders import (
    placeholder_values,
    placeholders,
    substitute,
    unfinished,
)
from sparksweep_core.validation.document import parse_experiment
from support.documents.experiments_for_checks import COMMAND, changed

TEMPLATE = parse_experiment(COMMAND).spec.trial_template
PARAMETERS = {"lr": "0.1", "layers": "3", "width": "8", "activation": "relu"}


def test_placeholders_are_what_stands_between_the_braces() -> None:
    command = ["a", "--x=${trialParameters.x}:${trialSpec.Name}", "${trialSource}", "${HOME} $x"]
    assert placeholders(command) == {"trialParameters.x", "trialSpec.Name", "trialSource"}


@pytest.mark.parametrize(
    "word", ["${trialParameters.x", "a${trialSource", "${trialSpec.${trialSpec.Name}"]
)
def test_a_placeholder_that_is_not_closed_is_found(word: str) -> None:
    assert unfinished(["a", word, "${trialParameters.x}"]) == [1]


def test_values_of_trial_parameters_are_those_of_their_references() -> None:
    values = placeholder_values(TEMPLATE, PARAMETERS, trial="digits-4", source="/s/train.py")
    assert values == {
        "trialParameters.learningRate": "0.1",
        "trialParameters.layers": "3",
        "trialSpec.Name": "digits-4",
        "trialSource": "/s/train.py",
    }
    assert substitute(TEMPLATE.command or [], values) == [
        "python",
        "train.py",
        "--lr=0.1",
        "--layers=3",
    ]


def test_without_trial_parameters_each_parameter_is_its_own() -> None:
    document = changed(COMMAND, {"spec.trialTemplate": {"command": ["a"]}})
    template = parse_experiment(document).spec.trial_template
    values = placeholder_values(template, PARAMETERS, trial="digits-4", source=None)
    assert values == {f"trialParameters.{name}": value for name, value in PARAMETERS.items()} | {
        "trialSpec.Name": "digits-4"
    }


@given(value=st.text())
def test_a_value_stays_one_word_and_is_not_expanded_again(value: str) -> None:
    command = ["${trialParameters.a}", "x${trialParameters.a}y", "$(rm -rf /) ${HOME} \\1"]
    values = {"trialParameters.a": value}
    assert substitute(command, values) == [value, f"x{value}y", command[2]]


def test_a_value_that_looks_like_a_placeholder_is_text() -> None:
    values = {"trialParameters.a": "${trialParameters.b}", "trialParameters.b": "no"}
    assert substitute(["${trialParameters.a}"], values) == ["${trialParameters.b}"]


def test_a_placeholder_without_a_value_is_an_error_rather_than_left() -> None:
    with pytest.raises(KeyError, match=r"trialParameters\.b"):
        substitute(["${trialParameters.b}"], {})
