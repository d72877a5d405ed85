"""The first thing a user does: `kubectl apply` of the example."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_cluster import Namespace

pytestmark = pytest.mark.nodes

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits-grid.yaml"
SEEDS_ORDER = [
    ("0.001", "0.45"), ("0.001", "0.7"), ("0.0005", "0.45"), ("0.0005", "0.7"), ("0.0001", "0.45"), ("0.0001", "0.7"),
]  # fmt: skip


def test_the_digits_grid_ends_with_the_same_best_as_a_local_run(
    namespace: Namespace, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    namespace.kubectl("apply", "-f", str(EXAMPLE))
    tables: list[str] = []

    def finished() -> bool:
        table = namespace.kubectl("get", "experiments.sparksweep.dev")
        if not tables or table != tables[-1]:
            tables.append(table)
        return bool(namespace.status("digits-grid").get("completionTime"))

    with namespace.watched("digits-grid"):
        namespace.wait_for(finished, "digits-grid ends", timeout_s=300)
    figure("\n".join(tables))
    status = namespace.status("digits-grid")
    assert namespace.condition("digits-grid", "Complete")["reason"] == "SearchSpaceExhausted"
    assert (status["trials"]["created"], status["trials"]["succeeded"]) == (6, 6)
    assert status["progress"] == "6/6"
    best = status["bestTrial"]
    assert best["objective"] > 0.9
    trials = namespace.trials("digits-grid")
    points = [
        (t["parameters"]["learning_rate"], t["parameters"]["dropout"]) for t in trials.values()
    ]
    assert points == SEEDS_ORDER
    assert all({"accuracy", "loss"} <= set(trial["metrics"]) for trial in trials.values())
    pods = {trial["node"] for trial in trials.values()}
    assert len(pods) <= 2, "a pod per trial"
    assert [batch["metadata"]["name"] for batch in namespace.items("trialbatches")] == [
        "digits-grid-00000"
    ]
    described = namespace.kubectl("describe", "swx", "digits-grid")
    for reason in ("Started", "BatchCreated", "DriverCreated", "SearchSpaceExhausted"):
        assert reason in described
    namespace.wait_for(
        lambda: not namespace.pods("digits-grid", "executor"), "the executors are given back"
    )

    command = [sys.executable, "-m", "sparksweep", "run", EXAMPLE, "--dir", tmp_path / "run"]
    local = json.loads(subprocess.check_output([*command, "--output", "json"], text=True))
    assert local["status"]["bestTrial"]["parameters"] == best["parameters"]
    assert local["status"]["bestTrial"]["objective"] == pytest.approx(best["objective"], abs=0.02)
