"""Data of a real HDFS in a trial."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sparksweep import experiment
from support.sdk.hadoop import HadoopUnavailable, Hdfs, hdfs


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Hdfs]:
    try:
        with hdfs(tmp_path) as running:
            yield running
    except HadoopUnavailable as error:
        pytest.skip(str(error))


def training(part: int) -> float:
    from sparksweep import data
    from sparksweep import hdfs as project

    with open(data.path("Resources/train.txt")) as file:
        rows = [float(line) for line in file]
    with open(data.path(project.project_path() + f"Resources/parts/{part}.txt")) as file:
        rows.append(float(file.read()))
    return sum(rows)


@pytest.mark.spark
def test_a_trial_reads_what_the_project_has_on_hdfs(
    project: Hdfs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.put("/Projects/mine/Resources/train.txt", b"1\n2\n3\n")
    for part in (1, 2):
        project.put(f"/Projects/mine/Resources/parts/{part}.txt", b"%d" % (part * 10))
    found = experiment.grid_search(
        training, {"part": [1, 2]}, progress=False, directory=tmp_path / "run", parallel=2,
        env={
            "SPARKSWEEP_PROJECT_PATH": f"{project.uri}/Projects/mine",
            "SPARKSWEEP_DATA_CACHE": str(tmp_path / "cache"),
        },
    )  # fmt: skip
    assert found.trials["metrics.metric"].tolist() == [16.0, 26.0]
    # Both slots read the same file, of which there is one copy.
    copies = sorted(path.name for path in (tmp_path / "cache").rglob("*.txt"))
    assert copies == ["1.txt", "2.txt", "train.txt"]
