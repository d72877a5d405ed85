"""What is read of a run, whether it is a directory here or an Experiment on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from sparksweep_core.api import Experiment, Trial
from sparksweep_core.contract.run_layout import trial_path


class RunReader(Protocol):
    """A run, for reading; it may be under way.

    Every method raises `SparksweepError` when it can't be read.
    """

    @property
    def title(self) -> str:
        """What to call it in a message."""

    def experiment(self) -> Experiment:
        """The Experiment with its status."""

    def trials(self) -> list[Trial]:
        """Every trial, by number."""

    def trial(self, number: int) -> Trial | None:
        """One trial as it is now; None if there is none of that number."""

    def is_live(self) -> bool:
        """Whether somebody may still be at it."""

    def read(self, path: str, offset: int) -> bytes | None:
        """Some bytes of a file below the run directory, from an offset: none at its end, None if there is no such file."""

    def location(self, number: int) -> str:
        """Where a trial's files are, for a person."""

    def absence(self, trial: Trial) -> str:
        """Why there may be nothing of a trial that has run; empty when nothing is known."""


def trial_file(number: int, name: str) -> str:
    """A trial's file, below the run directory."""
    return f"{trial_path(number)}/{name}"


def read_from(run: RunReader, path: str, offset: int) -> Iterator[bytes]:
    """All that there is of a file from an offset on."""
    while data := run.read(path, offset):
        yield data
        offset += len(data)
