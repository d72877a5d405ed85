"""Facts about the running trial, for training code: its directory, number, attempt and parameters.

Every function also works outside a trial, such as in a notebook, so that the same code runs there. Importing this module
imports little besides the standard library.
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
    """Return the trial's directory, whose files are kept after the trial.

    Returns:
        The directory; outside a trial the working directory.
    """
    return Path(os.environ.get(TRIAL_DIR_ENV) or Path.cwd())


def trial_number() -> int:
    """Return the trial's number in its experiment.

    Returns:
        The number, from 1; outside a trial 0.
    """
    return int(os.environ.get(TRIAL_NUMBER_ENV, "0"))


def attempt() -> int:
    """Return the number of the trial's attempt: how often the trial was started, this time included.

    From 2 on, the trial's directory may hold files of the attempt before.

    Returns:
        The number, from 1; outside a trial 0.
    """
    return int(os.environ.get(TRIAL_ATTEMPT_ENV, "0"))


def parameters() -> dict[str, float | int | str]:
    """Return the trial's hyperparameters.

    Returns:
        Values by name, of the types that a function gets; outside a trial an empty dictionary.
    """
    values: dict[str, float | int | str] = json.loads(os.environ.get(PARAMETERS_ENV, "{}"))
    return values


def report(step: int, **metrics: float) -> None:
    """Record metrics of a step, such as an epoch, with the trial. Outside a trial only check them.

    The search does not use them: it uses the metrics that the function returns.

    Args:
        step: The step; start from 0 or 1.
        **metrics: Numbers by name; NumPy scalars and tensors without dimensions are numbers, too.

    Raises:
        TypeError: A metric is not a number.
    """
    directory = os.environ.get(TRIAL_DIR_ENV)
    # Checked outside a trial too: what would fail in a trial should fail in the notebook first.
    values = {name: _number(name, value) for name, value in metrics.items()}
    if directory is None:
        return
    line = report_line(int(step), round(time.time(), 3), values)
    with open(os.path.join(directory, METRICS_FILE), "a", encoding="utf-8") as file:
        # One write: threads and processes of a trial may report at the same time.
        file.write(line)


def _number(name: str, value: object) -> float | None:
    """Return the value as JSON can hold it: None for NaN and infinities."""
    if isinstance(value, bool | str | bytes) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} is not a number but a {type(value).__name__}: {value!r:.80}")
    number = float(value)
    return number if math.isfinite(number) else None
