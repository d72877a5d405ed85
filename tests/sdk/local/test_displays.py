"""The display of a run: the live display, plain lines, and the table at the end."""

import io
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

import pytest

from sparksweep._summary import summary
from sparksweep.cli.displays import MOST_RUNNING, LiveDisplay, PlainDisplay
from sparksweep.cli.output import Output
from sparksweep.cli.tables import MOST_ROWS, Choice, TrialsTable, trials_table
from sparksweep_core.api import (
    BestTrial,
    Condition,
    ConditionType,
    Experiment,
    ExperimentReason,
    ExperimentStatus,
    Trial,
    TrialCounts,
    TrialReason,
    TrialSpec,
    TrialState,
    TrialStatus,
)
from sparksweep_core.api.status import ReportedMetrics
from sparksweep_core.validation.document import parse_experiment

TRACEBACK = 'Traceback (most recent call last):\n  File "train.py", line 2\nValueError: boom'


def experiment(status: ExperimentStatus | None = None) -> Experiment:
    found = parse_experiment(
        {
            "apiVersion": "sparksweep.dev/v1alpha1",
            "kind": "Experiment",
            "metadata": {"name": "digits"},
            "spec": {
                "objective": {"type": "maximize", "objectiveMetricName": "accuracy"},
                "algorithm": {"algorithmName": "grid"},
                "parameters": [
                    {
                        "name": "rate",
                        "parameterType": "double",
                        "feasibleSpace": {"min": "1", "max": "99", "step": "1"},
                    }
                ],
                "trialTemplate": {"function": "train:training"},
            },
        }
    )
    return found.model_copy(update={"status": status})


def trial(
    number: int,
    state: TrialState,
    *,
    reason: TrialReason | None = None,
    message: str | None = None,
    metrics: Mapping[str, float] | None = None,
    attempt: int = 1,
) -> Trial:
    return Trial(
        TrialSpec(number=number, parameters={"rate": str(number)}),
        TrialStatus(
            number=number,
            state=state,
            attempt=attempt,
            reason=reason,
            message=message,
            metrics=dict(metrics or {}),
            duration_seconds=1.5 if state.is_finished else None,
        ),
    )


SUCCEEDED = trial(
    1, TrialState.SUCCEEDED, reason=TrialReason.COMPLETED, metrics={"accuracy": 0.123456789}
)
FAILED = trial(2, TrialState.FAILED, reason=TrialReason.EXCEPTION, message=TRACEBACK)
STOPPED = trial(
    3, TrialState.STOPPED, reason=TrialReason.EXPERIMENT_FAILED, message="2 trials failed: boom"
)


NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def output(*, terminal: bool = False) -> tuple[Output, io.StringIO]:
    stream = io.StringIO()
    return Output(stream, width=100, is_terminal=terminal), stream


def texts(table: TrialsTable) -> list[str]:
    return ["".join(span.text for span in line) for line in table.lines]


def table(*trials: Trial, rows: int | None = None) -> list[str]:
    found = trials_table(experiment(), trials, Choice(rows=rows), now=NOW)
    return [*texts(found), *found.notes]


def test_a_table_has_a_row_for_each_trial() -> None:
    head, first, second = table(SUCCEEDED, trial(4, TrialState.RUNNING))
    assert head.split() == ["Trial", "State", "accuracy", "rate", "Time", "Memory"]
    assert first.split() == ["1", "Succeeded", "0.123457", "1", "1.5s"]
    assert second.split() == ["4", "Running", "4"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (TRACEBACK, "Exception: ValueError: boom"),
        ("used 2Gi, limit 1Gi: raise it\nMemoryError", "Exception: used 2Gi, limit 1Gi: raise it"),
        ("exit code 2; standard error ends with:\nx", "Exception: exit code 2; standard error ends with:"),
        (None, "Exception"),
    ],
)  # fmt: skip
def test_a_failure_shows_the_line_that_says_most(message: str | None, reason: str) -> None:
    row = table(trial(2, TrialState.FAILED, reason=TrialReason.EXCEPTION, message=message))[1]
    assert row.partition("1.5s")[2].strip() == reason


