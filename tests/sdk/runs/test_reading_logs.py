"""Logs of a run, read to their end or followed from one attempt to the next."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sparksweep._listing import Listing
from sparksweep._runs import follow
from sparksweep._runs.follow import AttemptStarted, follow_log, read_log
from sparksweep._runs.log_lines import Line
from sparksweep.cli import cli
from sparksweep.errors import TrialNotFound
from sparksweep_core.api import Experiment, Trial, TrialState, TrialStatus
from sparksweep_core.api.trial_batch import TrialSpec
from sparksweep_trainer.slot.trial_logs import TrialLog, keep_earlier_logs
from sparksweep_trainer.slot.trial_times import OutputTimes


class Run:
    """A run in a directory, whose trial 7 is driven by a test."""

    title = "the run"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state = TrialState.PENDING
        self.attempt = 0
        self.live = True

    def experiment(self) -> Experiment:
        raise NotImplementedError

    def trials(self) -> Listing[Trial]:
        raise NotImplementedError

    def trial(self, number: int) -> Trial | None:
        if number != 7:
            return None
        status = TrialStatus(number=7, state=self.state, attempt=self.attempt)
        return Trial(TrialSpec(number=7, parameters={}), status)

    def is_live(self) -> bool:
        return self.live

    def read(self, path: str, offset: int) -> bytes | None:
        file = self.directory / path
        # A few bytes at a time, as of a large file.
        return file.read_bytes()[offset : offset + 5] if file.exists() else None

    def location(self, number: int) -> str:
        raise NotImplementedError

    def absence(self, trial: Trial) -> str:
        return ""

    # Actions of the trial:

    @property
    def trial_directory(self) -> Path:
        return self.directory / "trials" / "0007"

    def begin(self) -> None:
        self.attempt += 1
        self.state = TrialState.RUNNING
        self.trial_directory.mkdir(parents=True, exist_ok=True)
        keep_earlier_logs(self.trial_directory, self.attempt)
        times = OutputTimes(self.trial_directory / "output.times")
        self.out = TrialLog(self.trial_directory / "stdout.log", times=times)
        self.err = TrialLog(self.trial_directory / "stderr.log", times=times)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def texts(lines: list[Any]) -> list[Any]:
    return [line.text if isinstance(line, Line) else line for line in lines]


def test_a_log_is_read_to_its_end_for_each_attempt(run: Run) -> None:
    run.begin()
    run.out.write(b"first try\n")
    run.begin()
    run.out.write(b"second try\nunfinished")
    assert texts(list(read_log(run, 7))) == [b"second try\n", b"unfinished"]
    assert texts(list(read_log(run, 7, attempt=1))) == [b"first try\n"]
    with pytest.raises(TrialNotFound, match="no attempt 3: it was started twice"):
        list(read_log(run, 7, attempt=3))
    with pytest.raises(TrialNotFound, match="there is no trial 8 in the run"):
        list(read_log(run, 8))


def test_a_trial_that_has_not_started_has_no_log(run: Run) -> None:
    assert list(read_log(run, 7)) == []


def pauses(steps: list[Callable[[], object]]) -> Callable[[float], None]:
    """Take one step in each pause."""
    ahead = iter(steps)

    def pause(_: float) -> None:
        next(ahead)()

    return pause


def test_a_log_is_followed_from_before_its_trial_starts_until_it_has_ended(run: Run) -> None:
    pause = pauses([
        run.begin,
        lambda: run.out.write(b"one\ntw"),
        lambda: run.out.write(b"o\n"),
        lambda: run.err.write(b"and more"),
        lambda: setattr(run, "state", TrialState.SUCCEEDED),
    ])  # fmt: skip
    found = list(follow_log(run, 7, pause=pause))
    assert texts(found) == [b"one\n", b"two\n", b"and more"]


def test_following_goes_on_with_the_next_attempt(run: Run) -> None:
    def fail() -> None:
        run.out.write(b"last words\n")
        run.begin()
        run.out.write(b"again\n")

    run.begin()
    run.out.write(b"one\n")
    pause = pauses([fail, lambda: setattr(run, "state", TrialState.FAILED)])
    found = list(follow_log(run, 7, pause=pause))
    assert texts(found) == [b"one\n", b"last words\n", AttemptStarted(2), b"again\n"]


def test_following_ends_when_nobody_runs_it_any_more(run: Run) -> None:
    run.begin()
    run.out.write(b"one\n")
    found = list(follow_log(run, 7, pause=lambda _: setattr(run, "live", False)))
    assert texts(found) == [b"one\n"]


def invoke(run: Run, monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    # By its name: the package has the command under it.
    monkeypatch.setattr(import_module("sparksweep.cli.logs"), "open_run", lambda *_: run)
    monkeypatch.setattr(follow, "POLL_S", 0.001)
    return CliRunner().invoke(cli, ["logs", "it", *words], standalone_mode=False)


def test_the_command_prints_lines_with_times_and_chooses_streams(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.begin()
    run.out.write(b"out\n")
    run.err.write(b"err")
    assert invoke(run, monkeypatch, "--trial", "7").stdout == "out\nerr\n"
    assert invoke(run, monkeypatch, "--trial", "7", "--stream", "stderr").stdout == "err\n"
    stamped = invoke(run, monkeypatch, "--trial", "7", "--timestamps").stdout.splitlines()
    assert stamped[0].endswith("Z out")
    run.state = TrialState.SUCCEEDED
    assert invoke(run, monkeypatch, "--trial", "7", "--follow").stdout == "out\nerr\n"


def test_the_command_says_why_there_is_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    result = invoke(run, monkeypatch, "--trial", "7")
    assert result.return_value == 1
    assert "it has not been started" in result.stderr
    run.begin()
    result = invoke(run, monkeypatch, "--trial", "7")
    assert "it has printed nothing so far" in result.stderr
    run.state = TrialState.SUCCEEDED
    result = invoke(run, monkeypatch, "--trial", "7")
    assert "it printed nothing." in result.stderr


def test_control_sequences_are_left_out_unless_all_bytes_are_asked_for(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.begin()
    sent = b"\x1b[1;32macc\x1b[0m=0.9\r\x1b]0;title\x07done \xff\x00\n"
    run.out.write(sent)
    shown = invoke(run, monkeypatch, "--trial", "7").stdout_bytes
    assert shown == b"acc=0.9\ndone \\xff\\x00\n"
    assert invoke(run, monkeypatch, "--trial", "7", "--raw").stdout_bytes == sent
