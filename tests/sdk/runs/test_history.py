"""Metrics that a trial has reported, read from a run directory: all of them, and the newest in a running trial's status."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sparksweep._runs.history import ReportedStep, read_history
from sparksweep._runs.local_run import LocalRunReader
from sparksweep.errors import ClusterError, TrialNotFound
from sparksweep_core.api import Trial, TrialState
from sparksweep_core.api.columns import columns_of
from support.sdk.made_run import MadeRun, Reports


@pytest.fixture
def run(tmp_path: Path) -> Iterator[MadeRun]:
    with MadeRun(tmp_path / "run") as run:
        yield run


def reader(run: MadeRun) -> LocalRunReader:
    return LocalRunReader(run.path)


@pytest.mark.parametrize(
    "state", [TrialState.RUNNING, TrialState.SUCCEEDED, TrialState.FAILED, TrialState.STOPPED]
)
def test_every_report_is_in_the_history_in_the_order_of_its_line(
    run: MadeRun, state: TrialState
) -> None:
    run.report(1, [(2, {"loss": 0.5}), (1, {"loss": math.nan, "val acc": 1.0}), (1, {"ü": -1.5})])
    run.put(1, state)
    first, second, third = read_history(reader(run), 1)
    assert first == ReportedStep(2, datetime(2025, 11, 25, 13, 40, 2, tzinfo=UTC), {"loss": 0.5})
    assert str(second.metrics) == "{'loss': nan, 'val acc': 1.0}"
    assert (third.step, third.metrics) == (1, {"ü": -1.5})


def test_an_incomplete_last_line_and_what_is_no_report_are_left_out(run: MadeRun) -> None:
    run.report(1, [(1, {"loss": 0.5})])
    with run.file(1, "metrics.jsonl").open("ab") as file:
        file.write(b"no report\n\xff\n{}\n" + b"x" * 100_000 + b'\n{"step": 2, "ti')
    run.put(1, TrialState.RUNNING)
    assert [report.step for report in read_history(reader(run), 1)] == [1]


def test_a_long_history_is_read_in_parts(run: MadeRun) -> None:
    run.report(1, [(step, {"loss": step / 7}) for step in range(40_000)])
    run.put(1, TrialState.SUCCEEDED)
    history = read_history(reader(run), 1)
    assert [report.step for report in history] == list(range(40_000))


def test_an_earlier_attempt_has_a_history_of_its_own(run: MadeRun) -> None:
    run.report(1, [(1, {"loss": 9.0})], name="metrics.attempt-1.jsonl")
    run.file(1, "stdout.attempt-1.log").touch()
    run.report(1, [(1, {"loss": 0.5})])
    run.put(1, TrialState.FAILED, attempt=2)
    assert [report.metrics["loss"] for report in read_history(reader(run), 1)] == [0.5]
    assert [report.metrics["loss"] for report in read_history(reader(run), 1, attempt=1)] == [9.0]
    with pytest.raises(
        TrialNotFound, match=r"trial 1 of .* has no attempt 3: it was started twice"
    ):
        read_history(reader(run), 1, attempt=3)


def test_a_trial_that_has_reported_nothing_has_no_history(run: MadeRun) -> None:
    assert read_history(reader(run), 1) == []
    run.put(1, TrialState.SUCCEEDED)
    assert read_history(reader(run), 1) == []
    with pytest.raises(TrialNotFound, match="there is no trial 9"):
        read_history(reader(run), 9)


def test_the_files_of_a_cluster_that_are_gone_are_an_error_with_the_reason(
    run: MadeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.put(1, TrialState.SUCCEEDED)
    monkeypatch.setattr(LocalRunReader, "absence", lambda *_: "its pod was deleted")
    with pytest.raises(ClusterError, match=r"reports of trial 1 of .* can't be read: its pod was"):
        read_history(reader(run), 1)


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([], None),
        ([(1, {"loss": 0.5}), (2, {"loss": 0.25, "acc": 1.0})], (2, {"loss": 0.25, "acc": 1.0})),
        # The newest is the one made last, whatever its step.
        ([(5, {"loss": 0.5}), (1, {"loss": 0.25})], (1, {"loss": 0.25})),
        # A status holds neither NaN nor infinities.
        ([(1, {"loss": 0.5}), (2, {"loss": math.nan})], (1, {"loss": 0.5})),
        ([(2, {"loss": math.nan, "acc": 1.0})], (2, {"acc": 1.0})),
        ([(2, {"loss": math.inf}), (3, {"loss": -math.inf})], None),
        # Nor more than so many metrics.
        ([(1, {f"m{n}": 1.0 for n in range(40)})], (1, {f"m{n}": 1.0 for n in range(32)})),
        ([(n, {"loss": float(n)}) for n in range(5000)], (4999, {"loss": 4999.0})),
    ],
)
def test_a_running_trial_has_its_newest_report_in_its_status(
    run: MadeRun, reports: Reports, expected: tuple[int, dict[str, float]] | None
) -> None:
    run.report(1, reports)
    run.put(1, TrialState.RUNNING)
    reported = reader(run).trials()[0].status.reported
    assert (None if reported is None else (reported.step, reported.metrics)) == expected


@pytest.mark.parametrize(
    "state", [TrialState.PENDING, TrialState.SUCCEEDED, TrialState.FAILED, TrialState.STOPPED]
)
def test_a_trial_that_does_not_run_has_no_report_in_its_status(
    run: MadeRun, state: TrialState
) -> None:
    run.report(1, [(1, {"loss": 0.5})])
    run.put(1, state)
    assert reader(run).trials()[0].status.reported is None


def test_a_report_of_an_earlier_attempt_is_not_shown_for_the_next_one(run: MadeRun) -> None:
    run.report(1, [(7, {"loss": 9.0})])
    run.file(1, "stdout.log").touch()
    run.put(1, TrialState.RUNNING, attempt=2)
    assert reader(run).trials()[0].status.reported is None
    run.file(1, "metrics.jsonl").rename(run.file(1, "metrics.attempt-1.jsonl"))
    run.file(1, "stdout.log").rename(run.file(1, "stdout.attempt-1.log"))
    assert reader(run).trials()[0].status.reported is None
    run.report(1, [(1, {"loss": 0.5})])
    reported = reader(run).trials()[0].status.reported
    assert reported is not None
    assert reported.step == 1


def test_columns_hold_what_a_running_trial_reported_last(run: MadeRun) -> None:
    run.report(1, [(1, {"loss": 0.5, "grad": 2.0})])
    run.put(1, TrialState.RUNNING)
    run.report(2, [(1, {"loss": 9.0, "unused": 1.0})])
    run.put(2, TrialState.SUCCEEDED, metrics={"loss": 0.25})
    trials: list[Trial] = reader(run).trials()
    columns = columns_of(run.document.spec, trials)
    assert columns["metrics.loss"].values == [0.5, 0.25, None]
    assert columns["metrics.grad"].values == [2.0, None, None]
    assert "metrics.unused" not in columns
