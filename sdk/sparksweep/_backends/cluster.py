"""Experiments on a cluster: the operator runs them, and they go on when this program ends."""

from __future__ import annotations

import time

from sparksweep._builder import Built
from sparksweep._kube import connect
from sparksweep._local.changes import Changes
from sparksweep._runs.cluster_run import ClusterRunReader
from sparksweep.client import Client
from sparksweep.errors import ClusterUnavailable, ExperimentRefused, FieldError, InvalidExperiment
from sparksweep_core.api import ConditionType, Experiment

INTERVAL_S = 1.0
"""Seconds between two requests: statuses change no faster."""
PATIENCE_S = 120.0
"""Seconds without an answer of the API server after which a wait gives up."""


class ClusterBackend:
    """A namespace of a cluster."""

    def __init__(self, namespace: str | None = None) -> None:
        self._kubernetes = connect()
        self._client = Client._over(self._kubernetes, namespace)

    def submit(self, built: Built) -> ClusterRun:
        """Create the Experiment."""
        return self._run(self._client.submit(built))

    def attach(self, name: str) -> ClusterRun:
        """Return the run of an Experiment that exists.

        Raises:
            ExperimentNotFound: There is none of that name.
        """
        return self._run(self._client.get(name))

    def _run(self, experiment: Experiment) -> ClusterRun:
        reader = ClusterRunReader(
            self._kubernetes, experiment.metadata.name, self._client.namespace
        )
        return ClusterRun(self._client, reader, experiment)


class ClusterRun:
    """An Experiment on a cluster."""

    is_local = False

    def __init__(self, client: Client, reader: ClusterRunReader, experiment: Experiment) -> None:
        self._client = client
        self.reader = reader
        self._last = experiment
        self._asked = time.monotonic()
        self._answered = time.monotonic()

    @property
    def where(self) -> str:
        """Namespace and name."""
        return f"{self._client.namespace}/{self._last.metadata.name}"

    @property
    def logdir(self) -> str | None:
        """The run directory that the status names."""
        return self._last.status.results if self._last.status else None

    @property
    def phase(self) -> str:
        """The message of the condition Running while it is not true."""
        running = self._last.condition(ConditionType.RUNNING)
        return "" if running is None or running.is_true else running.message

    def experiment(self) -> Experiment:
        """Return the Experiment as it is now, or as it was a second ago.

        Raises:
            ClusterUnavailable: The API server has not answered for two minutes.
        """
        now = time.monotonic()
        if now - self._asked >= INTERVAL_S:
            self._asked = now
            try:
                self._last = self.reader.experiment()
            except ClusterUnavailable:
                if now - self._answered > PATIENCE_S:
                    raise
            else:
                self._answered = time.monotonic()
        return self._last

    def pause(self, seconds: float) -> None:
        """Wait until the next request is due."""
        time.sleep(min(seconds, INTERVAL_S))

    def standstill(self) -> str:
        """See `Run`: the operator ends it."""
        return ""

    def leave(self) -> str:
        """Return the words that wait again: it goes on."""
        name, namespace = self._last.metadata.name, self._client.namespace
        again = f"Experiment.get({name!r}, namespace={namespace!r})"
        return (
            f"{name} goes on in namespace {namespace}. {again}.wait() waits for it again, "
            f"{again}.cancel() suspends it"
        )

    def resume(self, changes: Changes) -> tuple[Experiment, ClusterRun]:
        """Go on under other limits; return the Experiment under them, and its run.

        Raises:
            InvalidExperiment: A goal can't change on a cluster.
            ExperimentRefused: It has ended, or the API server refuses a limit.
        """
        if changes.goal is not None:
            message = f"{changes.goal!r} can't be set on a cluster, where the objective never changes: start another one"
            raise InvalidExperiment([FieldError("goal", message)])
        self._last = self.reader.experiment()
        if self._last.holds(ConditionType.COMPLETE, ConditionType.FAILED):
            raise ExperimentRefused(
                f"{self.where} has ended, and on a cluster it does not go on: start another one"
            )
        spec = {
            "maxTrialCount": changes.max_trials,
            "maxFailedTrialCount": changes.max_failed_trials,
            "activeDeadlineSeconds": changes.deadline_seconds,
            "parallelTrialCount": changes.parallel,
        }
        given = {name: value for name, value in spec.items() if value is not None}
        self._last = self._client.change(self._last.metadata.name, suspend=False, **given)
        return self._last, self

    def cancel(self) -> None:
        """Suspend it: its executors end, and trials that ran start again if it is resumed."""
        self._last = self._client.change(self._last.metadata.name, suspend=True)
