"""What the operator counts and measures while it works, for Prometheus. What can be read off the cache is the census's.

No label has values that grow with use: no names, no namespaces. Everything starts at zero, so that an increase is seen
from the first one on.
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
from sparksweep_core.api.reasons import TrialReason

# When each counter was made: a series more for every one, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]

RECONCILE_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
TRIAL_S = (0.1, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400)
START_S = (5, 10, 15, 20, 30, 60, 120, 300, 900, 3600)
"""Upper bounds of the histograms' buckets, in seconds."""

OUTCOMES = ("done", "conflict", "unavailable", "refused", "error")
"""How a turn ends; all but the first are tried again."""

OTHER = "Other"
"""The label of a reason that this version does not know."""
_REASONS = frozenset(reason.value for reason in TrialReason)
_STOPS = {TrialReason.GOAL_REACHED, TrialReason.EXPERIMENT_FAILED, TrialReason.INTERRUPTED}


class Metrics:
    """The instruments and their registry. May be used from any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        build = Gauge(
            "sparksweep_build_info", "The operator's version.", ["version"], registry=self.registry
        )
        build.labels(version("sparksweep")).set(1)
        self._reconciles = Histogram(
            "sparksweep_reconcile_seconds",
            "One look at an experiment, and what was done about it, by how it ended.",
            ["outcome"],
            buckets=RECONCILE_S,
            registry=self.registry,
        )
        for outcome in OUTCOMES:
            self._reconciles.labels(outcome)
        self._requests = Counter(
            "sparksweep_api_requests",
            "Requests to the API server, without watches, by HTTP status; none: no answer.",
            ["method", "resource", "code"],
            registry=self.registry,
        )
        self._finished = Counter(
            "sparksweep_trials_finished",
            "Trials that ended while the operator looked on.",
            ["state", "reason"],
            registry=self.registry,
        )
        self._trial = Histogram(
            "sparksweep_trial_seconds",
            "Duration of a trial's last attempt.",
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
            "From an Experiment's creation to the start of its first trial.",
            buckets=START_S,
            registry=self.registry,
        )
        self._restarts = Counter(
            "sparksweep_driver_restarts",
            "Drivers started where an earlier one had been, after a suspension, too.",
            registry=self.registry,
        )
        self._age = Gauge(
            "sparksweep_queue_age_seconds",
            "How long the experiment that waits longest to be looked at has waited.",
            registry=self.registry,
        )

    def observe_reconcile(self, seconds: float, outcome: str) -> None:
        """A turn has ended, in one of `OUTCOMES`."""
        self._reconciles.labels(outcome).observe(seconds)

    def count_request(self, method: str, resource: str, code: int | None) -> None:
        """A request was answered with an HTTP status, or not at all: None."""
        self._requests.labels(method, resource, "none" if code is None else str(code)).inc()

    def count_driver_restart(self) -> None:
        """A driver was started that is not its experiment's first."""
        self._restarts.inc()

    def observe_queue_age(self, age_s: Callable[[], float]) -> None:
        """Ask `age_s` for the age of the queue whenever it is wanted."""
        self._age.set_function(age_s)

    def observe_batch(
        self, before: TrialBatch, after: TrialBatch, created: datetime | None
    ) -> None:
        """A batch has changed: what ended since, and whether the experiment's first trial has started.

        Args:
            before: the batch as it was known.
            after: the batch as it is.
            created: when its Experiment was.
        """
        known = {trial.number: trial for trial in trials_of([before])}
        trials = trials_of([after])
        for trial in trials:
            was = known.get(trial.number)
            if trial.state.is_finished and not (was and was.state.is_finished):
                self._ended(trial)
        if created is None or after.spec.index or _first_start(known.values()):
            return
        first = _first_start(trials)
        if first is not None:
            self._first.observe(max(0.0, (first - created).total_seconds()))

    def _ended(self, trial: Trial) -> None:
        # A newer driver may have reasons that are not ours to count: whatever they are, they have one label.
        reason = trial.status.reason if trial.status.reason in _REASONS else OTHER
        self._finished.labels(trial.state.value, reason).inc()
        if trial.status.duration_seconds is not None:
            self._trial.labels(trial.state.value).observe(trial.status.duration_seconds)


def serve(registry: CollectorRegistry, port: int) -> tuple[int, Callable[[], None]]:
    """Serve a registry's metrics over HTTP, in a thread, on every address of this machine.

    Args:
        registry: the metrics.
        port: where; 0: any.

    Returns:
        The port, and what ends it.

    Raises:
        OSError: the port is taken.
    """
    server, thread = start_http_server(port, registry=registry)

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return server.server_port, end


def _first_start(trials: Iterable[Trial]) -> datetime | None:
    starts = [trial.status.start_time for trial in trials if trial.status.start_time is not None]
    return min(starts, default=None)


def _state_of(reason: TrialReason) -> TrialState:
    """The state that a reason goes with."""
    if reason is TrialReason.COMPLETED:
        return TrialState.SUCCEEDED
    return TrialState.STOPPED if reason in _STOPS else TrialState.FAILED
