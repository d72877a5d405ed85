"""Record Kubernetes events of Experiments."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from sparksweep_core.api import Experiment
from sparksweep_core.api_server.errors import REFUSALS
from sparksweep_operator.events import MESSAGE, Event
from sparksweep_operator.kube import KubeError, KubernetesClient
from sparksweep_operator.memo import Memo

log = logging.getLogger(__name__)


class EventRecorder:
    """Writer of events, best effort: nothing depends on them."""

    def __init__(self, client: KubernetesClient, clock: Callable[[], datetime]) -> None:
        self._client = client
        self._clock = clock

    @asynccontextmanager
    async def telling(
        self, experiment: Experiment, memo: Memo, *, reason: str, action: str
    ) -> AsyncIterator[None]:
        """Turn the refusal of a request that no condition can tell of into an event, and go on.

        The same words get one event. `Memo.was_refused` asks for the reconcile that repeats the request.

        Args:
            experiment: the Experiment.
            memo: its memo.
            reason: reason of the event.
            action: what is refused, as the beginning of a sentence: "The status can't be written".
        """
        try:
            yield
        except REFUSALS as error:
            memo.was_refused = True
            message = f"{action}: {error}"[:MESSAGE]
            if memo.refusals.get(action) != message:
                memo.refusals[action] = message
                log.warning("%s: %s", experiment.metadata.name, message)
                await self.record(experiment, [Event("Warning", reason, message)])
        else:
            memo.refusals.pop(action, None)

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
