"""Each trial's session for TensorBoard, whatever it reports and however it ends."""

import errno
import json
import math
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sparksweep_core.api import Objective, TrialState, TrialStatus
from sparksweep_core.contract.line_formats import report_line
from sparksweep_trainer.files.reports import ReportParser
from sparksweep_trainer.tensorboard_events import sessions
from sparksweep_trainer.tensorboard_events.sessions import Sessions
from support.trainer.event_files import plugin_data, read_events, scalars
from support.trainer.session_values import OBJECTIVE, PARAMETERS, VALUES

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class SessionFiles:
    """Sessions, and the event files that they write below a directory."""

    def __init__(self, root: Path, objective: Objective | None = OBJECTIVE) -> None:
        self.root = root
        self.sessions = Sessions(root, PARAMETERS, objective)
        self.parser = ReportParser()

    def put(self, state: TrialState, *, number: int = 7, attempt: int = 1, **fields: Any) -> None:
        status = TrialStatus.model_validate({
            "number": number, "state": state, "attempt": attempt, "start_time": NOW, **fields,
        })  # fmt: skip
        self.sessions.put(status, VALUES)

    def report(self, *lines: object, number: int = 7) -> None:
        text = "".join(
            (line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines
        )
        self.feed(text.encode(), number=number)

    def feed(self, data: bytes, *, number: int = 7) -> None:
        self.sessions.report(number, self.parser.feed(number, data))

    def events(self, directory: str = "0007") -> list[Any]:
        (file,) = (self.root / directory).glob("events.out.tfevents.*")
        return read_events(file)

    def metrics(self) -> list[str]:
        experiment = plugin_data(self.events(".")[0]).experiment
        return [info.name.tag for info in experiment.metric_infos]


@pytest.fixture
def files(tmp_path: Path) -> SessionFiles:
    return SessionFiles(tmp_path)


def test_the_page_is_about_every_parameter_and_metric(files: SessionFiles) -> None:
    experiment = plugin_data(files.events(".")[0]).experiment
    assert [(info.name, info.type) for info in experiment.hparam_infos] == [("lr", 3), ("kind", 1)]
    assert files.metrics() == ["accuracy", "loss"]


def test_a_trial_that_reports_nothing_shows_its_parameters_and_metrics(files: SessionFiles) -> None:
    files.put(TrialState.RUNNING)
    (start,) = files.events()
    begun = plugin_data(start).session_start_info
    assert begun.hparams["lr"].number_value == 0.5
    assert begun.hparams["kind"].string_value == "a"
    files.put(TrialState.SUCCEEDED, metrics={"accuracy": 0.75, "loss": 2.0})
    *_, end = events = files.events()
    assert plugin_data(end).session_end_info.status == 1
    assert scalars(events) == [("accuracy", 0, 0.75), ("loss", 0, 2.0)]


def test_what_a_trial_reports_is_plotted_and_its_last_metrics_come_after(
    files: SessionFiles,
) -> None:
    files.put(TrialState.RUNNING)
    files.report({"step": 1, "time": 5.5, "metrics": {"accuracy": 0.25}})
    files.feed(b'{"step": 2, "time": 6.5, ')
    files.feed(b'"metrics": {"accuracy": 0.5, "loss": "0.5"}}\n')
    files.put(TrialState.SUCCEEDED, metrics={"accuracy": 0.5})
    assert scalars(files.events()) == [
        ("accuracy", 1, 0.25), ("accuracy", 2, 0.5), ("accuracy", 2, 0.5),
    ]  # fmt: skip
    assert [event.wall_time for event in files.events()][1:3] == [5.5, 6.5]


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        "{}",
        '{"step": 1, "time": 1}',
        '{"step": "1", "time": 1, "metrics": {"a": 1}}',
        '{"step": 1, "time": NaN, "metrics": {"a": 1}}',
        '{"step": 1, "time": "now", "metrics": {"a": 1}}',
        '{"step": 1, "time": 1, "metrics": {"a": true}}',
        '{"step": true, "time": 1, "metrics": {"a": 1}}',
        '{"step": 1, "time": 1e300, "metrics": {"a": 1}}',
        '{"step": 1, "time": 1, "metrics": {"": 1, "a\\nb": 1, "\\ud800": 1, "%s": 1}}'
        % ("x" * 129),
        '{"step": 1, "time": 1, "metrics": {"a": "1"}}',
        '{"step": 1, "time": 1, "metrics": [1]}',
        '{"step": 1e400, "time": 1, "metrics": {"a": 1}}',
        '{"step": ' + "9" * 400 + ', "time": 1, "metrics": {"a": 1}}',
        '{"step": 1, "time": 1, "metrics": {"a": ' + "9" * 400 + "}}",
        "[" * 100_000,
        "x" * 70_000,
    ],
)
def test_whatever_a_trial_writes_does_no_harm(files: SessionFiles, line: str) -> None:
    files.put(TrialState.RUNNING)
    files.report(line, {"step": 3, "time": 1, "metrics": {"a": 1}})
    assert scalars(files.events()) == [("a", 3, 1.0)]


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        # Steps in any order, repeated, and negative ones.
        ([(3, {"a": 0.5}), (1, {"a": 0.25})], [("a", 3, 0.5), ("a", 1, 0.25)]),
        ([(1, {"a": 0.5}), (1, {"a": 0.25})], [("a", 1, 0.5), ("a", 1, 0.25)]),
        ([(-1, {"a": 0.5}), (0, {"a": 1.0})], [("a", -1, 0.5), ("a", 0, 1.0)]),
        ([(2**53 - 1, {"a": 1.0})], [("a", 2**53 - 1, 1.0)]),
        # Values that JSON has no number for, and those beyond TensorBoard's 32 bits.
        ([(1, {"a": math.nan})], [("a", 1, math.nan)]),
        ([(1, {"a": math.inf, "b": -math.inf})], [("a", 1, math.inf), ("b", 1, -math.inf)]),
        ([(1, {"a": 1e300, "b": -1e300})], [("a", 1, math.inf), ("b", 1, -math.inf)]),
        ([(1, {"a": 5e-324, "b": -0.0})], [("a", 1, 0.0), ("b", 1, -0.0)]),
        # Names of any kind.
        *(
            ([(1, {name: 1.0})], [(name, 1, 1.0)])
            for name in (
                "val acc", "précision", "精度", "метрика", "metrics/mAP50-95(B)", "a" * 128, "loss%", "x[0]", "{lr}",
                "_hparams_/session_start_info", "../../etc", "a\\b", '"quoted"', "<b>", "🎯", "step", "0",
            )
        ),
        # More metrics than a status holds.
        (
            [(1, {f"m{n}": float(n) for n in range(100)})],
            [(f"m{n}", 1, float(n)) for n in range(100)],
        ),
    ],
)  # fmt: skip
def test_every_report_is_plotted_as_it_was_made(
    files: SessionFiles,
    reports: list[tuple[int, dict[str, float]]],
    expected: list[tuple[str, int, float]],
) -> None:
    files.put(TrialState.RUNNING)
    for step, metrics in reports:
        files.feed(report_line(step, 1.0, metrics).encode())
    # As text: NaN is not equal to itself.
    assert str(scalars(files.events())) == str(expected)


