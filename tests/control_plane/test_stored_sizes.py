"""Sizes of objects in etcd: they are what `stored_bytes` says, and the bounds hold on a real API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from cluster.client import Cluster
from sparksweep_core.api import limits
from sparksweep_core.stored_size import stored_bytes
from support.control_plane.etcd import stored_object
from support.control_plane.kube_api import KubeApi, Refused
from support.hypothesis_profiles import examples

BATCHES = "trialbatches"
APPLY = "application/apply-patch+yaml"
CHARACTERS = st.characters(codec="utf-8", exclude_characters="\b\f")


@pytest.fixture
def api(control_plane: Cluster, crds: None, namespace: str) -> Iterator[KubeApi]:
    client = KubeApi(control_plane.kubeconfig, namespace)
    yield client
    client.close()


def batch(name: str, trials: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "sparksweep.dev/v1alpha1",
        "kind": "TrialBatch",
        "metadata": {"name": name},
        "spec": {"experiment": "sizes", "index": 0, "trials": trials},
    }


def trial(number: int, value: str, *, count: int = 1) -> dict[str, Any]:
    return {"number": number, "parameters": {f"p{i}": value for i in range(count)}}


def finished(number: int, **more: Any) -> dict[str, Any]:
    return {
        "number": number,
        "state": "Succeeded",
        "attempt": 1,
        "retries": 0,
        "metrics": {"accuracy": 0.9123456789012345},
        "reason": "Completed",
        "node": "ip-10-0-123-45.eu-central-1.compute.internal",
        "startTime": "2026-01-01T12:00:00.123Z",
        "completionTime": "2026-01-01T12:03:00.123Z",
        "durationSeconds": 180.0123,
        "peakMemoryBytes": 123456789,
        **more,
    }


def status(trials: list[dict[str, Any]]) -> dict[str, Any]:
    return {"status": {"observedGeneration": 1, "driver": "sizes-driver-0", "trials": trials}}


VALUES = st.text(CHARACTERS, min_size=1, max_size=limits.VALUE)


@given(
    values=st.lists(VALUES, min_size=1, max_size=20),
    metrics=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20),
)
@examples(20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_stored_object_has_the_size_that_the_function_says(
    control_plane: Cluster, api: KubeApi, values: list[str], metrics: list[float]
) -> None:
    name = f"sizes-{abs(hash((*values, *metrics)))}"
    api.create(BATCHES, batch(name, [trial(i + 1, value) for i, value in enumerate(values)]))
    try:
        reports = [finished(i + 1, metrics={"m": value}) for i, value in enumerate(metrics)]
        api.patch(BATCHES, name, status(reports[: len(values)]), "status")
        stored = stored_object(control_plane, BATCHES, api.namespace, name)
        # The encoder ends with a line feed.
        assert len(stored) == stored_bytes(json.loads(stored)) + 1
    finally:
        api.delete(BATCHES, name)


def test_managed_fields_are_a_small_part_of_a_batch(control_plane: Cluster, api: KubeApi) -> None:
    """The parts of 100 typical finished trials: spec, status, and what the API server adds."""
    trials = [
        {
            "number": number,
            "parameters": {
                "learning_rate": "0.0123456789012345",
                "layers": "12",
                "dropout": "0.123456789012345",
                "optimizer": "adam",
                "batch_size": "128",
            },
        }
        for number in range(1, 101)
    ]
    api.create(BATCHES, batch("typical", trials))
    for _ in range(3):
        api.patch(BATCHES, "typical", status([finished(n) for n in range(1, 101)]), "status")
    stored = stored_object(control_plane, BATCHES, api.namespace, "typical")
    document = json.loads(stored)
    managed = stored_bytes(document["metadata"]["managedFields"])
    assert managed < 10_000
    assert len(stored) < 60_000


def test_the_largest_batch_that_the_planner_makes_takes_the_largest_status(
    control_plane: Cluster, api: KubeApi
) -> None:
    value = "<" * limits.VALUE
    one = stored_bytes(trial(100, value, count=3)) + 1
    count = min(limits.BATCH_TRIALS, limits.BATCH_SPEC_BYTES // one)
    api.create(BATCHES, batch("largest", [trial(n + 1, value, count=3) for n in range(count)]))
    room = limits.BATCH_STATUS_BYTES - 1024
    message = "\x00" * (room // count // 6 - 100)
    reports = [finished(n + 1, message=message[: limits.MESSAGE]) for n in range(count)]
    assert stored_bytes(reports) < limits.BATCH_STATUS_BYTES
    api.patch(BATCHES, "largest", status(reports), "status")
    stored = stored_object(control_plane, BATCHES, api.namespace, "largest")
    assert len(stored) > 0.9 * (limits.BATCH_SPEC_BYTES + limits.BATCH_STATUS_BYTES)


def test_the_rules_about_trials_hold_while_maps_are_atomic(api: KubeApi) -> None:
    api.create(BATCHES, batch("rules", [trial(1, "a"), trial(2, "b")]))
    for trials, why in (
        ([trial(1, "a"), trial(2, "c")], "a trial must not change"),
        ([trial(1, "a", count=2), trial(2, "b")], "a trial must not change"),
        ([trial(1, "a")], "trials must not be removed"),
        ([trial(2, "b")], "trials must not be removed"),
    ):
        with pytest.raises(Refused, match=why):
            api.patch(BATCHES, "rules", {"spec": {"trials": trials}})
    appended = [trial(1, "a"), trial(2, "b"), trial(3, "c")]
    assert api.patch(BATCHES, "rules", {"spec": {"trials": appended}})["spec"]["trials"] == appended


def test_a_status_that_is_merged_replaces_the_list_of_trials(api: KubeApi) -> None:
    api.create(BATCHES, batch("merged", [trial(1, "a"), trial(2, "b")]))
    running = {"number": 1, "state": "Running", "attempt": 1, "retries": 0}
    reported = {**running, "reported": {"step": 1, "metrics": {"loss": 0.5, "gone": 1.0}}}
    api.patch(BATCHES, "merged", status([reported]), "status")
    item = api.patch(BATCHES, "merged", status([finished(1), finished(2)]), "status")
    assert [one["number"] for one in item["status"]["trials"]] == [1, 2]
    assert "reported" not in item["status"]["trials"][0]
