"""Record Kubernetes events of Experiments."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from sparksweep_core.api import Experiment
from sparksweep_operator.events import Event
from sparksweep_operator.kube import KubeError, KubernetesClient

log = logging.getLogger(__name__)


class EventRecorder:
    """Writer of events, best effort: nothing depends on them."""

    def __init__(self, client: KubernetesClient, clock: Callable[[], datetime]) -> None:
        self._client = client
        self._clock = clock

    async def record(self, experiment: Experiment, events: Sequence[Event]) -> None:
        """Record events of an Experiment; log those that the API server does not take."""
        moment = self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")
        for event in events:
            # The same event within a second has the same name, so that a repeated reconcile records it once.
            text = f"{experiment.metadata.uid}{event.reason}{event.message}{moment}"
            name = f"{experiment.metadata.name}.{hashlib.sha256(text.encode()).hexdigest()[:16]}"
            try:
                await self._client.post_event(experiment, event, moment=moment, name=name)
            except KubeError as error:
                log.warning("could not record the event %s (%s): %s", name, event.reason, error)
