"""The exact number of the operator's writes, from the API server's audit log; and the size of the status."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from support.control_plane.kube_api import Document
from support.control_plane.lab import EXPERIMENT_LABEL, ROLE, Lab, running, succeeded

MOST_BYTES = 10_000


def passes(seconds: float) -> Iterator[None]:
    """Iterate until so much time has passed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield


def size_of(lab: Lab, name: str) -> tuple[int, int]:
    """Return the bytes of the stored Experiment, and of its status alone."""
    body = lab.api.get("experiments", name)
    return len(json.dumps(body, separators=(",", ":"))), len(json.dumps(body["status"]))


def by_kind(lab: Lab, since: int | None = None) -> Counter[str]:
    return Counter(
        f"{item['verb']} {item['objectRef']['resource']}"
        + ("/status" if item["objectRef"].get("subresource") == "status" else "")
        for item in lab.writes(since=since)
    )


def test_an_experiment_to_which_nothing_happens_is_not_written(lab: Lab) -> None:
    """One Experiment whose driver is waiting, and one whose trials are running."""
    lab.create(name="waiting")
    lab.create(trials=10)
    for name in ("waiting", "digits"):
        lab.wait_for_driver(name)
    driver = lab.api.get("pods", "digits-driver-0")["metadata"]
    for number in (1, 2):
        lab.api.create(
            "pods",
            {
                "metadata": {
                    "name": f"digits-0-exec-{number}",
                    "labels": {EXPERIMENT_LABEL: "digits", ROLE: "executor"},
                    "ownerReferences": [
                        {
                            "apiVersion": "v1",
                            "kind": "Pod",
                            "name": driver["name"],
                            "uid": driver["uid"],
                        }
                    ],
                },
                "spec": {
                    "containers": [
                        {
                            "name": "executor",
                            "image": "none",
                            "resources": {"requests": {"cpu": "1000"}},
                        }
                    ]
                },
            },
        )
        lab.api.patch("pods", f"digits-0-exec-{number}", {"status": {"phase": "Running"}}, "status")
    lab.take_over()
    lab.report(lab.batches()[0], [running(1), running(2)])
    lab.wait_for_condition("Running", reason="TrialsRunning")
    lab.wait_for_condition("Running", "False", message="The driver is waiting", name="waiting")
    quiet = lab.cluster.audit_size()

    def is_quiet() -> bool:
        nonlocal quiet
        since, quiet = quiet, lab.cluster.audit_size()
        for _ in passes(1.5):
            time.sleep(0.1)
        return not lab.writes(since=since)

    lab.wait(is_quiet, "the operator has said what there is to say")
    since = lab.cluster.audit_size()
    for _ in passes(10):
        time.sleep(0.5)
    assert by_kind(lab, since) == Counter()


def test_statuses_are_written_once_a_second_at_most_however_often_batches_change(lab: Lab) -> None:
    lab.create(trials=100)
    lab.wait_for_driver()
    lab.take_over()
    (batch,) = lab.batches()
    trials, began = list(batch["spec"]["trials"]), time.monotonic()
    since, updates = lab.cluster.audit_size(), 0
    for _ in passes(5):
        lab.report(batch, [succeeded(trials[updates % 100])])
        updates += 1
        time.sleep(max(0.0, began + updates * 0.05 - time.monotonic()))
    took = time.monotonic() - began
    moments = [
        item["requestReceivedTimestamp"]
        for item in lab.writes(since=since)
        if item["objectRef"].get("subresource") == "status"
    ]
    assert 2 <= len(moments) <= took + 1, moments
    assert updates >= 2 * len(moments), "batches changed more often"


def test_a_thousand_trials_take_few_writes(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    lab.create(trials=1000, parallelTrialCount=8)
    lab.wait_for_driver()
    status = lab.play_to_the_end(timeout_s=60)
    lab.wait(lambda: not lab.drivers(), "the driver's pod is deleted")
    took = time.monotonic() - began
    assert status["trials"]["succeeded"] == 1000
    kinds = by_kind(lab)
    with capsys.disabled():
        print(f"\n1,000 trials in {took:.1f} s: {kinds.total()} writes, {dict(kinds)}")  # noqa: T201
    assert kinds["create trialbatches"] == 10
    assert kinds["create pods"] == 1
    assert kinds["delete pods"] == 1
    assert kinds["create configmaps"] == 2
    assert kinds["patch experiments/status"] <= took + 2
    assert kinds.total() <= 60


def finished_batch(lab: Lab, owner: Document, index: int) -> None:
    """Create a hundred trials that have succeeded, as operator and driver leave them."""
    name = owner["metadata"]["name"]
    metadata = {
        "name": f"{name}-{index:05d}",
        "labels": {EXPERIMENT_LABEL: name},
        "ownerReferences": [
            {
                "apiVersion": owner["apiVersion"],
                "kind": owner["kind"],
                "name": name,
                "uid": owner["metadata"]["uid"],
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    first = 100 * index + 1
    trials = [{"number": n, "parameters": {"x": str(n)}} for n in range(first, first + 100)]
    spec = {"experiment": name, "index": index, "trials": trials, "parallelTrialCount": 8}
    batch = {"apiVersion": owner["apiVersion"], "kind": "TrialBatch", "metadata": metadata, "spec": spec}  # fmt: skip
    lab.report(
        lab.api.create("trialbatches", batch),
        [succeeded(trial) for trial in trials],
        driver=f"{name}-driver-0",
    )


def test_the_experiment_is_as_large_with_ten_trials_as_with_ten_thousand(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {}
    for name, trials in (("digits", 10), ("bigger", 10_000)):
        created = lab.create(name=name, trials=trials, parallelTrialCount=8, suspend=True)
        lab.wait_for_condition("Suspended", name=name)
        # All but the last hundred are there at once, as the operator makes a hundred in a second.
        for index in range((trials - 1) // 100):
            finished_batch(lab, created, index)
        lab.change(name, suspend=False)
        lab.wait_for_driver(name, number=0 if trials == 10 else 1)
        status = lab.play_to_the_end(name, timeout_s=60)
        assert status["trials"]["succeeded"] == trials
        sizes[trials] = size_of(lab, name)
    with capsys.disabled():
        print(f"\nbytes of the Experiment and of its status: {sizes}")  # noqa: T201
    small, large = sizes[10], sizes[10_000]
    assert abs(large[0] - small[0]) <= 1000
    assert max(large[0], small[0]) <= MOST_BYTES
