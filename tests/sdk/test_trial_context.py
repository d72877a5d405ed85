"""Functions for training code: `report`, `hdfs.project_path`."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from sparksweep import hdfs, report


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPARKSWEEP_TRIAL_DIR", str(tmp_path))
    monkeypatch.delenv("SPARKSWEEP_PROJECT_PATH", raising=False)
    return tmp_path


def test_what_is_reported_is_a_line_each(trial: Path) -> None:
    report(1, accuracy=0.5, loss=2)
    # No float for a type checker, and one for users.
    report(2, accuracy=np.float32(0.75), loss=math.nan)  # type: ignore[arg-type]
    lines = [json.loads(line) for line in (trial / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert [line["metrics"] for line in lines] == [
        {"accuracy": 0.5, "loss": 2.0},
        {"accuracy": 0.75, "loss": None},
    ]
    assert all(line["time"] > 1e9 for line in lines)


@pytest.mark.parametrize("value", ["0.5", True, None, [0.5]])
def test_what_is_no_number_is_an_error_in_a_notebook_too(
    monkeypatch: pytest.MonkeyPatch, value: object
) -> None:
    monkeypatch.delenv("SPARKSWEEP_TRIAL_DIR", raising=False)
    with pytest.raises(TypeError, match="accuracy is not a number"):
        report(1, accuracy=value)  # type: ignore[arg-type]


def test_outside_a_trial_a_report_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPARKSWEEP_TRIAL_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    report(1, accuracy=0.5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/data/mine", "/data/mine/"),
        ("/data/mine/", "/data/mine/"),
        ("file:///data/mine", "/data/mine/"),
        ("hdfs://namenode:8020/Projects/mine", "hdfs://namenode:8020/Projects/mine/"),
        ("hopsfs://nn:8020/Projects/mine/", "hopsfs://nn:8020/Projects/mine/"),
        ("s3://bucket/mine", "s3://bucket/mine/"),
        ("s3://bucket", "s3://bucket/"),
    ],
)
def test_a_projects_path_ends_with_a_slash_wherever_it_is(
    trial: Path, monkeypatch: pytest.MonkeyPatch, given: str, expected: str
) -> None:
    monkeypatch.setenv("SPARKSWEEP_PROJECT_PATH", given)
    assert hdfs.project_path() == expected


def test_another_project_is_beside_this_one(trial: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARKSWEEP_PROJECT_PATH", "hdfs://nn:8020/Projects/mine")
    assert hdfs.project_path("other") == "hdfs://nn:8020/Projects/other/"
    assert hdfs.project_path("other", exclude_nn_addr=True) == "hdfs:///Projects/other/"
    monkeypatch.setenv("SPARKSWEEP_PROJECT_PATH", "s3://bucket/mine")
    assert hdfs.project_path(exclude_nn_addr=True) == "s3://bucket/mine/"


def test_where_nobody_said_it_a_trial_is_told_what_to_do(trial: Path) -> None:
    with pytest.raises(LookupError, match=r"set it in spec\.trialTemplate\.env"):
        hdfs.project_path()


def test_outside_a_trial_it_is_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPARKSWEEP_TRIAL_DIR", raising=False)
    monkeypatch.delenv("SPARKSWEEP_PROJECT_PATH", raising=False)
    monkeypatch.chdir(tmp_path)
    assert hdfs.project_path() == f"{tmp_path}/"
