"""Runs that several tests share, because each starts Spark."""

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
    """Make a project with data, and change to its directory."""
    directory = tmp_path_factory.mktemp("project")
    (directory / "Resources").mkdir()
    (directory / "Resources" / "train.txt").write_text("1\n2\n3\n")
    before = Path.cwd()
    os.chdir(directory)
    yield directory
    os.chdir(before)


@pytest.fixture(scope="session")
def seed_grid(project: Path) -> Result:
    """Run the seed's grid search by its original call, with a Spark session as the first argument."""
    spark = object()
    return experiment.grid_search(spark, training, GRID, direction="max", progress=False)


@pytest.fixture(scope="session")
def seed_evolution(project: Path) -> tuple[Result, list[str]]:
    """Run the seed's differential evolution, and return its warnings too."""
    spark = object()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = experiment.evolutionary_search(
            spark, training, BOUNDS, direction="max", generations=5, popsize=6, seed=3, progress=False
        )  # fmt: skip
    return result, [str(warning.message) for warning in caught]
