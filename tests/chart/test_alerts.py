"""The alerts: rules that Prometheus takes, and each of them fires when it should and only then. By promtool."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.helm import CHART
from cluster.layout import Layout
from cluster.prometheus import programs
from cluster.shell import run
from sparksweep_operator.collector import Counts, metric_families
from sparksweep_operator.metrics import Metrics

pytestmark = pytest.mark.usefixtures("control_plane")

ALERTS = CHART / "files" / "alerts.yaml"
DASHBOARD = CHART / "files" / "dashboard.json"

Series = dict[str, str]

HEALTHY: Series = {
    "sparksweep_build_info": "1x90",
    "sparksweep_queue_age_seconds": "0.5x90",
    'sparksweep_reconcile_seconds_count{outcome="done"}': "0+60x90",
    'sparksweep_reconcile_seconds_count{outcome="error"}': "0x90",
    'sparksweep_reconcile_seconds_count{outcome="refused"}': "0x90",
    'sparksweep_api_requests_total{code="200"}': "0+60x90",
    'sparksweep_api_requests_total{code="none"}': "0x90",
    'sparksweep_experiments_waiting{reason="WaitingForDriver"}': "0x90",
    "sparksweep_driver_restarts_total": "3x90",
    'sparksweep_trials_finished_total{state="Succeeded"}': "0+10x90",
    'sparksweep_trials_finished_total{state="Failed"}': "0x90",
}
TROUBLES: dict[str, Series] = {
    "SparksweepOperatorAbsent": {"sparksweep_build_info": "_x90"},
    "SparksweepOperatorLags": {"sparksweep_queue_age_seconds": "10+60x90"},
    "SparksweepOperatorErrors": {'sparksweep_reconcile_seconds_count{outcome="error"}': "0+1x90"},
    "SparksweepAPIErrors": {'sparksweep_api_requests_total{code="none"}': "0+20x90"},
    "SparksweepExperimentsWait": {
        'sparksweep_experiments_waiting{reason="WaitingForDriver"}': "2x90"
    },
    "SparksweepDriversRestart": {"sparksweep_driver_restarts_total": "0+1x90"},
    "SparksweepTrialsFail": {'sparksweep_trials_finished_total{state="Failed"}': "0+30x90"},
}


@pytest.fixture(scope="module")
def promtool() -> Path:
    return programs(Layout.from_environment()) / "promtool"


def rules() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    return found


def test_prometheus_takes_the_rules(promtool: Path) -> None:
    assert f"{len(rules())} rules found" in run(promtool, "check", "rules", ALERTS)


def test_every_alert_is_tried_and_says_what_to_do() -> None:
    assert {rule["alert"] for rule in rules()} == set(TROUBLES)
    for rule in rules():
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in ("critical", "warning", "info")


@pytest.mark.parametrize("alert", [*TROUBLES, "none of them"])
def test_an_alert_fires_in_its_trouble_and_no_other_does(
    alert: str, promtool: Path, tmp_path: Path
) -> None:
    series = HEALTHY | TROUBLES.get(alert, {})
    document = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{alertstate="firing", alertname="{rule["alert"]}"}}) or vector(0)',
                        "eval_time": "60m",
                        "exp_samples": [{"labels": "{}", "value": int(rule["alert"] == alert)}],
                    }
                    for rule in rules()
                ],
            }
        ],
    }  # fmt: skip
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump(document))
    assert "SUCCESS" in run(promtool, "test", "rules", file)


def test_alerts_and_panels_ask_for_metrics_that_there_are() -> None:
    there = {family.name for family in Metrics().registry.collect()}
    there |= {family.name for family in metric_families(Counts())}
    panels = json.loads(DASHBOARD.read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    asked += [rule["expr"] for rule in rules()]
    names = {name for text in asked for name in re.findall(r"sparksweep_\w+", text)}
    known = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in names}
    # Drivers' own are asked for on real nodes.
    assert {name for name in known - there if not name.startswith("sparksweep_driver_")} == set()
