"""A real Prometheus scrapes the operator and a driver: the dashboard has data, and an alert fires."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.helm import CHART
from cluster.layout import Layout
from cluster.prometheus import Prometheus, programs, running
from support.e2e.e2e_cluster import SYSTEM, Installed, Namespace
from support.e2e.e2e_experiments import experiment

# The operator's metrics count the experiments of all tests.
pytestmark = [pytest.mark.nodes, pytest.mark.alone]

SOURCE = """
import time

def training(x):
    time.sleep(1)
    if x % 5 == 0:
        raise ValueError("every fifth")
    return x
"""


def panels() -> dict[str, list[str]]:
    """Return the dashboard's queries by the titles of their panels, as Grafana would send them."""
    dashboard = json.loads((CHART / "files" / "dashboard.json").read_text())
    return {
        panel["title"]: [
            target["expr"].replace("$__rate_interval", "1m") for target in panel["targets"]
        ]
        for panel in dashboard["panels"]
        if panel["type"] != "row"
    }


def impatient_rules() -> dict[str, Any]:
    """Return the chart's alerts without their waiting times."""
    found: dict[str, Any] = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    for rule in found["groups"][0]["rules"]:
        rule["for"] = "2s"
    return found


def without_data(prometheus: Prometheus) -> list[str]:
    return [
        f"{title}: {expression}"
        for title, expressions in panels().items()
        for expression in expressions
        if not prometheus.query(expression)
    ]


def test_every_panel_has_data_and_an_experiment_that_waits_is_told_of(
    installed: Installed,
    make_namespace: Callable[[], Namespace],
    tmp_path: Path,
    figure: Callable[[str], None],
) -> None:
    folder = programs(Layout.from_environment())
    namespace, closed = make_namespace(), make_namespace()
    document = experiment("watched", trials=90, source=SOURCE, spec={"maxFailedTrialCount": 90})
    namespace.apply(document)
    namespace.wait_for(lambda: namespace.ended("watched") > 1, "trials end")
    (driver,) = namespace.running("watched", "driver")
    (operator,) = installed.operator_pods()
    forwarded = installed.cluster.forwarded
    with ExitStack() as stack:
        targets = {
            "operator": [stack.enter_context(forwarded(SYSTEM, f"pod/{operator['metadata']['name']}", 8081))],
            "drivers": [stack.enter_context(forwarded(namespace.name, f"pod/{driver}", 7782))],
        }  # fmt: skip
        rules = impatient_rules()
        prometheus = stack.enter_context(running(folder, tmp_path, targets=targets, rules=rules))
        assert len(prometheus.rules()) == len(rules["groups"][0]["rules"])
        namespace.wait_for(
            lambda: {target["health"] for target in prometheus.targets()} == {"up"},
            "both answer",
            timeout_s=30,
        )
        namespace.wait_for(lambda: not without_data(prometheus), "every panel has data")
        failed = 'sparksweep_trials_finished_total{state="Failed", reason="Exception"}'
        assert float(prometheus.query(failed)[0]["value"][1]) >= 1
        assert "SparksweepExperimentsWait" not in prometheus.alerts()

        closed.kubectl("delete", "serviceaccount", "sparksweep-driver")
        closed.apply(experiment("stuck", trials=2))
        closed.wait_for(
            lambda: prometheus.alerts().get("SparksweepExperimentsWait") == "firing",
            "the alert fires",
            timeout_s=60,
        )
        waiting = prometheus.query('sparksweep_experiments_waiting{reason="WaitingForDriver"}')
        assert waiting[0]["value"][1] == "1"
        figure(f"panels with data: {len(panels())}; alerts firing: {sorted(prometheus.alerts())}")
        namespace.kubectl("delete", "swx", "watched", "--wait=false")
