"""Metrics of a driver, as Prometheus reads them."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from sparksweep_core.api import TrialReason, TrialSpec, TrialState, TrialStatus, TrialTemplate
from sparksweep_core.contract.ports import METRICS_PORT
from sparksweep_core.contract.program import Program
from sparksweep_core.validation.document import parse_experiment
from sparksweep_operator.manifests import driver_pod
from sparksweep_operator.settings import Settings
from sparksweep_trainer.driver.trial_service import TrialService
from sparksweep_trainer.kubernetes import prometheus
from sparksweep_trainer.kubernetes.status_writer import StatusWriter
from sparksweep_trainer.protocol import SlotHello

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Writer:
    writes = (12, 3)


def service() -> TrialService:
    """Three trials: one ended with an earlier driver, two wait; one slot is there."""
    program = Program(
        experiment="digits",
        parameters=[],
        trial_template=TrialTemplate(function="train:training"),
        trials_directory="trials",
    )
    made = TrialService(program, slots=2)
    ended = TrialStatus(
        number=1,
        state=TrialState.SUCCEEDED,
        attempt=2,
        reason=TrialReason.COMPLETED,
        duration_seconds=2.5,
        start_time=NOW,
        completion_time=NOW,
    )
    made.submit([TrialSpec(number=n, parameters={}) for n in (1, 2, 3)], [ended])
    made.hello(SlotHello(slot=made.slots_to_start()[0], node="digits-0-exec-1", pid=1))
    return made


EXPOSITION = """\
# HELP sparksweep_driver_trials Trials of the experiment.
# TYPE sparksweep_driver_trials gauge
sparksweep_driver_trials{state="Pending"} 2
sparksweep_driver_trials{state="Running"} 0
sparksweep_driver_trials{state="Succeeded"} 1
sparksweep_driver_trials{state="Failed"} 0
sparksweep_driver_trials{state="Stopped"} 0
# HELP sparksweep_driver_attempts_total Attempts at trials, those of earlier drivers included.
# TYPE sparksweep_driver_attempts_total counter
sparksweep_driver_attempts_total 2
# HELP sparksweep_driver_trial_seconds Duration of the last attempt of each trial that has ended.
# TYPE sparksweep_driver_trial_seconds summary
sparksweep_driver_trial_seconds_sum 2.5
sparksweep_driver_trial_seconds_count 1
# HELP sparksweep_driver_slots Slots that have work or wait for it.
# TYPE sparksweep_driver_slots gauge
sparksweep_driver_slots 1
# HELP sparksweep_driver_slots_wanted Slots that there is work for, as many as there may be.
# TYPE sparksweep_driver_slots_wanted gauge
sparksweep_driver_slots_wanted 2
# HELP sparksweep_driver_status_writes_total Writes of batches' statuses to the API server.
# TYPE sparksweep_driver_status_writes_total counter
sparksweep_driver_status_writes_total{result="written"} 12
sparksweep_driver_status_writes_total{result="failed"} 3
# HELP sparksweep_driver_spark_up Whether Spark runs.
# TYPE sparksweep_driver_spark_up gauge
sparksweep_driver_spark_up 1
"""
"""Written by hand before prometheus-client did it: dashboards and alerts rely on these names, types and labels."""


@pytest.fixture
def port() -> Iterator[int]:
    registry = prometheus.driver_registry(
        service(), cast("StatusWriter", Writer()), is_healthy=lambda: True
    )
    server = prometheus.MetricsServer("127.0.0.1", 0, registry)
    yield server.port
    server.close()


def get(port: int, path: str = "/metrics") -> tuple[str, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def test_its_numbers_are_served_as_prometheus_reads_them(port: int) -> None:
    kind, text = get(port)
    assert kind.startswith("text/plain; version=0.0.4")
    samples: dict[Any, float] = {
        (sample.name.removeprefix("sparksweep_driver_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples == {
        ("trials", "Pending"): 2, ("trials", "Running"): 0, ("trials", "Succeeded"): 1,
        ("trials", "Failed"): 0, ("trials", "Stopped"): 0,
        ("attempts_total",): 2,
        ("trial_seconds_sum",): 2.5, ("trial_seconds_count",): 1,
        ("slots",): 1, ("slots_wanted",): 2,
        ("status_writes_total", "written"): 12, ("status_writes_total", "failed"): 3,
        ("spark_up",): 1,
    }  # fmt: skip
    assert "digits" not in text


def parsed(text: str) -> dict[str, Any]:
    """Type and samples of each metric, as Prometheus' own parser reads them."""
    return {
        family.name: (
            family.type,
            {(sample.name, *sample.labels.items()): sample.value for sample in family.samples},
        )
        for family in text_string_to_metric_families(text)
    }


def test_names_types_labels_and_values_stay_as_dashboards_know_them(port: int) -> None:
    assert parsed(get(port)[1]) == parsed(EXPOSITION)
    assert len(parsed(EXPOSITION)) == 7


def test_every_metric_has_a_help_text(port: int) -> None:
    families = [*text_string_to_metric_families(get(port)[1])]
    assert all(family.documentation.endswith(".") for family in families)


def test_there_is_nothing_else_to_be_had(port: int) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        get(port, "/")
    refused.value.close()


def test_a_port_that_is_taken_costs_the_metrics_and_not_the_driver(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert prometheus.serve("127.0.0.1", port, CollectorRegistry()) is None
    assert "no metrics: port" in caplog.text


def test_the_pod_says_the_port_that_the_driver_listens_on() -> None:
    experiment = parse_experiment(
        {
            "apiVersion": "sparksweep.dev/v1alpha1",
            "kind": "Experiment",
            "metadata": {"name": "digits", "namespace": "lab", "uid": "u"},
            "spec": {
                "algorithm": {"algorithmName": "grid"},
                "parameters": [
                    {"name": "x", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "2"}}
                ],
                "trialTemplate": {"function": "train:training"},
            },
        }
    )
    container, _ = driver_pod(experiment, 0, Settings(), spark_secret="spark")["spec"]["containers"]
    assert container["ports"] == [{"name": "metrics", "containerPort": METRICS_PORT}]


def test_scrapers_that_stay_keep_no_later_one_out() -> None:
    """Anyone may ask, so that nobody's connections may be all there are."""
    server = prometheus.MetricsServer("127.0.0.1", 0, CollectorRegistry())
    staying: list[socket.socket] = []
    try:
        for number in range(prometheus.BOUNDS.connections + 10):
            address = f"127.0.0.{2 + number // 4}"
            scraper = socket.create_connection(
                ("127.0.0.1", server.port), timeout=10, source_address=(address, 0)
            )
            staying.append(scraper)
            scraper.sendall(b"GET /metrics HTTP/1.1\r\nHost: driver\r\n\r\n")
            assert scraper.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert server.connections[0] <= prometheus.BOUNDS.connections
    finally:
        for scraper in staying:
            scraper.close()
        server.close()
