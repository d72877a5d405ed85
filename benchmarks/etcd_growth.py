"""Benchmark: bytes by which etcd grows with each write of a status, until it is compacted.

    export KUBECONFIG=...                           # an API server that nothing else writes to: `make cluster-up NODES=0`
    python benchmarks/etcd_growth.py http://127.0.0.1:2379 [--writes 200]        # etcd's client URL, for its metrics

etcd keeps every version of an object until a compaction: every five minutes the API server has all compacted that is older
than five minutes, so that there are up to ten minutes of versions. Printed for each
kind of write: the size of the object as JSON, the bytes that etcd counts for a write, and the growth of its database in use,
both in the mean of many writes; then the writes a second, and a day, at which ten minutes of them fill the default
quota of 2 GiB.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scale import BATCH, MOMENT, Store, batch_status, outcome, sum_of

from support.control_plane.kube_api import Document

QUOTA_BYTES = 2 * 2**30
HISTORY_S = 600
DAY_S = 86_400
COMMIT_S = 1.0
"""Seconds after which etcd has committed what was written, and counts it."""
IN_USE = "etcd_mvcc_db_total_size_in_use_in_bytes"
PUT = "etcd_debugging_mvcc_total_put_size_in_bytes"
COMPACTIONS = "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds_count"
LONG = "loss did not converge: " * 40


@dataclass(frozen=True)
class Kind:
    """A kind of write."""

    name: str
    plural: str
    object_name: str
    status: Callable[[int], Document]
    """Returns the status of the write with a number, different from the one before."""


@dataclass(frozen=True)
class Growth:
    """Figures of a kind of write."""

    name: str
    object_bytes: int
    put_bytes: float
    in_use_bytes: float


def running(number: int, step: int) -> Document:
    """Return the status of a trial that runs and has reported."""
    metrics = {"score": step / 1000, "loss": 1 / (step + 1), "accuracy": 0.5 + step / 1e4}
    return {
        "number": number,
        "state": "Running",
        "attempt": 1,
        "reported": {"step": step, "metrics": metrics},
        "node": "node-1",
        "startTime": MOMENT,
    }


def failed(number: int) -> Document:
    """Return the status of a trial that has failed with a long message."""
    return outcome(number) | {"state": "Failed", "metrics": {}, "reason": "Exception", "message": LONG}  # fmt: skip


def kinds(body: Document, name: str) -> list[Kind]:
    """Return the kinds of writes: of a batch of 100 trials, and of its Experiment.

    Args:
        body: the batch.
        name: name of the Experiment.
    """
    numbers = [trial["number"] for trial in body["spec"]["trials"]]
    batch_name = body["metadata"]["name"]

    def ended(write: int) -> Document:
        outcomes = [outcome(number) for number in numbers]
        outcomes[write % BATCH]["metrics"] = {"score": write / 1000}
        return batch_status(body, f"{name}-driver-0", outcomes)

    def reports(write: int) -> Document:
        status = batch_status(body, f"{name}-driver-0", [])
        return status | {"trials": [running(number, write) for number in numbers]}

    def failures(write: int) -> Document:
        status = batch_status(body, f"{name}-driver-0", [])
        trials = [failed(number) for number in numbers]
        return status | {"trials": trials, "progress": f"{write % 100}/100"}

    def progress(write: int) -> Document:
        best = {"number": 1, "attempt": 1, "objective": write / 1000, "metrics": {"score": 1.0}}
        best["parameters"] = body["spec"]["trials"][0]["parameters"]
        recent = [{"number": number, "state": "Running", "attempt": 1} for number in range(1, 11)]
        counts = {"created": 100, "running": 8, "pending": 92}
        return {
            "state": "Running",
            "progress": f"{write % 100}/100",
            "trials": counts,
            "bestTrial": best,
            "recentTrials": recent,
        }

    return [
        Kind("batch of 100 trials that have succeeded", "trialbatches", batch_name, ended),
        Kind("batch of 100 trials that report three metrics", "trialbatches", batch_name, reports),
        Kind("batch of 100 failures, 920 characters each", "trialbatches", batch_name, failures),
        Kind("Experiment", "experiments", name, progress),
    ]


def measure(store: Store, etcd: str, kind: Kind, writes: int) -> Growth:
    """Write a status many times; again if etcd was compacted meanwhile."""

    def metrics() -> tuple[float, float, float]:
        time.sleep(COMMIT_S)
        with urllib.request.urlopen(f"{etcd}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        return sum_of(text, IN_USE), sum_of(text, PUT), sum_of(text, COMPACTIONS)

    while True:
        store.api.patch(kind.plural, kind.object_name, {"status": kind.status(0)}, "status")
        in_use, put, compactions = metrics()
        for number in range(1, writes + 1):
            status = {"status": kind.status(number)}
            stored = store.api.patch(kind.plural, kind.object_name, status, "status")
        after = metrics()
        if after[2] == compactions:
            size = len(json.dumps(stored, separators=(",", ":")))
            return Growth(kind.name, size, (after[1] - put) / writes, (after[0] - in_use) / writes)


def main() -> None:
    """Measure each kind of write, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("etcd", help="etcd's client URL")
    parser.add_argument("--writes", type=int, default=200, help="writes of each kind (default: 200)")  # fmt: skip
    options = parser.parse_args()
    store = Store(Path(os.environ["KUBECONFIG"]), "etcd-growth")
    store.add_experiment("growth", BATCH, finished=0)
    body = store.api.get("trialbatches", "growth-00000")
    print(
        "| a write of | object, kB | put, kB | etcd grows by, kB | writes/s to 2 GiB | writes a day |"
    )
    print("|---|---|---|---|---|---|")
    for kind in kinds(body, "growth"):
        growth = measure(store, options.etcd, kind, options.writes)
        per_s = QUOTA_BYTES / HISTORY_S / growth.in_use_bytes
        print(
            f"| {growth.name} | {growth.object_bytes / 1000:.1f} | {growth.put_bytes / 1000:.1f} "
            f"| {growth.in_use_bytes / 1000:.1f} | {per_s:.0f} | {per_s * DAY_S:,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
