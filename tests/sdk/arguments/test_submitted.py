"""Runs on this machine: folder, seed, slots and objects are those that the arguments say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparksweep import Experiment, search

pytestmark = pytest.mark.spark

MODULE = """
from sparksweep import hdfs
from neighbour import SIZE


def training(x):
    return {"metric": x, "size": SIZE, "is_beside": float(hdfs.project_path().rstrip("/").endswith("project"))}
"""


def test_a_file_is_run_with_the_modules_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "train.py").write_text(MODULE)
    (folder / "neighbour.py").write_text("SIZE = 7\n")
    made = Experiment("train:training", {"x": [1, 2]}, name="beside", parallel=5, max_trials=2)
    (folder / "e.yaml").write_text(made.to_yaml())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPARKSWEEP_PROJECT_PATH", raising=False)
    experiment = Experiment.from_yaml("project/e.yaml").submit(directory=tmp_path / "run")
    result = experiment.wait(progress=False)
    assert result.best_metrics == {"metric": 2, "size": 7, "is_beside": 1}
    assert result.seed is None


def test_a_seed_that_was_drawn_repeats_a_run_and_objects_are_seen_by_the_context(
    tmp_path: Path,
) -> None:
    def training(x: float, optimizer: Any) -> float:
        from sparksweep import context

        seen = context.parameters()["optimizer"]
        assert seen == optimizer
        assert seen in (None, ("adam", 0.9))
        return x

    space = {"x": search.uniform(1, 0), "optimizer": [None, ("adam", 0.9)]}
    options: Any = {"algorithm": "random", "max_trials": 2, "parallel": 3}
    first = Experiment(training, space, **options).submit(directory=tmp_path / "first")
    with pytest.warns(UserWarning, match="min was greater than max"):
        drawn = first.wait(progress=False)
    assert drawn.seed is not None
    again = Experiment(training, space, seed=drawn.seed, **options)
    again.submit(directory=tmp_path / "again")
    with pytest.warns(UserWarning, match="min was greater than max"):
        repeated = again.wait(progress=False)
    points = [trial.parameters for trial in drawn.trials]
    assert [trial.parameters for trial in repeated.trials] == points
    assert all(0 <= point["x"] <= 1 for point in points)
    other = Experiment(training, space, **options).submit(directory=tmp_path / "other")
    with pytest.warns(UserWarning, match="min was greater than max"):
        assert other.wait(progress=False).seed != drawn.seed
    reopened = Experiment.open(tmp_path / "first").result()
    assert [trial.parameters for trial in reopened.trials] == points
    assert reopened.seed == drawn.seed
