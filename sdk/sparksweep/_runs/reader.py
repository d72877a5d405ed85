"""The protocol of a run's reader, for a run directory and for an Experiment on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from sparksweep._listing import Listing
from sparksweep.errors import TrialNotFound
from sparksweep_core.api import Experiment, Trial
from sparksweep_core.contract.run_layout import trial_path


class RunReader(Protocol):
    """Reads a run, finished or running.

    Every method raises `SparksweepError` if the run can't be read.
    """

    @property
    def title(self) -> str:
        """The run's name in messages."""

    def experiment(self) -> Experiment:
        """Return the Experiment with its status."""

    def trials(self) -> Listing[Trial]:
        """Return every trial, sorted by number; its `unreadable` names the TrialBatches whose trials are missing."""

    def trial(self, number: int) -> Trial | None:
        """Return a trial as it is now; None if there is none of that number."""

    def is_live(self) -> bool:
        """Return whether trials may still run."""

    def read(self, path: str, offset: int) -> bytes | None:
        """Return bytes of a file from an offset: empty at its end, None if there is no such file.

        Args:
            path: The path below the run directory.
            offset: The number of bytes to skip.
        """

    def location(self, number: int) -> str:
        """Return the location of a trial's files, as text for the user."""

    def absence(self, trial: Trial) -> str:
        """Return the reason why a trial that has run may have no files; empty if there is no known one."""


def trial_file(number: int, name: str) -> str:
    """Return the path of a trial's file below the run directory."""
    return f"{trial_path(number)}/{name}"


def read_from(run: RunReader, path: str, offset: int) -> Iterator[bytes]:
    """Yield the rest of a file from an offset on."""
    while data := run.read(path, offset):
        yield data
        offset += len(data)


def find_trial(run: RunReader, number: int) -> Trial:
    """Return a trial as it is now.

    Raises:
        TrialNotFound: There is no such trial.
    """
    trial = run.trial(number)
    if trial is None:
        raise TrialNotFound(f"there is no trial {number} in {run.title}")
    return trial


def find_attempt(run: RunReader, number: int, attempt: int | None) -> tuple[Trial, int]:
    """Return a trial and the number of its attempt, by default the last one; 0 if the trial was never started.

    Raises:
        TrialNotFound: There is no such trial, or no such attempt.
    """
    trial = find_trial(run, number)
    last = trial.status.attempt
    if attempt is not None and not 1 <= attempt <= last:
        words = {0: "it has not been started", 1: "it was started once", 2: "it was started twice"}
        count = words.get(last, f"it was started {last} times")
        raise TrialNotFound(f"trial {number} of {run.title} has no attempt {attempt}: {count}")
    return trial, attempt or last
