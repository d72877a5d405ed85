"""What a trial may know about itself: its directory, number, attempt and parameters.

For training code: standard library only. Outside a trial, in a notebook say, every function answers with what does no
harm there, so that the same code runs.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

__all__ = ["attempt", "parameters", "trial_directory", "trial_number"]


def trial_directory() -> Path:
    """Where the trial keeps its files, which stay after it; outside a trial the working directory."""
    return Path(os.environ.get("SPARKSWEEP_TRIAL_DIR") or Path.cwd())


def trial_number() -> int:
    """The trial's number in its experiment, from 1; outside a trial 0."""
    return int(os.environ.get("SPARKSWEEP_TRIAL_NUMBER", "0"))


def attempt() -> int:
    """How many times the trial was started, this time included; outside a trial 0.

    Above 1, the trial's directory holds what the attempt before left there.
    """
    return int(os.environ.get("SPARKSWEEP_TRIAL_ATTEMPT", "0"))


def parameters() -> dict[str, float | int | str]:
    """The trial's hyperparameters by name, typed as a function gets them; outside a trial none."""
    found: dict[str, float | int | str] = json.loads(os.environ.get("SPARKSWEEP_PARAMETERS", "{}"))
    return found
