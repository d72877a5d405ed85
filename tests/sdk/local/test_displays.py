"""The display of a run: the live display, plain lines, and the table at the end."""

import io
from collections.abc import Mapping
from dataclasses import replace

import pytest
from rich.console import Console

from sparksweep.cli.displays import MOST_RUNNING, LiveDisplay, PlainDisplay
from sparksweep.cli.tables import MOST_ROWS, trials_table
from sparksweep_core.api import (
    BestTrial,
    Experiment,
    ExperimentStatus,
    Trial,
    TrialCounts,
    TrialReason,
    TrialSpec,
    TrialState,
    TrialStatus,
)
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


def console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=100, force_terminal=terminal, highlight=False)


def text_of(shown: Console) -> str:
    assert isinstance(shown.file, io.StringIO)
    return shown.file.getvalue()


def table(*trials: Trial, most_rows: int | None = MOST_ROWS) -> list[str]:
    shown = console()
    shown.print(trials_table(experiment(), trials, most_rows=most_rows))
    return [line.rstrip() for line in text_of(shown).splitlines()]


def test_a_table_has_a_row_for_each_trial() -> None:
    head, first, second = table(SUCCEEDED, trial(4, TrialState.RUNNING))
    assert head.split() == ["Trial", "State", "rate", "accuracy", "Time", "Memory"]
    assert first.split() == ["1", "Succeeded", "1", "0.123457", "1.5s"]
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
    short = table(*trials)
    assert len(short) == MOST_ROWS + 2
    assert "and 5 more" in short[-1]
    assert len(table(*trials, most_rows=None)) == len(trials) + 1


def test_a_random_doubles_first_digits_are_enough_for_a_table() -> None:
    drawn = trial(1, TrialState.PENDING)
    drawn = replace(drawn, spec=TrialSpec(number=1, parameters={"rate": "0.01134163327384196"}))
    assert table(drawn)[1].split() == ["1", "Pending", "0.0113416"]


def test_plain_lines_tell_every_change() -> None:
    shown = console()
    with PlainDisplay(shown) as display:
        display.status_changed(experiment())
        display.phase("Starting Spark")
        display.trial_changed(trial(9, TrialState.PENDING, attempt=0))
        display.trial_changed(trial(1, TrialState.RUNNING, attempt=2))
        for changed in (SUCCEEDED, FAILED, STOPPED):
            display.trial_changed(changed)
    assert text_of(shown).splitlines() == [
        "Starting Spark ...",
        "trial 1 (attempt 2) Running: rate=1",
        "trial 1 Succeeded: rate=1 -> accuracy=0.123457 in 1.5s",
        "trial 2 Failed: rate=2 -> Exception: ValueError: boom in 1.5s",
        "trial 3 Stopped: rate=3 -> ExperimentFailed in 1.5s",
    ]


def test_a_quiet_run_prints_nothing() -> None:
    shown = console()
    with PlainDisplay(shown, quiet=True) as display:
        display.phase("Starting Spark")
        display.trial_changed(SUCCEEDED)
        display.note("resources.gpu is for a cluster")
    assert text_of(shown) == ""


def test_the_live_display_shows_progress_counts_running_trials_and_the_best() -> None:
    status = ExperimentStatus(
        trials=TrialCounts(expected=40, created=20, pending=3, running=14, succeeded=1, failed=2),
        best_trial=BestTrial(
            number=1, attempt=1, objective=0.5, parameters={"rate": "1"}, metrics={"accuracy": 0.5}
        ),
    )
    shown = console(terminal=True)
    with LiveDisplay(shown) as display:
        display.phase("Starting Spark")
        display.status_changed(experiment())
        assert "Starting Spark" in rendered(display)
        for number in range(5, 5 + MOST_RUNNING + 2):
            display.trial_changed(trial(number, TrialState.RUNNING))
        display.trial_changed(FAILED)
        display.status_changed(experiment(status))
        text = rendered(display)
        display.trial_changed(trial(5, TrialState.SUCCEEDED))
        assert "trial 5 " not in rendered(display)
        assert "Starting Spark" not in rendered(display)
        display.phase("Interrupted: stopping the running trials")
        assert "Interrupted" in rendered(display)
    assert "Interrupted" not in rendered(display)
    assert "3/40" in text
    assert "succeeded 1  failed 2  running 14  pending 3" in text
    assert "best 0.5 (trial 1: rate=1)" in text
    assert "trial 5 " in text
    assert f"trial {5 + MOST_RUNNING} " not in text
    assert "and 2 more" in text
    # A failure stays on the screen.
    assert "trial 2 Failed: rate=2 -> Exception: ValueError: boom" in text_of(shown)


def rendered(display: LiveDisplay) -> str:
    """Return the text that the display draws now."""
    shown = console()
    shown.print(display._render())
    return text_of(shown)
