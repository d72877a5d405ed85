"""The bounds of connections without the token that docs/security.md names are those of the servers."""

from __future__ import annotations

from pathlib import Path

from sparksweep_trainer.driver.trial_server import BOUNDS as TRIALS
from sparksweep_trainer.http_head import MAX_HEAD_BYTES
from sparksweep_trainer.kubernetes.prometheus import BOUNDS as METRICS

ROOT = Path(__file__).parents[2]


def test_the_bounds_before_the_token_are_those_of_the_documentation() -> None:
    text = (ROOT / "docs/security.md").read_text()
    (paragraph,) = (
        " ".join(item.split())
        for item in text.split("\n\n")
        if item.startswith("**Without the token")
    )
    for sentence in (
        f"is closed after {TRIALS.head_s:g} s",
        f"{MAX_HEAD_BYTES // 1024} KiB of a request's head",
        f"{TRIALS.strangers_of_address} of one address and {TRIALS.strangers:,} in all",
        f"serves all connections, {TRIALS.connections:,} at most",
        f"{METRICS.strangers_of_address}, {METRICS.strangers} and {METRICS.connections} connections",
    ):
        assert sentence in paragraph
