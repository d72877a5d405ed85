"""Batches that wait to be claimed, in a thread of their own: one that is refused keeps no other waiting.

Each is tried at once, and after a failure again with a backoff of its own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from sparksweep_core.api.trial_batch import TrialBatch
from sparksweep_core.api_server.errors import KubeError, Unavailable
from sparksweep_trainer.kubernetes.write_pacing import WritePacing

log = logging.getLogger(__name__)


class ClaimQueue:
    """The queue. Thread-safe."""

    def __init__(
        self,
        claim: Callable[[TrialBatch], TrialBatch | None],
        claimed: Callable[[TrialBatch], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        on_error: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        """
        Args:
            claim: claims a batch and returns it as it is after that, None if there is nothing to claim any more.
                Raises a `KubeError` to be called again.
            claimed: called with each claimed batch; calls `pop`.
            monotonic: clock of the backoffs, in seconds.
            on_error: called with any other error that one of these raises, which ends the thread.
        """
        self._claim = claim
        self._claimed = claimed
        self._monotonic = monotonic
        self._on_error = on_error
        self._batches: dict[str, TrialBatch] = {}
        self._pacing = WritePacing()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="claim-batches", daemon=True)

    def put(self, batch: TrialBatch) -> None:
        """Add a batch, or a later version of one that waits."""
        with self._changed:
            self._batches[batch.metadata.name] = batch
            self._changed.notify_all()

    def pop(self, name: str) -> TrialBatch | None:
        """Remove a batch; return the version of it that was put last, None if none waits."""
        with self._changed:
            self._pacing.forget(name)
            return self._batches.pop(name, None)

    def start(self) -> None:
        """Start claiming."""
        self._thread.start()

    def close(self) -> None:
        """Begin no further claim. The thread, a daemon, may stay in a request for a while."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def claim_due(self) -> float | None:
        """Claim what is due; return the seconds until the next try, or None if nothing waits."""
        with self._changed:
            names, _ = self._due()
            due = [self._batches[name] for name in names]
        for batch in due:
            self._try(batch)
        with self._changed:
            names, wait_s = self._due()
        return 0.0 if names else wait_s

    def _due(self) -> tuple[list[str], float | None]:
        return self._pacing.due(self._monotonic(), self._batches, ())

    def _try(self, batch: TrialBatch) -> None:
        name = batch.metadata.name
        try:
            mine = self._claim(batch)
        except KubeError as error:
            asked_s = error.retry_after_s if isinstance(error, Unavailable) else 0.0
            with self._changed:
                delay_s = self._pacing.failed(name, self._monotonic(), asked_s)
            log.warning("batch %s is not claimed, again in %.1f s: %s", name, delay_s, error)
            return
        if mine is None:
            self.pop(name)
        else:
            self._claimed(mine)

    def _run(self) -> None:
        try:
            while True:
                self.claim_due()
                with self._changed:
                    names, wait_s = self._due()
                    while not names and not self._closing:
                        self._changed.wait(wait_s)
                        names, wait_s = self._due()
                    if self._closing:
                        return
        except Exception as error:
            # Without it the driver would never run the trials of new batches.
            log.exception("claiming batches ended")
            self._on_error(error)