def test_a_stopped_trial_shows_its_reason_alone() -> None:
    assert table(STOPPED)[1].endswith("1.5s          ExperimentFailed")


def test_a_long_table_says_how_many_more_there_are_unless_all_are_asked_for() -> None:
    trials = [trial(n, TrialState.PENDING) for n in range(1, MOST_ROWS + 6)]
    short = table(*trials, rows=MOST_ROWS)
    assert len(short) == MOST_ROWS + 2
    assert "and 5 more" in short[-1]
    assert len(table(*trials)) == len(trials) + 1


def test_a_random_doubles_first_digits_are_enough_for_a_table() -> None:
    drawn = trial(1, TrialState.PENDING)
    drawn = replace(drawn, spec=TrialSpec(number=1, parameters={"rate": "0.01134163327384196"}))
    assert table(drawn)[1].split() == ["1", "Pending", "0.0113416"]


def test_plain_lines_tell_every_change_that_has_a_second_of_its_own() -> None:
    out, stream = output()
    clock = Clock()
    with PlainDisplay(out, clock=clock) as display:
        display.status_changed(experiment())
        display.phase("Starting Spark")
        for changed in (
            trial(9, TrialState.PENDING, attempt=0),
            trial(1, TrialState.RUNNING, attempt=2),
            SUCCEEDED,
            FAILED,
            STOPPED,
        ):
            clock.now += 1
            display.trial_changed(changed)
    assert stream.getvalue().splitlines() == [
        "Starting Spark ...",
        "trial 1 (attempt 2) Running: rate=1",
        "trial 1 Succeeded: rate=1 -> accuracy=0.123457 in 1.5s",
        "trial 2 Failed: rate=2 -> Exception: ValueError: boom in 1.5s",
        "trial 3 Stopped: rate=3 -> ExperimentFailed in 1.5s",
    ]


def test_plain_lines_are_one_a_second_and_one_at_the_end() -> None:
    out, stream = output()
    clock = Clock()
    with PlainDisplay(out, clock=clock) as display:
        display.phase("Starting Spark")
        for number in range(1, 101):
            clock.now += 0.05
            state = TrialState.FAILED if number % 30 == 0 else TrialState.SUCCEEDED
            changed = trial(number, state, reason=TrialReason.EXCEPTION, message="boom")
            display.trial_changed(changed)
            counts = TrialCounts(expected=100, created=100, succeeded=number, running=2)
            display.status_changed(experiment(ExperimentStatus(trials=counts)))
    lines = stream.getvalue().splitlines()
    assert 5 <= len(lines) <= 7
    assert lines[0] == "Starting Spark ..."
    assert all("/100 trials, 2 running" in line for line in lines[1:])
    assert re.search(", about [0-9]+s left", lines[2])
    for number in (30, 60, 90):
        assert f"trial {number} Failed: rate={number} -> Exception: boom" in stream.getvalue()
    assert lines[-1].startswith("100/100 trials")


def test_a_quiet_run_prints_nothing() -> None:
    out, stream = output()
    with PlainDisplay(out, quiet=True) as display:
        display.phase("Starting Spark")
        display.trial_changed(SUCCEEDED)
        display.note("resources.gpu is for a cluster")
    assert stream.getvalue() == ""


def running(number: int, **status: object) -> Trial:
    found = trial(number, TrialState.RUNNING)
    return replace(found, status=found.status.model_copy(update=status))


