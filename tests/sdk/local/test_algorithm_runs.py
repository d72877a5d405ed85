"""Runs of each algorithm on this machine, with the properties that the planner's tests check."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.algorithms import algorithm_runs

pytestmark = pytest.mark.spark


@pytest.mark.parametrize("algorithm", ["grid", "random", "generational", "asynchronous"])
def test_a_run_keeps_what_the_search_promises(algorithm: str, tmp_path: Path) -> None:
    made = algorithm_runs.experiment(algorithm).submit(backend="local", directory=tmp_path / "run")
    algorithm_runs.check(algorithm, made.wait(progress=False))
