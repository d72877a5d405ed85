"""The run directory of an experiment on a cluster, as the driver keeps it: trials' files, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence

from sparksweep.api.reasons import TrialReason, TrialState
from sparksweep.api.status import TrialStatus
from sparksweep_trainer.cluster.settings import ClusterSettings
from sparksweep_trainer.files.room import Bounds
from sparksweep_trainer.files.store import FileStore

_UNSEEN = (TrialReason.EXECUTOR_LOST.value, TrialReason.OOM_KILLED.value)
"""Reasons of ends after which no slot may have been there to send the last files."""


class RunFiles:
    """Keeps the run directory. For many threads."""

    def __init__(self, files: FileStore) -> None:
        self.files = files

    @classmethod
    def of(cls, settings: ClusterSettings) -> RunFiles | None:
        """The run directory that the pod was given; None without one."""
        if settings.run_directory is None:
            return None
        bounds = Bounds(run_bytes=settings.run_bytes)
        return cls(FileStore(settings.run_directory, bounds=bounds))

    def record(self, changed: Sequence[TrialStatus]) -> None:
        """Take in what became of trials; called before anyone gets to see it."""
        for status in changed:
            if status.state is TrialState.RUNNING and status.attempt > 1:
                self.files.begin(status.number, status.attempt)
            if status.reason in _UNSEEN and status.message:
                self.files.note(
                    status.number, f"attempt {status.attempt}: {status.reason}: {status.message}"
                )
