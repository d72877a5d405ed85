"""The cache holds the newest version of each object, whatever the order of arrival."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.api.metadata import API_VERSION
from sparksweep_core.contract.labels import EXPERIMENT_LABEL
from sparksweep_operator.cache import ObjectCache
from support.operator.operator_objects import NAME, NAMESPACE, UID, experiment_body, pod_body

KEY = (NAMESPACE, NAME)


def body_of(version: int, uid: str = UID, **spec: Any) -> dict[str, Any]:
    body = experiment_body(**spec)
    body["metadata"] |= {"resourceVersion": str(version), "uid": uid}
    return body


def batch_body(index: int = 0, *, version: int = 1, owner: str = UID) -> dict[str, Any]:
    name = f"{NAME}-{index:05d}"
    return {
        "apiVersion": API_VERSION,
        "kind": "TrialBatch",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid-of-{name}-of-{owner}",
            "resourceVersion": str(version),
            "generation": version,
            "managedFields": [{"manager": "anybody"}],
            "ownerReferences": [
                {"apiVersion": API_VERSION, "kind": "Experiment", "name": NAME, "uid": owner}
            ],
        },
        "spec": {"experiment": NAME, "index": index, "trials": []},
    }


def version_of(cache: ObjectCache) -> str | None:
    body = cache.experiment(KEY)
    return None if body is None else body["metadata"]["resourceVersion"]


def test_a_newer_version_replaces_an_older_one_and_never_the_other_way() -> None:
    cache = ObjectCache()
    for version, expected in [
        (9, "9"),
        (10, "10"),
        (9, "10"),
        (10, "10"),
        (100, "100"),
        (11, "100"),
    ]:
        assert cache.upsert_experiment(body_of(version)) == KEY
        assert version_of(cache) == expected, "versions are compared as numbers, not as text"


@given(st.permutations(range(1, 9)))
def test_the_newest_version_stays_in_any_order_of_arrival(versions: list[int]) -> None:
    cache = ObjectCache()
    for version in versions:
        cache.upsert_experiment(body_of(version))
        cache.upsert_batch(batch_body(version=version))
        cache.upsert_pod(pod_body("digits-driver-0", version=version, phase=f"Phase{version}"))
    assert version_of(cache) == "8"
    assert cache.batches(KEY, UID)[0].metadata.generation == 8
    assert [pod.phase for pod in cache.pods(KEY)] == ["Phase8"]


def test_an_empty_cache_has_no_objects() -> None:
    cache = ObjectCache()
    assert cache.experiment(KEY) is None
    assert (cache.batches(KEY, UID), cache.pods(KEY)) == ([], [])


def test_managed_fields_are_not_cached() -> None:
    cache = ObjectCache()
    body = body_of(1)
    body["metadata"]["managedFields"] = [{"manager": "anybody"}]
    given_body = copy.deepcopy(body)
    cache.upsert_experiment(body)
    cached = cache.experiment(KEY)
    assert cached is not None
    assert "managedFields" not in cached["metadata"]
    assert body == given_body, "the caller's body is unchanged"


def test_a_deleted_experiment_is_removed_but_not_the_next_one_of_its_name() -> None:
    cache = ObjectCache()
    cache.upsert_experiment(body_of(1))
    cache.remove_experiment(body_of(2))
    assert cache.experiment(KEY) is None
    cache.upsert_experiment(body_of(3, uid="uid-of-the-next"))
    cache.remove_experiment(body_of(4))
    assert version_of(cache) == "3", "the old Experiment's deletion arrived late"


def test_a_late_response_does_not_restore_a_deleted_object() -> None:
    cache = ObjectCache()
    cache.upsert_experiment(body_of(1))
    cache.upsert_batch(batch_body())
    cache.upsert_pod(pod_body("digits-driver-0"))
    cache.remove_experiment(body_of(5))
    cache.remove_batch(batch_body(version=5))
    cache.remove_pod(pod_body("digits-driver-0", version=5))
    cache.upsert_experiment(body_of(2))
    cache.upsert_batch(batch_body(version=2))
    cache.upsert_pod(pod_body("digits-driver-0", version=2))
    assert cache.experiment(KEY) is None
    assert (cache.batches(KEY, UID), cache.pods(KEY)) == ([], [])


def test_a_list_of_pods_removes_missing_ones_but_not_later_ones() -> None:
    cache = ObjectCache()
    cache.upsert_pod(pod_body("digits-driver-0", version=3))
    cache.upsert_pod(pod_body("digits-driver-1", version=4))
    cache.upsert_pod(pod_body("digits-driver-2", version=9))
    listed = [pod_body("digits-driver-1", version=6, phase="Running")]
    cache.replace_pods(KEY, listed, version=7)
    assert {pod.name: pod.phase for pod in cache.pods(KEY)} == {
        "digits-driver-1": "Running",
        "digits-driver-2": "Pending",
    }
    cache.replace_pods(("lab", "unknown"), [], version=7)
    assert cache.size == 1


def test_batches_of_an_earlier_experiment_of_that_name_are_not_shown() -> None:
    cache = ObjectCache()
    cache.upsert_batch(batch_body(0, owner="uid-of-an-earlier-one"))
    cache.upsert_batch(batch_body(1))
    assert [item.spec.index for item in cache.batches(KEY, UID)] == [1]


def test_the_batch_of_an_earlier_experiment_gives_way_to_ours() -> None:
    cache = ObjectCache()
    cache.upsert_batch(batch_body(0, owner="uid-of-an-earlier-one", version=1))
    cache.upsert_batch(batch_body(0, version=5))
    cache.remove_batch(batch_body(0, owner="uid-of-an-earlier-one", version=4))
    assert len(cache.batches(KEY, UID)) == 1


@pytest.mark.parametrize("spec", [None, {}, {"experiment": 3}])
def test_a_batch_without_an_experiment_is_left_alone(spec: Any) -> None:
    cache = ObjectCache()
    body = batch_body() | {"spec": spec}
    assert cache.upsert_batch(body) is None
    assert cache.remove_batch(body) is None


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"experiment": NAME, "index": 0, "trials": "none"}},
        {"spec": {"experiment": NAME, "index": 0}, "status": {"trials": [{"number": 1, "state": "New"}]}},
        {"spec": "text"},
        {"apiVersion": "sparksweep.dev/v2"},
    ],
)  # fmt: skip
def test_a_batch_that_can_not_be_read_is_there_and_named_until_it_can(
    change: dict[str, Any],
) -> None:
    cache = ObjectCache()
    cache.upsert_experiment(body_of(1))
    body = batch_body() | change
    body["metadata"]["labels"] = {EXPERIMENT_LABEL: NAME}
    assert cache.upsert_batch(body) == KEY
    assert cache.batches(KEY, UID) == []
    unreadable = cache.unreadable_batches(KEY)
    assert list(unreadable) == [f"{NAME}-00000"]
    assert unreadable[f"{NAME}-00000"].startswith(f"TrialBatch lab/{NAME}-00000 can't be read")
    cache.upsert_batch(batch_body(version=2))
    assert cache.unreadable_batches(KEY) == {}
    assert len(cache.batches(KEY, UID)) == 1


def test_an_unreadable_batch_of_an_earlier_experiment_of_that_name_is_not_ours() -> None:
    cache = ObjectCache()
    cache.upsert_experiment(body_of(1))
    cache.upsert_batch(batch_body(owner="uid-of-an-earlier-one") | {"kind": "TrialSheet"})
    assert cache.unreadable_batches(KEY) == {}


def test_experiments_of_one_name_in_two_namespaces_do_not_mix() -> None:
    cache = ObjectCache()
    other = pod_body("digits-driver-0")
    other["metadata"]["namespace"] = "elsewhere"
    assert cache.upsert_pod(other) == ("elsewhere", NAME)
    assert cache.pods(KEY) == []
    assert len(cache.pods(("elsewhere", NAME))) == 1


def test_nothing_of_deleted_objects_remains() -> None:
    cache = ObjectCache()
    for number in range(50):
        body = body_of(number + 1, uid=f"uid-{number}")
        body["metadata"]["name"] = f"e{number}"
        cache.upsert_experiment(body)
        cache.remove_experiment(body)
    cache.upsert_pod(pod_body("digits-driver-0"))
    cache.remove_pod(pod_body("digits-driver-0", version=2))
    cache.remove_batch(batch_body())
    assert cache.size == 0
