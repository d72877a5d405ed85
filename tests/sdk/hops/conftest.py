"""The runs that several rows look at: each starts Spark, so there is one of each."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparksweep import experiment
from sparksweep._result import Result
from support.sdk.seed import BOUNDS, GRID, training


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with data, which is the working directory."""
    directory = tmp_path_factory.mktemp("project")
    (directory / "Resources").mkdir()
    (directory / "Resources" / "train.txt").write_text("1\n2\n3\n")
    before = Path.cwd()
    os.chdir(directory)
    yield directory
    os.chdir(before)


@pytest.fixture(scope="session")
def seed_grid(project: Path) -> Result:
    """The seed's grid search, called as it was called, with a session in front."""
    spark = object()
    return experiment.grid_search(spark, training, GRID, direction="max", progress=False)


@pytest.fixture(scope="session")
def seed_evolution(project: Path) -> tuple[Result, list[str]]:
    """The seed's differential evolution, and the warnings that came with it."""
    spark = object()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = experiment.evolutionary_search(
            spark, training, BOUNDS, direction="max", generations=5, popsize=6, seed=3, progress=False
        )  # fmt: skip
    return result, [str(warning.message) for warning in caught]
