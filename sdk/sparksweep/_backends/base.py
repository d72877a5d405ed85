"""The protocols of a backend and of a submitted experiment."""

from __future__ import annotations

from typing import Protocol

from sparksweep._builder import Built
from sparksweep._local.changes import Changes
from sparksweep._runs.reader import RunReader
from sparksweep_core.api import Experiment


class Run(Protocol):
    """A submitted experiment: its progress, and its end. Trials, logs and files are read through `reader`."""

    @property
    def where(self) -> str:
        """The run directory, or namespace and name."""

    @property
    def logdir(self) -> str | None:
        """The run directory; None while it is unknown."""

    @property
    def phase(self) -> str:
        """The work before the first trial, as text for the user; empty if unknown."""

    @property
    def is_local(self) -> bool:
        """True if it ends with this program."""

    @property
    def reader(self) -> RunReader:
        """The reader of its trials, logs and files."""

    def experiment(self) -> Experiment:
        """Return the Experiment with its newest status."""

    def pause(self, seconds: float) -> None:
        """Return when there may be a newer status, or after so many seconds."""

    def standstill(self) -> str:
        """Return why it will not end although it has not ended, with the words that continue it; else nothing."""

    def leave(self) -> str:
        """Stop to wait for it, after Ctrl-C: end it if it ends with this program. Return its place, and the way on."""

    def resume(self, changes: Changes) -> tuple[Experiment, Run]:
        """Go on under other limits; return the Experiment under them, and its run."""

    def cancel(self) -> None:
        """End it: no trial runs any more when this returns. Finished trials stay."""


class Backend(Protocol):
    """A machine or a cluster that runs experiments."""

    def submit(self, built: Built) -> Run:
        """Start an experiment, and return at once."""
