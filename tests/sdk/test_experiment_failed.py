"""The text of `ExperimentFailed` quotes one failed trial, once and whole."""

from __future__ import annotations

import pytest

from sparksweep._experiment import _with_a_failure
from sparksweep_core.api import Trial, TrialSpec, TrialState, TrialStatus

LONG = (
    "ValueError: boom\nTraceback (most recent call last):\n" + "  frame\n" * 300 + "  the last one"
)
OTHER = "KeyError: 1\nTraceback (most recent call last):\n  a frame"


def trial(number: int, message: str | None, state: TrialState = TrialState.FAILED) -> Trial:
    return Trial(
        spec=TrialSpec(number=number, parameters={}),
        status=TrialStatus(
            number=number, state=state, attempt=1, reason="Exception", message=message
        ),
    )


@pytest.mark.parametrize(
    ("message", "trials", "text"),
    [
        ("None succeeded. Trial 2 failed last: Exception: " + LONG[:900],
         [trial(1, OTHER), trial(2, LONG)],
         "None succeeded. Trial 2 failed last: Exception: " + LONG),
        ("None succeeded. Trial 2 failed last: Exception: ValueError: boom",
         [trial(1, LONG)],
         "None succeeded. Trial 2 failed last: Exception: " + LONG),
        ("Not finished 5 s after its start.", [trial(1, OTHER), trial(2, LONG)],
         "Not finished 5 s after its start.\nTrial 1: " + OTHER),
        ("Not finished 5 s after its start.", [trial(1, "", TrialState.SUCCEEDED), trial(2, None)],
         "Not finished 5 s after its start."),
        ("Not finished.", [], "Not finished."),
    ],
)  # fmt: skip
def test_a_failure_is_quoted_once_and_whole(message: str, trials: list[Trial], text: str) -> None:
    assert _with_a_failure(message, trials) == text
