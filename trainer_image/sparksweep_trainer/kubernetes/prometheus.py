"""Metrics of a driver for Prometheus, on a port of their own: counts of trials, slots and writes, and never a name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from http import HTTPStatus

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from sparksweep_core.api.status import TrialCounts
from sparksweep_trainer.driver.trial_service import TrialService
from sparksweep_trainer.http_server.connections import Bounds
from sparksweep_trainer.http_server.head import Head, Refused
from sparksweep_trainer.http_server.messages import Admission, Request, Response
from sparksweep_trainer.http_server.server import HttpServer
from sparksweep_trainer.kubernetes.status_writer import StatusWriter

log = logging.getLogger(__name__)

BOUNDS = Bounds(connections=32, strangers=16, strangers_of_address=8, owned=24, idle_s=10.0, gate=1)
"""Few scrapers at once, one of which is answered at a time."""
STATES = ("pending", "running", "succeeded", "failed", "stopped")


class DriverCollector(Collector):
    """Reads the driver's metrics when they are scraped."""

    def __init__(
        self, service: TrialService, writer: StatusWriter, *, is_healthy: Callable[[], bool]
    ) -> None:
        self._service = service
        self._writer = writer
        self._is_healthy = is_healthy

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as of now."""
        tally = self._service.tally
        yield _trials(tally.counts)
        yield CounterMetricFamily(
            "sparksweep_driver_attempts_total",
            "Attempts started, including those of earlier drivers.",
            value=tally.attempts,
        )
        yield SummaryMetricFamily(
            "sparksweep_driver_trial_seconds",
            "Duration in seconds of the last attempt of each finished trial.",
            count_value=tally.timed,
            sum_value=tally.seconds,
        )
        yield GaugeMetricFamily(
            "sparksweep_driver_slots",
            "Slots that have registered with the driver, busy or idle.",
            value=self._service.slots,
        )
        yield GaugeMetricFamily(
            "sparksweep_driver_slots_wanted",
            "Slots needed for the pending and running trials, at most parallelTrialCount.",
            value=self._service.slots_wanted,
        )
        yield self._writes()
        yield GaugeMetricFamily(
            "sparksweep_driver_spark_up", "1 if Spark runs, else 0.", value=self._is_healthy()
        )

    def _writes(self) -> Metric:
        written, failed = self._writer.writes
        family = CounterMetricFamily(
            "sparksweep_driver_status_writes_total",
            "Writes of TrialBatch statuses to the API server, by result.",
            labels=["result"],
        )
        family.add_metric(["written"], written)
        family.add_metric(["failed"], failed)
        return family


def _trials(counts: TrialCounts) -> Metric:
    family = GaugeMetricFamily(
        "sparksweep_driver_trials", "Trials of the experiment, by state.", labels=["state"]
    )
    for state in STATES:
        family.add_metric([state.capitalize()], getattr(counts, state))
    return family


def driver_registry(
    service: TrialService, writer: StatusWriter, *, is_healthy: Callable[[], bool]
) -> CollectorRegistry:
    """Return a registry with the driver's metrics alone, without those of the Python process."""
    registry = CollectorRegistry()
    registry.register(DriverCollector(service, writer, is_healthy=is_healthy))
    return registry


class MetricsServer(HttpServer):
    """Serves a registry at ``/metrics``."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        """Serve at once; see `HttpServer`."""
        super().__init__(
            _MetricsApplication(registry), host=host, port=port, name="metrics", bounds=BOUNDS
        )


class _MetricsApplication:
    """Answers scrapers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def admit(self, head: Head) -> Admission:
        """Admit a GET of the one path."""
        if head.method != "GET":
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"{head.method}: metrics are read by GET")
        if head.target.partition("?")[0] != "/metrics":
            text = f"no such path: {head.target}; metrics are at /metrics"
            raise Refused(HTTPStatus.NOT_FOUND, text)
        # Anyone is admitted: those that stay must not keep later ones out.
        return Admission(owner="scrapers")

    def handle(self, request: Request, server: HttpServer) -> None:
        """Collect the metrics, in another thread."""
        server.run_in_thread(request, self._answer)

    def _answer(self) -> Response:
        return Response(generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4)


def serve(host: str, port: int, registry: CollectorRegistry) -> MetricsServer | None:
    """Serve metrics; return None if the port is taken, because no driver should fail for that."""
    try:
        return MetricsServer(host, port, registry)
    except OSError as error:
        log.warning("no metrics: port %d of %s: %s", port, host, error)
        return None
