"""Facts about the running trial, for training code: its directory, number, attempt and parameters.

Every function also works outside a trial, such as in a notebook, so that the same code runs there. Importing this module
imports little besides the standard library.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparksweep_core.contract.environment import (
    PARAMETERS_ENV,
    TRIAL_ATTEMPT_ENV,
    TRIAL_DIR_ENV,
    TRIAL_NUMBER_ENV,
)
from sparksweep_core.contract.line_formats import (
    MAX_REPORT_BYTES,
    MAX_STEP,
    report_line,
)
from sparksweep_core.contract.run_layout import METRICS_FILE
from sparksweep_core.metric_names import MAX_METRIC_NAME, is_metric_name

__all__ = ["attempt", "parameters", "report", "trial_directory", "trial_number"]

_values: dict[str, Mapping[str, object]] = {}
"""By parameter, the object of each text; set by a shipped function before it calls the user's."""


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


def parameters() -> dict[str, Any]:
    """Return the trial's hyperparameters.

    Returns:
        Values by name, as a function gets them, objects of `sparksweep.search.choice` among them; outside a trial an
        empty dictionary.
    """
    values: dict[str, Any] = json.loads(os.environ.get(PARAMETERS_ENV, "{}"))
    return {
        name: _values.get(name, {}).get(value, value) if isinstance(value, str) else value
        for name, value in values.items()
    }


def report(step: int, **metrics: float) -> None:
    """Record metrics of a step, such as an epoch, with the trial. Outside a trial only check them.

    The search does not use them: it uses the metrics that the function returns. Steps may come in any order, and NaN and
    infinities are recorded as such.

    Args:
        step: The step, a whole number; start from 0 or 1.
        **metrics: Numbers by name; NumPy scalars and tensors with one element are numbers, too. Names that are no
            Python names can be given as ``report(1, **{"val acc": 0.5})``.

    Raises:
        TypeError: The step is not a whole number, or a metric is not a number.
        ValueError: A name is empty, longer than 128 characters, or has control characters or blanks at its ends; the step is
            beyond 2**53; or the metrics of the step take more than 64 KiB.
    """
    directory = os.environ.get(TRIAL_DIR_ENV)
    # Checked outside a trial too: what would fail in a trial should fail in the notebook first.
    number = _step(step)
    values = {_name(name): _number(name, value) for name, value in metrics.items()}
    line = report_line(number, round(time.time(), 3), values).encode()
    if len(line) > MAX_REPORT_BYTES:
        raise ValueError(
            f"the {len(values)} metrics of step {number} take {len(line)} bytes: at most {MAX_REPORT_BYTES} are recorded"
        )
    if directory is None or not values:
        return
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    file = os.open(os.path.join(directory, METRICS_FILE), flags, 0o644)
    try:
        # One write: threads and processes of a trial may report at the same time.
        os.write(file, line)
    finally:
        os.close(file)


def _step(value: object) -> int:
    """Return the step as an int; NumPy's and tensors' whole numbers are taken."""
    number = None if _is_text_or_bool(value) else _float(value)
    if number is not None and abs(number) >= MAX_STEP:
        raise ValueError(f"the step must be below 2**53, and is {_text(value)}")
    if number is None or not number.is_integer():
        raise TypeError(f"the step is not a whole number but {_text(value)}")
    return int(number)


def _name(name: str) -> str:
    if not is_metric_name(name):
        raise ValueError(
            f"{name[:200]!a} is no name for a metric: it needs 1 to {MAX_METRIC_NAME} characters, "
            "without control characters and without blanks at its ends"
        )
    return name


def _number(name: str, value: object) -> float:
    number = None if _is_text_or_bool(value) else _float(value)
    if number is None:
        raise TypeError(f"{name} is not a number but {_text(value)}")
    return number


def _is_text_or_bool(value: object) -> bool:
    # NumPy's truth values are no bools, and are named bool_ or bool.
    return isinstance(value, bool | str | bytes | bytearray) or type(value).__name__ in (
        "bool",
        "bool_",
    )


def _float(value: object) -> float | None:
    """Return a number, or an array's or tensor's only element, as a float; None for anything else."""
    try:
        item = getattr(value, "item", None)
        # NumPy converts no array of several dimensions, even if it has one element.
        number = item() if callable(item) else value
        return None if _is_text_or_bool(number) else float(number)  # type: ignore[arg-type]
    except OverflowError:
        # An int beyond the range of floats.
        return math.inf if number > 0 else -math.inf  # type: ignore[operator]
    except Exception:
        # Each library has errors of its own for a tensor of several elements.
        return None


def _text(value: object) -> str:
    shape = getattr(value, "shape", None)
    if shape:
        return f"a {type(value).__name__} of shape {tuple(shape)}"
    return f"a {type(value).__name__}: {value!r:.80}"
