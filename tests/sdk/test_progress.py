"""The progress that `Experiment.wait` shows where there is neither a terminal nor a notebook."""

from __future__ import annotations

import pytest

from sparksweep._progress import Progress, say
from sparksweep._summary import seconds_left, summary
from sparksweep_core.api import BestTrial, Experiment, ExperimentStatus, TrialCounts
from support.sdk.run_directories import discrete, experiment_of


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def at(succeeded: int, *, running: int = 0, failed: int = 0) -> Experiment:
    counts = TrialCounts(
        expected=40, created=40, succeeded=succeeded, running=running, failed=failed
    )
    best = BestTrial(
        number=3, attempt=1, objective=5.607961234567e-05, parameters={"rate": "1"}, metrics={}
    )
    status = ExperimentStatus(trials=counts, best_trial=best if succeeded else None)
    return experiment_of([discrete("rate", ["1"])]).model_copy(update={"status": status})


def test_lines_are_one_a_second_and_one_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Progress("digits", shown=True, clock=clock) as progress:
        for tick in range(100):
            clock.now = tick / 20
            progress.show(at(tick // 5, running=2 if tick else 0), "Starting Spark")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "digits: Starting Spark"
    assert lines[1] == "digits: 4/40 trials, 2 running, best score=5.60796e-05 (trial 3)"
    assert len(lines) == 6
    assert lines[-1].startswith("digits: 19/40 trials")


def test_nothing_new_is_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Progress("digits", shown=True, clock=clock) as progress:
        for clock.now in range(50):
            progress.show(at(1, running=1), "")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_without_progress_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("digits", shown=False) as progress:
        progress.show(at(1), "Starting")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("broken", [None, "closed"])
def test_nobody_who_reads_is_no_error(monkeypatch: pytest.MonkeyPatch, broken: str | None) -> None:
    class Closed:
        def write(self, _: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", Closed() if broken else None)
    say("hello")


@pytest.mark.parametrize(
    ("expected", "succeeded", "durations", "elapsed", "slots", "left"),
    [
        (10, 2, [10.0, 20.0], [], 2, 60.0),
        (10, 2, [10.0, 20.0], [5.0, 40.0], 2, 50.0),
        (10, 9, [10.0], [10.0], 4, 0.0),
        (10, 10, [10.0], [], 4, 0.0),
        (3, 1, [10.0], [0.0, 0.0], 8, 10.0),
        (10, 0, [], [1.0], 2, None),
        (None, 5, [1.0], [1.0], 2, None),
    ],
)
def test_the_time_that_is_left(
    expected: int | None,
    succeeded: int,
    durations: list[float],
    elapsed: list[float],
    slots: int,
    left: float | None,
) -> None:
    counts = TrialCounts(expected=expected, succeeded=succeeded, running=len(elapsed))
    assert seconds_left(counts, slots=slots, durations_s=durations, elapsed_s=elapsed) == left


def test_a_summary() -> None:
    assert summary(at(0)) == "0/40 trials"
    assert summary(at(3, running=2, failed=1), left_s=65) == (
        "4/40 trials, 2 running, 1 failed, best score=5.60796e-05 (trial 3), about 1m05s left"
    )
