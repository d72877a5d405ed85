"""Messages between a program and the process of its local run: one JSON object a line."""

from __future__ import annotations

from typing import Any

from sparksweep_core.api import ExperimentStatus
from sparksweep_core.api.base import Model


class RunRequest(Model):
    """The run to start: the only line on the process's standard input."""

    experiment: dict[str, Any]
    """Document of the Experiment. The process checks it."""
    directory: str
    """The run directory, with the files of a new run or of one to be resumed."""
    lock: int
    """Descriptor of the directory's lock, which the process inherits."""
    notes: list[str] = []
    """Texts for the user, to repeat as phases."""


class RunMessage(Model):
    """A line on the process's standard output. Exactly one of the fields is set."""

    phase: str | None = None
    """The work before the first trial, or a note about it."""
    status: ExperimentStatus | None = None
    """The Experiment's status, when it has changed."""
    error: tuple[str, str] | None = None
    """Class and text of the error that has ended the run: the last message."""
