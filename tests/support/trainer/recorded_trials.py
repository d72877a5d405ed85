"""All trials of a trial service, as it passes them on: the service itself forgets those that have ended."""

from collections.abc import Sequence

from sparksweep_core.api import Trial, TrialStatus


class RecordedTrials:
    """Receives new and changed trials, as `added` and `record` of a `TrialService`."""

    def __init__(self) -> None:
        self._newest: dict[int, Trial] = {}
        self.changes: list[TrialStatus] = []
        """Every change, in order."""

    def added(self, trials: Sequence[Trial]) -> None:
        self._newest |= {trial.number: trial for trial in trials}

    def record(self, trials: Sequence[Trial]) -> None:
        self._newest |= {trial.number: trial for trial in trials}
        self.changes += [trial.status for trial in trials]

    @property
    def statuses(self) -> list[TrialStatus]:
        """Newest status of every trial, by number."""
        return [self._newest[number].status for number in sorted(self._newest)]
