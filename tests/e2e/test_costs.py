"""Exact counts: what an experiment of a thousand short trials writes to the API server, and how long a start takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise

import pytest
from e2e_cluster import Namespace
from e2e_experiments import experiment, pausing

pytestmark = pytest.mark.nodes

WRITES = ("create", "update", "patch", "delete", "deletecollection")


def test_a_thousand_trials_of_10_ms_take_at_most_60_writes(
    namespace: Namespace, figure: Callable[[str], None]
) -> None:
    namespace.apply(experiment("thousand", trials=1000, source=pausing(0.01), parallel=4))
    namespace.wait_until_finished("thousand")
    namespace.assert_complete("thousand", trials=1000)
    writes: Counter[tuple[str, str, str]] = Counter()
    moments: dict[str, list[float]] = {}
    for entry in namespace.cluster.audit():
        reference = entry.get("objectRef") or {}
        agent = entry["user"]["username"]
        if reference.get("namespace") != namespace.name or entry["verb"] not in WRITES:
            continue
        if not agent.startswith("system:serviceaccount:") or "sparksweep" not in agent:
            continue
        resource = "/".join(filter(None, (reference["resource"], reference.get("subresource"))))
        writes[(agent.rpartition(":")[2], entry["verb"], resource)] += 1
        if resource.endswith("/status"):
            moment = datetime.fromisoformat(entry["requestReceivedTimestamp"]).timestamp()
            moments.setdefault(resource, []).append(moment)
    for key, count in sorted(writes.items()):
        figure(f"{count:4}  {' '.join(key)}")
    figure(f"{sum(writes.values()):4}  writes in all")
    assert sum(writes.values()) <= 60
    rounds = sorted(moments["experiments/status"])
    assert all(after - before > 0.9 for before, after in pairwise(rounds))
    assert len(namespace.get("swx", "thousand")["status"]["recentTrials"]) <= 10


def test_what_a_start_and_an_end_take(namespace: Namespace, figure: Callable[[str], None]) -> None:
    namespace.apply(experiment("prompt", trials=4, source=pausing(0.5), parallel=1))
    namespace.wait_until_finished("prompt")
    namespace.assert_complete("prompt", trials=4)
    document = namespace.get("swx", "prompt")
    trials = namespace.trials("prompt")

    def moment(text: str) -> datetime:
        return datetime.fromisoformat(text)

    applied = moment(document["metadata"]["creationTimestamp"])
    first = min(moment(trial["startTime"]) for trial in trials.values())
    last = max(moment(trial["completionTime"]) for trial in trials.values())
    complete = moment(document["status"]["completionTime"])
    figure(f"from apply to the first trial running: {(first - applied).total_seconds():.1f} s")
    figure(f"from the last trial's end to Complete: {(complete - last).total_seconds():.2f} s")
    assert first > applied
    assert complete >= last
