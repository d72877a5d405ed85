"""Reports of a local run's trials, followed for TensorBoard and for displays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sparksweep._local import reports as reports_module
from sparksweep._local.reports import ReportFollower
from sparksweep_core.api import TrialState
from sparksweep_core.api.status import ReportedMetrics
from sparksweep_trainer.slot.trial_logs import keep_earlier_logs
from sparksweep_trainer.tensorboard_events.recorder import RunRecorder
from support.sdk.made_run import MadeRun
from support.trainer.event_files import plugin_data, read_events, scalars
from support.trainer.stage import soon


class Followed:
    """A run whose trials a test drives, and what is known of their reports."""

    def __init__(self, path: Path, *, tensorboard: bool = True, interval_s: float = 0.01) -> None:
        self.run = MadeRun(path)
        self.reported: list[tuple[int, int, int]] = []
        recorder = RunRecorder(
            self.run.directory.trials,
            self.run.document.spec,
            tensorboard=tensorboard,
            on_report=self._take,
        )
        self.follower = ReportFollower(self.run.directory, recorder, interval_s=interval_s)

    def _take(self, number: int, attempt: int, report: ReportedMetrics) -> None:
        self.reported.append((number, attempt, report.step))

    def put(self, number: int, state: TrialState, *, attempt: int = 1, **fields: object) -> None:
        """Record a status as the driver does, after the slot has begun the attempt or ended it."""
        self.run.put(number, state, attempt=attempt, **fields)
        trials = self.run.directory.read_trials()
        self.follower.record([trial for trial in trials if trial.number == number])

    def begin(self, number: int, attempt: int = 1) -> None:
        """Start an attempt: the driver records it first."""
        self.put(number, TrialState.RUNNING, attempt=attempt)
        self.run.file(number, "")
        keep_earlier_logs(self.run.directory.trial(number), attempt)
        self.run.file(number, "stdout.log").touch()

    def scalars(self, number: int) -> list[tuple[str, int, float]]:
        (file,) = self.run.directory.trial(number).glob("events.out.tfevents.*")
        return scalars(read_events(file))


Follow = Callable[..., Followed]


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Follow]:
    made: list[Followed] = []

    def follow(**options: Any) -> Followed:
        made.append(Followed(tmp_path / f"run-{len(made)}", **options))
        return made[-1]

    yield follow
    for followed in made:
        followed.run.end()


@pytest.fixture
def followed(follow: Follow) -> Followed:
    return follow()


def test_reports_are_read_while_a_trial_runs_and_plotted(followed: Followed) -> None:
    followed.follower.start(followed.run.directory.read_trials())
    followed.begin(1)
    followed.run.report(1, [(1, {"loss": 0.5})])
    assert soon(lambda: followed.reported == [(1, 1, 1)])
    followed.run.report(1, [(2, {"loss": 0.25})])
    assert soon(lambda: followed.reported == [(1, 1, 1), (1, 1, 2)])
    followed.put(1, TrialState.SUCCEEDED, metrics={"loss": 0.125})
    followed.follower.close()
    assert followed.scalars(1) == [("loss", 1, 0.5), ("loss", 2, 0.25), ("loss", 3, 0.125)]


@pytest.mark.parametrize("interval_s", [0.001, 600])
def test_what_a_short_trial_reports_is_complete_at_its_end(
    follow: Follow, interval_s: float
) -> None:
    followed = follow(interval_s=interval_s)
    followed.follower.start(followed.run.directory.read_trials())
    for number in (1, 2, 3):
        followed.begin(number)
        steps = range(20_000 * (number == 2) + 5)
        followed.run.report(number, [(step, {"loss": 1.0}) for step in steps])
        followed.put(number, TrialState.SUCCEEDED, metrics={"loss": 1.0})
    followed.follower.close()
    # Of the long curve 10,000 values, and every tenth of the other 10,005.
    assert [len(followed.scalars(number)) for number in (1, 2, 3)] == [6, 11_002, 6]


@pytest.mark.parametrize("interval_s", [0.001, 600])
def test_a_retried_trial_shows_its_last_attempt_alone(follow: Follow, interval_s: float) -> None:
    followed = follow(interval_s=interval_s)
    followed.follower.start(followed.run.directory.read_trials())
    for attempt in (1, 2, 3):
        followed.begin(1, attempt)
        followed.run.report(1, [(attempt * 10, {"loss": float(attempt)})])
        if attempt < 3:
            followed.put(1, TrialState.PENDING, attempt=attempt)
    followed.put(1, TrialState.FAILED, attempt=3)
    followed.follower.close()
    assert followed.scalars(1) == [("loss", 30, 3.0)]
    assert all(step == attempt * 10 for _, attempt, step in followed.reported)


def test_the_file_of_an_attempt_before_is_not_read_for_the_next_one(followed: Followed) -> None:
    followed.follower.start(followed.run.directory.read_trials())
    followed.begin(1)
    followed.run.report(1, [(1, {"loss": 9.0})])
    followed.put(1, TrialState.PENDING)
    # The driver has assigned the next attempt, and its slot has not begun yet.
    followed.put(1, TrialState.RUNNING, attempt=2)
    followed.begin(2)
    followed.run.report(2, [(1, {"loss": 0.5})])
    assert soon(lambda: (2, 1, 1) in followed.reported)
    assert (1, 2, 1) not in followed.reported
    followed.follower.close()


def test_trials_of_an_earlier_run_get_the_files_that_they_lack(followed: Followed) -> None:
    """A version that wrote none, or a process that was killed before it did."""
    followed.run.report(1, [(1, {"loss": 0.5})])
    followed.run.put(1, TrialState.SUCCEEDED, metrics={"loss": 0.25})
    followed.run.put(2, TrialState.STOPPED, attempt=0)
    followed.follower.start(followed.run.directory.read_trials())
    followed.follower.close()
    assert followed.scalars(1) == [("loss", 1, 0.5), ("loss", 2, 0.25)]
    assert not followed.run.directory.trial(2).exists()


def test_without_tensorboard_reports_are_passed_on_all_the_same(follow: Follow) -> None:
    followed = follow(tensorboard=False)
    followed.follower.start(followed.run.directory.read_trials())
    followed.begin(1)
    followed.run.report(1, [(4, {"loss": 0.5})])
    followed.put(1, TrialState.SUCCEEDED)
    followed.follower.close()
    assert followed.reported == [(1, 1, 4)]
    assert list(followed.run.directory.trials.rglob("events.out*")) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.mkdir(),
        lambda file: file.symlink_to("/etc/passwd"),
        lambda file: file.write_bytes(b"\xff" * 100_000 + b"\n" * 1000 + b"{}\n" + b"[" * 90_000),
        lambda file: None,
    ],
    ids=["directory", "link", "binary", "none"],
)
def test_whatever_is_in_place_of_the_file_does_no_harm(
    followed: Followed, damage: Callable[[Path], None]
) -> None:
    followed.follower.start(followed.run.directory.read_trials())
    followed.begin(1)
    damage(followed.run.file(1, "metrics.jsonl"))
    followed.put(1, TrialState.SUCCEEDED, metrics={"loss": 1.0})
    followed.begin(2)
    followed.run.report(2, [(1, {"loss": 0.5})])
    followed.put(2, TrialState.SUCCEEDED, metrics={"loss": 1.0})
    followed.follower.close()
    assert followed.reported == [(2, 1, 1)]
    assert followed.scalars(1) == [("loss", 0, 1.0)]


def test_an_error_costs_reports_and_not_the_run(
    followed: Followed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reports_module, "write_missing_sessions", lambda *_: 1 / 0)
    followed.follower.start(followed.run.directory.read_trials())
    followed.put(1, TrialState.RUNNING)
    followed.follower.close()
    assert "reports are not followed any more" in caplog.text


def test_a_follower_that_was_never_started_can_be_closed(followed: Followed) -> None:
    followed.follower.close()


def test_the_page_of_parameters_has_a_row_for_each_trial(followed: Followed) -> None:
    followed.follower.start(followed.run.directory.read_trials())
    followed.begin(1)
    followed.put(1, TrialState.FAILED)
    followed.follower.close()
    (columns,) = followed.run.directory.trials.glob("events.out.tfevents.*")
    experiment = plugin_data(read_events(columns)[0]).experiment
    assert [info.name for info in experiment.hparam_infos] == ["x"]
    assert [info.name.tag for info in experiment.metric_infos] == ["loss"]
    (file,) = followed.run.directory.trial(1).glob("events.out.tfevents.*")
    start, end = read_events(file)
    assert plugin_data(start).session_start_info.hparams["x"].number_value == 0.1
    assert plugin_data(end).session_end_info.status == 2
