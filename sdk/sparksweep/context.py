"""What a trial may know about itself: its directory, number, attempt and parameters.

For training code: standard library only. Outside a trial, in a notebook say, every function answers with what does no
harm there, so that the same code runs.
"""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path

from sparksweep_core.contract.environment import (
    PARAMETERS_ENV,
    TRIAL_ATTEMPT_ENV,
    TRIAL_DIR_ENV,
    TRIAL_NUMBER_ENV,
)
from sparksweep_core.contract.line_formats import report_line
from sparksweep_core.contract.run_layout import METRICS_FILE

__all__ = ["attempt", "parameters", "report", "trial_directory", "trial_number"]


def trial_directory() -> Path:
    """Where the trial keeps its files, which stay after it; outside a trial the working directory."""
    return Path(os.environ.get(TRIAL_DIR_ENV) or Path.cwd())


def trial_number() -> int:
    """The trial's number in its experiment, from 1; outside a trial 0."""
    return int(os.environ.get(TRIAL_NUMBER_ENV, "0"))


def attempt() -> int:
    """How many times the trial was started, this time included; outside a trial 0.

    Above 1, the trial's directory holds what the attempt before left there.
    """
    return int(os.environ.get(TRIAL_ATTEMPT_ENV, "0"))


def parameters() -> dict[str, float | int | str]:
    """The trial's hyperparameters by name, typed as a function gets them; outside a trial none."""
    found: dict[str, float | int | str] = json.loads(os.environ.get(PARAMETERS_ENV, "{}"))
    return found


def report(step: int, **metrics: float) -> None:
    """Write down metrics of a step, such as an epoch: they are kept with the trial. Outside a trial nothing happens.

    What counts for the search is what the function returns.

    Args:
        step: which step, from 0 or 1 as you like.
        **metrics: numbers by name; NumPy's and tensors without dimensions are numbers, too.

    Raises:
        TypeError: a metric is no number.
    """
    directory = os.environ.get(TRIAL_DIR_ENV)
    # Told apart even where nothing is written: what fails in a trial should fail in the notebook before.
    values = {name: _number(name, value) for name, value in metrics.items()}
    if directory is None:
        return
    line = report_line(int(step), round(time.time(), 3), values)
    with open(os.path.join(directory, METRICS_FILE), "a", encoding="utf-8") as file:
        # One write: threads and processes of a trial may report at the same time.
        file.write(line)


def _number(name: str, value: object) -> float | None:
    """The value as JSON can hold it: NaN and infinities, which it can't, are null."""
    if isinstance(value, bool | str | bytes) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} is not a number but a {type(value).__name__}: {value!r:.80}")
    number = float(value)
    return number if math.isfinite(number) else None
