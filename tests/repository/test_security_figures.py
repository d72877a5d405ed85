"""The bounds of connections without the token that docs/security.md names are those of the servers."""

from __future__ import annotations

from pathlib import Path

from sparksweep_trainer.driver.retry_policy import MAX_LOST_ATTEMPTS
from sparksweep_trainer.driver.trial_server import BOUNDS as TRIALS
from sparksweep_trainer.http_server.head import MAX_HEAD_BYTES
from sparksweep_trainer.kubernetes.prometheus import BOUNDS as METRICS

ROOT = Path(__file__).parents[2]


def test_the_bounds_before_the_token_are_those_of_the_documentation() -> None:
    text = (ROOT / "docs/security.md").read_text()
    (paragraph,) = (
        " ".join(item.split())
        for item in text.split("\n\n")
        if item.startswith("**Without a token")
    )
    for sentence in (
        f"is closed after {TRIALS.head_s:g} s",
        f"{MAX_HEAD_BYTES // 1024} KiB of a request's head",
        f"{TRIALS.strangers_of_address} of one address and {TRIALS.strangers:,} in all",
        f"serves all connections, {TRIALS.connections:,} at most",
        f"{METRICS.strangers_of_address}, {METRICS.strangers} and {METRICS.connections} connections",
    ):
        assert sentence in paragraph


def test_the_bounds_with_a_token_are_those_of_the_documentation() -> None:
    text = " ".join((ROOT / "docs/security.md").read_text().split())
    for sentence in (
        f"Its slot has {TRIALS.owned} connections, one large body at a time",
        {8: "only where eight slots send bodies that never come"}[TRIALS.gate],
        {10: "wait, ten seconds at a time"}[int(TRIALS.body_s)],
        {10: "counts as lost, at most ten times"}[MAX_LOST_ATTEMPTS],
    ):
        assert sentence in text
