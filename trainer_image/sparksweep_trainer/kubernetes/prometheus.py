"""What a driver tells Prometheus, at a port of its own: counts of trials, slots and writes, and never a name.

In the text format, by hand: it is a handful of numbers, and the image that users build upon needs no package for them.
https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sparksweep_core.api import count_states
from sparksweep_core.api.status import TrialStatus
from sparksweep_trainer.driver.trial_service import TrialService
from sparksweep_trainer.kubernetes.status_writer import StatusWriter

log = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
TIMEOUT_S = 10.0
"""Seconds that somebody who asks may take."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with its samples."""

    name: str
    kind: str
    """counter, gauge or summary."""
    text: str
    samples: Mapping[str, float]
    """Values by what follows the name: ``{state="Running"}``, ``_sum``, or nothing."""

    def lines(self) -> Iterable[str]:
        """As Prometheus reads it."""
        yield f"# HELP {self.name} {self.text}"
        yield f"# TYPE {self.name} {self.kind}"
        for suffix, value in self.samples.items():
            yield (
                f"{self.name}{suffix} {value:g}"
                if value % 1
                else f"{self.name}{suffix} {value:.0f}"
            )


def families(
    service: TrialService, writer: StatusWriter, *, is_healthy: Callable[[], bool]
) -> list[Family]:
    """The metrics as of now."""
    statuses = service.statuses
    written, failed = writer.writes
    return [
        Family("sparksweep_driver_trials", "gauge", "Trials of the experiment.", _states(statuses)),
        Family(
            "sparksweep_driver_attempts_total",
            "counter",
            "Attempts at trials, those of earlier drivers included.",
            {"": sum(status.attempt for status in statuses)},
        ),
        Family(
            "sparksweep_driver_trial_seconds",
            "summary",
            "Duration of the last attempt of each trial that has ended.",
            _durations(statuses),
        ),
        Family(
            "sparksweep_driver_slots",
            "gauge",
            "Slots that have work or wait for it.",
            {"": service.slots},
        ),
        Family(
            "sparksweep_driver_slots_wanted",
            "gauge",
            "Slots that there is work for, as many as there may be.",
            {"": service.slots_wanted},
        ),
        Family(
            "sparksweep_driver_status_writes_total",
            "counter",
            "Writes of batches' statuses to the API server.",
            {'{result="written"}': written, '{result="failed"}': failed},
        ),
        Family(
            "sparksweep_driver_spark_up", "gauge", "Whether Spark runs.", {"": int(is_healthy())}
        ),
    ]


def _states(statuses: Iterable[TrialStatus]) -> dict[str, float]:
    counts = count_states(statuses)
    words = ("pending", "running", "succeeded", "failed", "stopped")
    return {f'{{state="{word.capitalize()}"}}': getattr(counts, word) for word in words}


def _durations(statuses: Iterable[TrialStatus]) -> dict[str, float]:
    lengths = [
        status.duration_seconds
        for status in statuses
        if status.state.is_finished and status.duration_seconds is not None
    ]
    return {"_sum": sum(lengths), "_count": len(lengths)}


class MetricsServer:
    """Serves them over HTTP until `close`."""

    def __init__(self, host: str, port: int, look: Callable[[], list[Family]]) -> None:
        """Serve what `look` says at a port; 0: any.

        Raises:
            OSError: the port is taken.
        """

        class Handler(BaseHTTPRequestHandler):
            timeout = TIMEOUT_S

            def do_GET(self) -> None:
                if self.path.partition("?")[0] != "/metrics":
                    self.send_error(404)
                    return
                lines = [line for family in look() for line in family.lines()]
                body = "".join(f"{line}\n" for line in lines).encode()
                self.send_response(200)
                self.send_header("Content-Type", CONTENT_TYPE)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing: somebody asks every few seconds."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def close(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()


def serve(host: str, port: int, look: Callable[[], list[Family]]) -> MetricsServer | None:
    """Serve metrics; None where the port is taken, for which no driver has to end."""
    try:
        return MetricsServer(host, port, look)
    except OSError as error:
        log.warning("no metrics: port %d of %s: %s", port, host, error)
        return None
