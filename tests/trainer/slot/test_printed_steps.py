"""Metrics that a command prints, as steps of the history that functions report."""

import math
import sys
from pathlib import Path

import pytest

from sparksweep_core.api import Objective, ObjectiveType
from sparksweep_trainer.files.reports import ReportParser
from sparksweep_trainer.slot import printed_steps
from sparksweep_trainer.slot.printed_steps import PrintedSteps
from support.trainer.trial_rig import Rig

OBJECTIVE = Objective(
    type=ObjectiveType.MINIMIZE, objective_metric_name="loss", additional_metric_names=["acc"]
)


def steps(path: Path) -> list[tuple[int, dict[str, float]]]:
    data = path.read_bytes() if path.exists() else b""
    return [(report.step, dict(report.metrics)) for report in ReportParser().feed(1, data)]


def of_command(directory: Path, script: str) -> list[tuple[int, dict[str, float]]]:
    with Rig(directory, None, command=["sh", "-c", script], objective=OBJECTIVE) as runs:
        runs.run()
        return steps(runs.runner.directory(1) / "metrics.jsonl")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo loss=0.5", [(1, {"loss": 0.5})]),
        ("echo loss=0.5; echo loss=0.25; echo loss=0.75", [
            (1, {"loss": 0.5}), (2, {"loss": 0.25}), (3, {"loss": 0.75}),
        ]),
        ("echo loss=0.5 acc=0.1; echo loss=0.25 acc=0.2", [
            (1, {"loss": 0.5, "acc": 0.1}), (2, {"loss": 0.25, "acc": 0.2}),
        ]),
        ("echo loss=0.5; echo loss=0.25 acc=0.2", [
            (1, {"loss": 0.5}), (2, {"loss": 0.25}), (1, {"acc": 0.2}),
        ]),
        ("echo other=1; echo loss=none; echo hello", []),
        ("printf 'loss=0.5\\rloss=0.25'", [(1, {"loss": 0.5}), (2, {"loss": 0.25})]),
        ("echo loss=0.5 >&2; sleep 0.2; echo loss=0.25", [(1, {"loss": 0.5}), (2, {"loss": 0.25})]),
        # A step counts even if the command fails after it.
        ("echo loss=0.5; exit 3", [(1, {"loss": 0.5})]),
    ],
)  # fmt: skip
def test_each_printed_value_is_a_step(
    tmp_path: Path, script: str, expected: list[tuple[int, dict[str, float]]]
) -> None:
    assert of_command(tmp_path, script) == expected


def test_values_that_are_not_finite_are_steps(tmp_path: Path) -> None:
    assert str(of_command(tmp_path, "echo loss=nan; echo loss=-inf")) == str(
        [(1, {"loss": math.nan}), (2, {"loss": -math.inf})]
    )


def test_a_command_that_reports_by_itself_has_its_own_steps_only(tmp_path: Path) -> None:
    program = "from sparksweep import report; report(7, loss=0.5); print('loss=0.25')"
    assert of_command(tmp_path, f'{sys.executable} -c "{program}"') == [(7, {"loss": 0.5})]


def test_printed_steps_end_where_the_command_begins_to_report(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    printed = PrintedSteps(path, clock=lambda: 1.0)
    printed.add({"loss": 0.5})
    with path.open("a") as file:
        file.write('{"step": 9, "time": 1, "metrics": {"loss": 0.25}}\n')
    printed.add({"loss": 0.125})
    printed.add({"loss": 0.125})
    assert steps(path) == [(1, {"loss": 0.5}), (9, {"loss": 0.25})]


def test_a_flood_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printed_steps, "MAX_REPORTS", 3)
    printed = PrintedSteps(tmp_path / "metrics.jsonl")
    for number in range(10):
        printed.add({"loss": float(number)})
    assert [step for step, _ in steps(tmp_path / "metrics.jsonl")] == [1, 2, 3]


def test_a_file_that_can_not_be_written_costs_reports_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    printed = PrintedSteps(tmp_path / "missing" / "metrics.jsonl")
    printed.add({"loss": 0.5})
    printed.add({"loss": 0.25})
    assert caplog.text.count("printed metrics are not reported") == 1
