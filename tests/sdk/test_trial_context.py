"""Functions for training code: `report`, `hdfs.project_path`."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from sparksweep import hdfs, report
from sparksweep_trainer.files.reports import MetricsReport, ReportParser


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPARKSWEEP_TRIAL_DIR", str(tmp_path))
    monkeypatch.delenv("SPARKSWEEP_PROJECT_PATH", raising=False)
    return tmp_path


class Tensor:
    """A number as a tensor of PyTorch, TensorFlow or JAX is one."""

    def __init__(self, value: object, *, shape: tuple[int, ...] = ()) -> None:
        self.value = value
        self.shape = shape

    def __repr__(self) -> str:
        return f"tensor({self.value})"


class Torch(Tensor):
    def item(self) -> object:
        if math.prod(self.shape) != 1:
            raise RuntimeError("a Tensor with several elements cannot be converted to Scalar")
        return self.value


class TensorFlow(Tensor):
    def __float__(self) -> float:
        if self.shape:
            raise TypeError("only length-1 arrays can be converted to Python scalars")
        return float(self.value)  # type: ignore[arg-type]


def reported(trial: Path) -> list[MetricsReport]:
    return ReportParser().feed(1, (trial / "metrics.jsonl").read_bytes())


def test_what_is_reported_is_a_line_each(trial: Path) -> None:
    report(1, accuracy=0.5, loss=2)
    report(2, accuracy=0.75, loss=math.nan)
    lines = [json.loads(line) for line in (trial / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert [line["metrics"] for line in lines] == [
        {"accuracy": 0.5, "loss": 2.0},
        {"accuracy": 0.75, "loss": "NaN"},
    ]
    assert all(line["time"] > 1e9 for line in lines)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0.0), (-0.0, -0.0), (2**53 + 1, 2.0**53), (10**400, math.inf), (-(10**400), -math.inf),
        (math.nan, math.nan), (math.inf, math.inf), (-math.inf, -math.inf), (5e-324, 5e-324),
        (Fraction(1, 4), 0.25), (Decimal("0.1"), 0.1), (Decimal("NaN"), math.nan),
        (np.float32(0.75), 0.75), (np.float16(0.5), 0.5), (np.int64(3), 3.0), (np.uint8(255), 255.0),
        (np.float64("nan"), math.nan), (np.array(0.5), 0.5), (np.array([0.5]), 0.5), (np.array([[2]]), 2.0),
        (Torch(0.5), 0.5), (Torch(3, shape=(1, 1)), 3.0), (TensorFlow(0.25), 0.25),
    ],
)  # fmt: skip
def test_every_kind_of_number_is_reported(trial: Path, value: object, expected: float) -> None:
    report(1, loss=value)  # type: ignore[arg-type]
    (line,) = reported(trial)
    assert str(line.metrics["loss"]) == str(expected)


@pytest.mark.parametrize(
    "value",
    [
        "0.5", b"0.5", bytearray(b"1"), True, None, [0.5], {"a": 1}, 1j, object(), np.bool_(True), np.str_("0.5"),
        np.array([0.5, 1.0]), np.array([]), np.array(["1"]), np.array([True]), np.complex128(1), Torch(1, shape=(2,)),
        Torch(True), TensorFlow(1, shape=(2,)), float,
    ],
    ids=lambda value: "object" if type(value) is object else repr(value),
)  # fmt: skip
def test_what_is_no_number_is_an_error_in_a_notebook_too(
    monkeypatch: pytest.MonkeyPatch, value: object
) -> None:
    monkeypatch.delenv("SPARKSWEEP_TRIAL_DIR", raising=False)
    with pytest.raises(TypeError, match="accuracy is not a number but a"):
        report(1, accuracy=value)  # type: ignore[arg-type]


def test_the_error_for_a_large_array_names_its_shape() -> None:
    with pytest.raises(TypeError, match=r"^loss is not a number but a ndarray of shape \(3, 1\)$"):
        report(1, loss=np.zeros((3, 1)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0), (-3, -3), (2**53 - 1, 2**53 - 1), (3.0, 3), (np.int32(4), 4), (np.float64(5), 5), (np.array([6]), 6),
        (Torch(7), 7), (TensorFlow(8), 8),
    ],
)  # fmt: skip
def test_every_kind_of_whole_number_is_a_step(trial: Path, step: object, expected: int) -> None:
    report(step, loss=1)  # type: ignore[arg-type]
    assert [line.step for line in reported(trial)] == [expected]


@pytest.mark.parametrize("step", ["1", 1.5, None, True, math.nan, [1], np.array([1, 2])])
def test_what_is_no_whole_number_is_no_step(step: object) -> None:
    with pytest.raises(TypeError, match="the step is not a whole number but a"):
        report(step, loss=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("step", [2**53, -(2**53), 10**400, math.inf])
def test_a_step_has_a_bound(step: float) -> None:
    with pytest.raises(ValueError, match=r"the step must be below 2\*\*53, and is "):
        report(step, loss=1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    ["val acc", "précision", "精度", "metrics/mAP50-95(B)", "a" * 128, "a.b:c|d@e%", "🎯", "x[0]"],
)
def test_a_metric_may_have_any_printable_name(trial: Path, name: str) -> None:
    report(1, **{name: 0.5})
    assert [line.metrics for line in reported(trial)] == [{name: 0.5}]


@pytest.mark.parametrize("name", ["", "a" * 129, "a\nb", "a\tb", "\x1b[31mred", "\ud800", "\0"])
def test_a_name_that_can_not_be_shown_is_refused(trial: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is no name for a metric: it needs 1 to 128 characters"):
        report(1, **{name: 0.5})
    assert not (trial / "metrics.jsonl").exists()


def test_a_report_that_no_reader_would_take_is_refused(trial: Path) -> None:
    with pytest.raises(ValueError, match=r"the 3000 metrics of step 1 take .* at most 65536"):
        report(1, **{f"layer/{number:020d}": 1.0 for number in range(3000)})
    report(2, **{f"layer/{number}": 1.0 for number in range(2000)})
    assert [len(line.metrics) for line in reported(trial)] == [2000]


def test_a_report_without_metrics_leaves_nothing(trial: Path) -> None:
    report(1)
    assert not (trial / "metrics.jsonl").exists()


def test_threads_and_processes_report_whole_lines(trial: Path) -> None:
    wide = {f"metric-{number}": 0.5 for number in range(400)}

    def work(_: int) -> None:
        for step in range(50):
            report(step, **wide)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert len(reported(trial)) == 200


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
