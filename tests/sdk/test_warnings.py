"""Warnings that name the line of the user's program, at any depth of calls inside of the package."""

from __future__ import annotations

import linecache
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from sparksweep import Experiment
from sparksweep._warnings import warn


class Model:
    """A value that YAML has no text for."""


def training(x: float) -> float:
    return x


def inner_call(depth: int) -> Callable[[], None]:
    """Return a function of the package that warns after some more calls inside of it."""
    namespace: dict[str, Any] = {"__name__": "sparksweep._inner", "warn": warn}
    exec("def call(depth): return call(depth - 1) if depth else warn('careful')", namespace)
    return lambda: namespace["call"](depth)  # the user's line


@pytest.mark.parametrize("depth", [0, 1, 2, 7])
def test_a_warning_names_the_innermost_line_outside_of_the_package(depth: int) -> None:
    call = inner_call(depth)
    with pytest.warns(UserWarning, match="careful") as caught:
        call()
    assert caught[0].filename == __file__
    assert "# the user's line" in linecache.getline(__file__, caught[0].lineno)


def test_a_method_warns_at_the_line_that_calls_it() -> None:
    experiment = Experiment(training, {"x": [Model, None]})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        experiment.to_yaml()
    (warning,) = caught
    assert warning.filename == __file__
    assert "experiment.to_yaml()" in linecache.getline(__file__, warning.lineno)


def test_a_package_with_a_longer_name_is_the_users() -> None:
    namespace: dict[str, Any] = {"__name__": "sparksweeper", "warn": warn}
    exec(compile("def call(): warn('careful')", "theirs.py", "exec"), namespace)
    with pytest.warns(UserWarning, match="careful") as caught:
        namespace["call"]()
    assert caught[0].filename == "theirs.py"
