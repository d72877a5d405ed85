"""Prometheus instruments of the operator: what it counts and measures while it works. See also ``collector``.

No label's values grow with use: no names, no namespaces. Every series starts at zero, so that the first increase shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    start_http_server,
)

from sparksweep_core.api import Trial, TrialBatch, TrialState, trials_of
from sparksweep_core.api.reasons import ExperimentReason, TrialReason
from sparksweep_core.history import BatchRecord

# The creation time of each counter would double the number of series.
disable_created_metrics()  # type: ignore[no-untyped-call]

RECONCILE_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
TRIAL_S = (0.1, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400)
START_S = (5, 10, 15, 20, 30, 60, 120, 300, 900, 3600)
"""Upper bounds of the histograms' buckets, in seconds."""

OUTCOMES = ("done", "conflict", "unavailable", "refused", "error")
"""Outcomes of a reconcile; all but the first are retried."""

UNREADABLE = (ExperimentReason.UNREADABLE_EXPERIMENT, ExperimentReason.UNREADABLE_BATCH)
"""Reasons of a reconcile that could not read an object of a later version."""

OTHER = "Other"
"""Label value for a reason that this version does not know."""
_REASONS = frozenset(reason.value for reason in TrialReason)
_STOPS = {TrialReason.GOAL_REACHED, TrialReason.EXPERIMENT_FAILED, TrialReason.INTERRUPTED}


class Metrics:
    """Instruments and their registry. Thread-safe."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        build = Gauge(
            "sparksweep_build_info", "The operator's version.", ["version"], registry=self.registry
        )
        build.labels(version("sparksweep")).set(1)
        self._reconciles = Histogram(
            "sparksweep_reconcile_seconds",
            "Duration of one reconcile of an Experiment, in seconds, by outcome.",
            ["outcome"],
            buckets=RECONCILE_S,
            registry=self.registry,
        )
        for outcome in OUTCOMES:
            self._reconciles.labels(outcome)
        self._requests = Counter(
            "sparksweep_api_requests",
            "Requests to the API server, except watches. The code is none if there was no response.",
            ["method", "resource", "code"],
            registry=self.registry,
        )
        self._finished = Counter(
            "sparksweep_trials_finished",
            "Trials that ended while this operator ran, by final state and reason.",
            ["state", "reason"],
            registry=self.registry,
        )
        self._trial = Histogram(
            "sparksweep_trial_seconds",
            "Duration of a trial's last attempt, in seconds.",
            ["state"],
            buckets=TRIAL_S,
            registry=self.registry,
        )
        for state in TrialState:
            if state.is_finished:
                self._trial.labels(state.value)
        for reason in TrialReason:
            self._finished.labels(_state_of(reason).value, reason.value)
        self._first = Histogram(
            "sparksweep_time_to_first_trial_seconds",
            "Time from an Experiment's creation to the start of its first trial, in seconds.",
            buckets=START_S,
            registry=self.registry,
        )
        self._restarts = Counter(
            "sparksweep_driver_restarts",
            "Drivers started to replace an earlier one, including after a suspension.",
            registry=self.registry,
        )
        self._unreadable = Counter(
            "sparksweep_unreadable",
            "Reconciles that ended at an object which this version can't read, by the condition's reason.",
            ["reason"],
            registry=self.registry,
        )
        for unreadable in UNREADABLE:
            self._unreadable.labels(unreadable.value)
        self._age = Gauge(
            "sparksweep_queue_age_seconds",
            "Age of the oldest pending reconcile request, in seconds.",
            registry=self.registry,
        )

    def observe_reconcile(self, seconds: float, outcome: str) -> None:
        """Record a reconcile that ended with one of `OUTCOMES`."""
        self._reconciles.labels(outcome).observe(seconds)

    def count_request(self, method: str, resource: str, code: int | None) -> None:
        """Count a request by the HTTP status code of its response; None if there was none."""
        self._requests.labels(method, resource, "none" if code is None else str(code)).inc()

    def count_unreadable(self, reason: ExperimentReason) -> None:
        """Count a reconcile that could not read an object: one of `UNREADABLE`."""
        self._unreadable.labels(reason.value).inc()

    def count_driver_restart(self) -> None:
        """Count a driver that is not its experiment's first."""
        self._restarts.inc()

    def observe_queue_age(self, age_s: Callable[[], float]) -> None:
        """Report what `age_s` returns, in seconds, as the age of the queue."""
        self._age.set_function(age_s)

    def observe_batch(
        self, before: BatchRecord | None, after: TrialBatch, created: datetime | None
    ) -> None:
        """Record the trials that have ended between two versions of a batch, and the start of the experiment's first trial.

        Args:
            before: the record of the old version; None: there was no batch.
            after: the new version.
            created: the Experiment's creation time; None if it is unknown.
        """
        previous = before.trials if before is not None else ()
        ended = {trial.number for trial in previous if trial.state.is_finished}
        trials = trials_of([after])
        for trial in trials:
            if trial.state.is_finished and trial.number not in ended:
                self._count_finished(trial)
        has_started = before is not None and before.summary.first_start is not None
        if created is None or after.spec.index or has_started:
            return
        first = _first_start(trials)
        if first is not None:
            self._first.observe(max(0.0, (first - created).total_seconds()))

    def _count_finished(self, trial: Trial) -> None:
        # A newer driver may report reasons that this version does not know: they share one label value.
        reason = trial.status.reason if trial.status.reason in _REASONS else OTHER
        self._finished.labels(trial.state.value, reason).inc()
        if trial.status.duration_seconds is not None:
            self._trial.labels(trial.state.value).observe(trial.status.duration_seconds)


def serve(registry: CollectorRegistry, port: int) -> tuple[int, Callable[[], None]]:
    """Serve a registry's metrics over HTTP, in a thread, on all addresses of this machine.

    Args:
        registry: the metrics.
        port: the port; 0 for any free one.

    Returns:
        The port, and a function that stops the server.

    Raises:
        OSError: the port is in use.
    """
    server, thread = start_http_server(port, registry=registry)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return server.server_port, stop


def _first_start(trials: Iterable[Trial]) -> datetime | None:
    starts = [trial.status.start_time for trial in trials if trial.status.start_time is not None]
    return min(starts, default=None)


def _state_of(reason: TrialReason) -> TrialState:
    """Return the final state of a trial that ended for a reason."""
    if reason is TrialReason.COMPLETED:
        return TrialState.SUCCEEDED
    return TrialState.STOPPED if reason in _STOPS else TrialState.FAILED
