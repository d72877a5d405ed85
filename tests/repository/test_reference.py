"""The documents on fields and reasons name all of them, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sparksweep_core.api.reasons import ExperimentReason, TrialReason

ROOT = Path(__file__).parents[2]
TROUBLESHOOTING = (ROOT / "docs" / "troubleshooting.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()

HARMLESS = {"Valid", "Finished", "Resumed", "Interrupted"}
"""Reasons that need no explanation."""


@pytest.mark.parametrize("reason", [*TrialReason, *ExperimentReason])
def test_every_reason_is_in_the_pages_on_troubles(reason: str) -> None:
    assert f"`{reason}`" in TROUBLESHOOTING or reason in HARMLESS


def test_every_warning_event_is_in_the_pages_on_troubles() -> None:
    code = "".join(path.read_text() for path in (ROOT / "operator").rglob("*.py"))
    reasons = re.findall(r'Event\(\s*"Warning"[^,\n]*, "(\w+)"', code)
    reasons += re.findall(r'\breason="(\w+)",\s*action=', code)
    assert {"StatusRefused", "TrialFailed", "PodNotDeleted", "DriverRestarted"} <= set(reasons)
    assert [reason for reason in reasons if f"`{reason}`" not in TROUBLESHOOTING] == []


def test_every_metric_is_described_and_every_described_one_is_there() -> None:
    code = "".join(
        path.read_text()
        for path in (
            ROOT / "operator" / "sparksweep_operator" / "metrics.py",
            ROOT / "operator" / "sparksweep_operator" / "collector.py",
            ROOT / "trainer_image" / "sparksweep_trainer" / "kubernetes" / "prometheus.py",
        )
    )
    there = set(re.findall(r'"(sparksweep_\w+)"', code)) - {"sparksweep_build_info"}
    described = set(re.findall(r"`(sparksweep_\w+)", OPERATIONS))
    assert {name.removesuffix("_total") for name in described} == {
        name.removesuffix("_total") for name in there
    }