def test_of_a_long_curve_every_tenth_value_is_written_then_every_hundredth(
    files: SessionFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MAX_POINTS", 10)
    files.put(TrialState.RUNNING)
    for step in range(250):
        values = {"often": float(step)} | ({"seldom": 1.0} if step % 50 == 0 else {})
        files.feed(report_line(step, 1.0, values).encode())
    written = scalars(files.events())
    often = [step for name, step, _ in written if name == "often"]
    assert often == [*range(10), *range(10, 100, 10), 100, 200]
    assert [step for name, step, _ in written if name == "seldom"] == [0, 50, 100, 150, 200]


@pytest.mark.parametrize(
    ("reports", "final", "expected"),
    [
        ([], {"a": 1.0}, ("a", 0, 1.0)),
        ([(3, {"a": 1.0})], {"a": 1.0}, ("a", 3, 1.0)),
        ([(3, {"a": 2.0})], {"a": 1.0}, ("a", 4, 1.0)),
        ([(3, {"a": math.nan})], {"a": 1.0}, ("a", 4, 1.0)),
        ([(3, {"b": 2.0})], {"a": 1.0}, ("a", 3, 1.0)),
        ([(3, {"a": 1.0}), (1, {"a": 2.0})], {"a": 1.0}, ("a", 3, 1.0)),
        ([(3, {"a": 2.0}), (3, {"a": 1.0})], {"a": 1.0}, ("a", 3, 1.0)),
        ([(-5, {"a": 2.0})], {"a": 1.0}, ("a", -4, 1.0)),
    ],
)
def test_final_metrics_replace_no_other_value_that_was_reported(
    files: SessionFiles,
    reports: list[tuple[int, dict[str, float]]],
    final: dict[str, float],
    expected: tuple[str, int, float],
) -> None:
    files.put(TrialState.RUNNING)
    for step, metrics in reports:
        files.feed(report_line(step, 1.0, metrics).encode())
    files.put(TrialState.SUCCEEDED, metrics=final)
    assert scalars(files.events())[-1] == expected


def test_a_later_attempt_replaces_the_events_of_the_earlier_one(files: SessionFiles) -> None:
    files.put(TrialState.RUNNING)
    files.report({"step": 9, "time": 1, "metrics": {"accuracy": 0.1}})
    files.put(TrialState.PENDING)
    files.report({"step": 10, "time": 1, "metrics": {"accuracy": 0.1}})
    files.put(TrialState.RUNNING, attempt=2)
    files.put(TrialState.FAILED, attempt=2)
    assert scalars(files.events()) == []
    assert plugin_data(files.events()[-1]).session_end_info.status == 2


def test_without_an_objective_metrics_are_known_when_the_first_trial_has_them(
    tmp_path: Path,
) -> None:
    files = SessionFiles(tmp_path, objective=None)
    assert files.metrics() == []
    files.put(TrialState.RUNNING)
    files.put(TrialState.SUCCEEDED, metrics={"b": 1.0, "a": 2.0})
    assert files.metrics() == ["a", "b"]


def test_a_trial_of_an_earlier_driver_is_written_as_a_whole(files: SessionFiles) -> None:
    assert not files.sessions.has_events(7)
    files.put(TrialState.SUCCEEDED, metrics={"accuracy": 0.5}, completion_time=NOW)
    assert files.sessions.has_events(7)
    start, *_, end = files.events()
    assert plugin_data(start).HasField("session_start_info")
    assert plugin_data(end).session_end_info.end_time_secs == NOW.timestamp()


@pytest.mark.parametrize("taken", [1, 11, 12, 40], ids=lambda taken: f"{taken} bytes")
def test_a_record_that_a_full_disk_takes_in_part_is_cut_off_and_later_ones_follow(
    files: SessionFiles, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    """A torn record would hide all that follow it: readers find the next one by its length."""
    files.put(TrialState.RUNNING)
    (file,) = (files.root / "0007").glob("events.out.tfevents.*")
    whole, pwrite = file.read_bytes(), os.pwrite
    sizes: list[int] = []

    def short(descriptor: int, data: bytes, offset: int) -> int:
        if sizes:
            sizes.append(file.stat().st_size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sizes.append(file.stat().st_size)
        return pwrite(descriptor, data[:taken], offset)

    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", short)
        files.report({"step": 1, "metrics": {"loss": 1.0}, "time": 1.0})
    assert sizes == [len(whole), len(whole) + taken], "a part was written before the disk was full"
    assert file.read_bytes() == whole
    files.put(TrialState.SUCCEEDED, metrics={"accuracy": 0.5})
    assert ("accuracy", 1, 0.5) in scalars(files.events())
    assert plugin_data(files.events()[-1]).session_end_info.status == 1


def test_trials_that_never_started_have_no_session(files: SessionFiles) -> None:
    files.put(TrialState.STOPPED, attempt=0)
    assert not files.sessions.has_events(7)


def test_there_are_so_many_sessions_and_no_more(
    files: SessionFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 2)
    for number in (1, 2, 3):
        files.put(TrialState.RUNNING, number=number)
        files.put(TrialState.SUCCEEDED, number=number)
    assert [files.sessions.has_events(number) for number in (1, 2, 3)] == [True, True, False]
