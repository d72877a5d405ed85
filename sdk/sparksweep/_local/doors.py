"""Words for the two ways to a local run, the command line and Python: messages name what the user has at hand. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from sparksweep.errors import FieldError

_ARGUMENTS = {
    "spec.maxTrialCount": "max_trials",
    "spec.maxFailedTrialCount": "max_failed_trials",
    "spec.objective.goal": "goal",
    "spec.activeDeadlineSeconds": "deadline_seconds",
    "spec.parallelTrialCount": "parallel",
}
_PYTHONS = {"spec.parameters": "parameters"}
"""Arguments of `sparksweep.Experiment.resume` by the fields that they set, and further ones of `Experiment`."""


class Door(Enum):
    """The interface by which a user came to a run."""

    COMMAND_LINE = "command line"
    PYTHON = "Python"

    def resume(self, path: Path) -> str:
        """Return the words that continue a run."""
        if self is Door.PYTHON:
            return f"Experiment.open({str(path)!r}).resume()"
        return f"sparksweep run --resume {shlex.quote(str(path))}"

    def new_directory(self) -> str:
        """Return the words that name another directory for a new run."""
        if self is Door.PYTHON:
            return "give another one as directory="
        return "name another directory with --dir"

    def watch(self, path: Path) -> str:
        """Return the words that follow a run of another process."""
        if self is Door.PYTHON:
            return f"Experiment.open({str(path)!r}).wait() waits for its end"
        return f"sparksweep trials {shlex.quote(str(path))} shows its progress"

    def named(self, findings: Sequence[FieldError]) -> list[FieldError]:
        """Return findings about limits by the names under which the user gave them; a document's paths otherwise."""
        names = {
            path: argument if self is Door.PYTHON else f"--{argument.replace('_', '-')}"
            for path, argument in _ARGUMENTS.items()
        }
        if self is Door.PYTHON:
            names |= _PYTHONS
        return [FieldError(names.get(item.path, item.path), item.message) for item in findings]


def both_ways_on(path: Path) -> str:
    """Return the words that continue a run, in Python and in a shell."""
    return f"{Door.PYTHON.resume(path)}, or in a shell: {Door.COMMAND_LINE.resume(path)}"
