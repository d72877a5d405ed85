"""Experiments on a cluster: the operator runs them, and they go on when this program ends."""

from __future__ import annotations

import time

from sparksweep._builder import Built
from sparksweep.client import Client
from sparksweep.errors import ClusterUnavailable
from sparksweep_core.api import ConditionType, Experiment, Trial

INTERVAL_S = 1.0
"""How often the API server is asked: statuses change no faster."""
PATIENCE_S = 120.0
"""How long the API server may not answer while somebody waits."""


class ClusterBackend:
    """A namespace of a cluster."""

    def __init__(self, namespace: str | None = None) -> None:
        self._client = Client(namespace)

    def submit(self, built: Built) -> ClusterRun:
        """Create the Experiment."""
        return ClusterRun(self._client, self._client.submit(built))

    def attach(self, name: str) -> ClusterRun:
        """An Experiment that exists.

        Raises:
            ExperimentNotFound: there is none of that name.
        """
        return ClusterRun(self._client, self._client.get(name))


class ClusterRun:
    """An Experiment on a cluster."""

    def __init__(self, client: Client, experiment: Experiment) -> None:
        self._client = client
        self._last = experiment
        self._asked = time.monotonic()
        self._answered = time.monotonic()

    @property
    def where(self) -> str:
        """Namespace and name."""
        return f"{self._client.namespace}/{self._last.metadata.name}"

    @property
    def logdir(self) -> str | None:
        """What the status says of it."""
        return self._last.status.results if self._last.status else None

    @property
    def phase(self) -> str:
        """What the condition Running says."""
        running = self._last.condition(ConditionType.RUNNING)
        return "" if running is None or running.is_true else running.message

    def experiment(self) -> Experiment:
        """The Experiment as it is now, or as it was a second ago.

        Raises:
            ClusterUnavailable: the API server has not answered for two minutes.
        """
        now = time.monotonic()
        if now - self._asked >= INTERVAL_S:
            self._asked = now
            try:
                self._last = self._client.get(self._last.metadata.name)
            except ClusterUnavailable:
                if now - self._answered > PATIENCE_S:
                    raise
            else:
                self._answered = time.monotonic()
        return self._last

    def trials(self) -> list[Trial]:
        """Every trial, from the batches."""
        return self._client.trials(self._last.metadata.name)

    def pause(self, seconds: float) -> None:
        """Wait until the API server may be asked again."""
        time.sleep(min(seconds, INTERVAL_S))

    def cancel(self) -> None:
        """Suspend it: the executors are given back, and trials that ran start again if it is resumed."""
        self._last = self._client.change(self._last.metadata.name, suspend=True)