def test_the_live_display_shows_progress_counts_running_trials_and_the_best() -> None:
    status = ExperimentStatus(
        trials=TrialCounts(expected=40, created=20, pending=3, running=14, succeeded=1, failed=2),
        best_trial=BestTrial(
            number=1, attempt=1, objective=0.5, parameters={"rate": "1"}, metrics={"accuracy": 0.5}
        ),
    )
    out, stream = output(terminal=True)
    with LiveDisplay(out) as display:
        display.phase("Starting Spark")
        display.status_changed(experiment())
        assert "Starting Spark" in drawn(display)
        for number in range(5, 5 + MOST_RUNNING + 2):
            display.trial_changed(running(number))
        display.trial_changed(FAILED)
        display.status_changed(experiment(status))
        text = drawn(display)
        display.trial_changed(trial(5, TrialState.SUCCEEDED))
        assert "trial 5 " not in drawn(display)
        assert "Starting Spark" not in drawn(display)
        display.phase("Interrupted: stopping the running trials")
        assert "Interrupted" in drawn(display)
    assert "Interrupted" not in drawn(display)
    assert "3/40" in text
    assert "succeeded 1  failed 2  running 14  pending 3" in text
    assert "best accuracy=0.5 (trial 1: rate=1)" in text
    assert "trial 5 " in text
    assert f"trial {5 + MOST_RUNNING} " not in text
    assert "and 2 more" in text
    # A failure stays on the screen.
    assert "trial 2 Failed: rate=2 -> Exception: ValueError: boom" in stream.getvalue()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (ConditionType.SUSPENDED, ExperimentReason.INTERRUPTED),
        (ConditionType.SUSPENDED, ExperimentReason.SUSPENDED_BY_USER),
        (ConditionType.RUNNING, ExperimentReason.STOPPING),
        (ConditionType.COMPLETE, ExperimentReason.GOAL_REACHED),
        (ConditionType.FAILED, ExperimentReason.DEADLINE_EXCEEDED),
    ],
)
@pytest.mark.parametrize("holds", [True, False])
@pytest.mark.parametrize("running_count", [2, 0])
def test_while_trials_are_being_stopped_no_time_is_left(
    kind: ConditionType, reason: ExperimentReason, holds: bool, running_count: int
) -> None:
    state: Literal["True", "False"] = "True" if holds else "False"
    status = ExperimentStatus(
        trials=TrialCounts(expected=9, created=5, running=running_count, succeeded=1),
        conditions=[
            Condition(type=kind, status=state, reason=reason, message="", last_transition_time=datetime.now(UTC))
        ],
    )  # fmt: skip
    line = summary(experiment(status), left_s=12)
    display = LiveDisplay(output(terminal=True)[0], clock=Clock())
    display.trial_changed(trial(1, TrialState.SUCCEEDED))
    display.status_changed(experiment(status))
    for text in (line, drawn(display).splitlines()[0]):
        assert ("left" in text) == (not holds), text
        assert ("stopping" in text) == (holds and running_count > 0), text


def test_the_live_display_shows_reports_and_the_time_of_trials_and_estimates_the_end() -> None:
    clock = Clock()
    display = LiveDisplay(output(terminal=True)[0], clock=clock)
    counts = TrialCounts(expected=5, created=5, pending=2, running=2, succeeded=1)
    display.status_changed(experiment(ExperimentStatus(trials=counts)))
    assert "left" not in drawn(display)
    ended = trial(1, TrialState.SUCCEEDED)
    duration = ended.status.model_copy(update={"duration_seconds": 60.0})
    display.trial_changed(replace(ended, status=duration))
    display.trial_changed(running(2))
    clock.now += 30
    report = ReportedMetrics(step=3, metrics={"accuracy": 0.912345678, "loss": 0.25})
    display.trial_changed(running(2, reported=report))
    display.trial_changed(running(3))
    lines = drawn(display).splitlines()
    # Two trials of a minute wait, and 30 s and 60 s of the running ones are left, in three slots.
    assert lines[0].endswith("1/5  30s, about 1m10s left")
    assert lines[2] == "  trial 2  30s  step 3: accuracy=0.912346 loss=0.25  rate=2"
    assert lines[3] == "  trial 3   0s  rate=3"


def test_a_second_attempt_counts_its_time_anew() -> None:
    clock = Clock()
    display = LiveDisplay(output(terminal=True)[0], clock=clock)
    display.trial_changed(running(2))
    clock.now += 30
    display.trial_changed(running(2, attempt=2))
    assert drawn(display).splitlines()[-1].split()[2] == "0s"


def drawn(display: LiveDisplay) -> str:
    """Return the text that the display draws now."""
    return "\n".join("".join(span.text for span in line) for line in display.draw(100))
