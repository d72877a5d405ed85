"""The cache holds the newest version of each object, whatever the order of arrival."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.api import TrialBatch
from sparksweep_core.contract.labels import EXPERIMENT_LABEL
from sparksweep_core.history import History
from sparksweep_operator.cache import DELETED_UIDS, SOURCE_CHARACTERS, BatchChange, ObjectCache
from support.operator.operator_objects import (
    NAME,
    NAMESPACE,
    UID,
    batch_body,
    event,
    experiment_body,
    load_batches,
    loaded_cache,
    pod_body,
)

KEY = (NAMESPACE, NAME)


def body_of(version: int, uid: str = UID, **spec: Any) -> dict[str, Any]:
    body = experiment_body(**spec)
    body["metadata"] |= {"resourceVersion": str(version), "uid": uid}
    return body


def batches_of(cache: ObjectCache) -> list[TrialBatch]:
    return [record.batch() for record in cache.history(KEY).view().records]


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
    cache = loaded_cache(body_of(0))
    for version in versions:
        cache.upsert_experiment(body_of(version))
        if version % 2:
            cache.upsert_batch(batch_body(version=version))
        else:
            cache.change_batch(*event(batch_body(version=version)))
        cache.upsert_pod(pod_body("digits-driver-0", version=version, phase=f"Phase{version}"))
    assert version_of(cache) == "8"
    assert [batch.metadata.generation for batch in batches_of(cache)] == [8]
    assert [pod.phase for pod in cache.pods(KEY)] == ["Phase8"]


def test_an_empty_cache_has_no_objects() -> None:
    cache = ObjectCache()
    assert cache.experiment(KEY) is None
    assert (batches_of(cache), cache.pods(KEY)) == ([], [])


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
    cache = loaded_cache(body_of(1), batch_body())
    cache.upsert_pod(pod_body("digits-driver-0"))
    cache.remove_experiment(body_of(5))
    cache.remove_batch(event(batch_body(version=5))[0])
    cache.remove_pod(pod_body("digits-driver-0", version=5))
    cache.upsert_experiment(body_of(2))
    cache.upsert_batch(batch_body(version=2))
    cache.upsert_pod(pod_body("digits-driver-0", version=2))
    assert cache.experiment(KEY) is None
    assert (batches_of(cache), cache.pods(KEY)) == ([], [])


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
    cache = loaded_cache(body_of(1), batch_body(0, owner="uid-of-an-earlier-one"), at=1)
    cache.upsert_batch(batch_body(0, owner="uid-of-an-earlier-one", version=2))
    cache.upsert_batch(batch_body(1, version=3))
    assert [item.spec.index for item in batches_of(cache)] == [1]


def test_the_batch_of_an_earlier_experiment_gives_way_to_ours() -> None:
    earlier = batch_body(0, owner="uid-of-an-earlier-one", version=1)
    cache = loaded_cache(body_of(1), earlier, at=1)
    cache.upsert_batch(batch_body(0, version=5))
    gone = batch_body(0, owner="uid-of-an-earlier-one", version=4)
    assert cache.remove_batch(event(gone, "DELETED")[0]) is None
    assert len(batches_of(cache)) == 1


@pytest.mark.parametrize("spec", [None, {}, {"experiment": 3}])
def test_a_batch_without_an_experiment_is_left_alone(spec: Any) -> None:
    cache = loaded_cache(body_of(1))
    body = batch_body() | {"spec": spec}
    assert cache.upsert_batch(body) is None
    assert cache.change_batch(*event(body)) is None
    assert cache.remove_batch(event(body)[0]) is None


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
    cache = loaded_cache(body_of(1))
    body = batch_body() | change
    body["metadata"]["labels"] = {EXPERIMENT_LABEL: NAME}
    assert cache.change_batch(*event(body)) == BatchChange(KEY, is_urgent=True)
    assert batches_of(cache) == []
    unreadable = cache.unreadable_batches(KEY)
    assert list(unreadable) == [f"{NAME}-00000"]
    assert unreadable[f"{NAME}-00000"].startswith(f"TrialBatch lab/{NAME}-00000 can't be read")
    cache.upsert_batch(batch_body(version=2))
    assert cache.unreadable_batches(KEY) == {}
    assert len(batches_of(cache)) == 1


def test_an_unreadable_batch_of_an_earlier_experiment_of_that_name_is_not_ours() -> None:
    cache = loaded_cache(body_of(1))
    cache.upsert_batch(batch_body(owner="uid-of-an-earlier-one") | {"kind": "TrialSheet"})
    assert cache.unreadable_batches(KEY) == {}


@pytest.mark.parametrize("listed", [True, False])
def test_a_batch_that_this_version_can_not_read_is_reported_and_not_absent(listed: bool) -> None:
    unreadable = batch_body(1, version=7)
    unreadable["spec"]["trials"] = "none"
    first = batch_body(0, version=2)
    cache = loaded_cache(body_of(1), first, *([unreadable] if listed else []), at=2)
    cache.change_batch(*event(unreadable))
    assert [batch.spec.index for batch in batches_of(cache)] == [0]
    problems = cache.unreadable_batches(KEY)
    assert list(problems) == ["digits-00001"]
    assert "spec.trials" in problems["digits-00001"]
    cache.change_batch(*event(batch_body(1, version=8)))
    assert [batch.spec.index for batch in batches_of(cache)] == [0, 1]
    assert not cache.unreadable_batches(KEY)


def test_fields_of_a_newer_version_do_not_make_a_batch_unreadable() -> None:
    body = batch_body(0, version=2)
    body["spec"]["novelty"] = {"of": 1}
    body["metadata"]["novelty"] = 3
    cache = loaded_cache(body_of(1), body)
    assert not cache.unreadable_batches(KEY)
    assert len(batches_of(cache)) == 1


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
    cache.remove_batch(event(batch_body())[0])
    assert cache.size == 0


# ---------------------------------------------------------------------- running and ended Experiments


def ended(version: int, uid: str = UID, *, source: str = "x = 1\n") -> dict[str, Any]:
    template = {"source": {"inline": source}}
    body = body_of(version, uid, template=template)
    return body | {"status": {"state": "Complete", "completionTime": "2026-01-01T00:00:00Z"}}


def test_nothing_of_the_batches_of_an_ended_experiment_is_cached_in_any_order() -> None:
    for is_first in (True, False):
        cache = ObjectCache()
        if is_first:
            cache.upsert_experiment(ended(1))
        for index in range(5):
            assert cache.change_batch(*event(batch_body(index, version=2 + index))) is None
            assert cache.upsert_batch(batch_body(index, version=20 + index)) is None
        if not is_first:
            cache.upsert_experiment(ended(1))
        assert cache.needs_batches(KEY) is None
        assert cache.batch_count == 0
        assert not len(cache.history(KEY))


def test_an_ended_experiment_keeps_no_inline_source_and_a_running_one_does() -> None:
    cache = ObjectCache()
    running = ended(1)
    del running["status"]
    cache.upsert_experiment(running)
    cached = cache.experiment(KEY)
    assert cached is not None
    assert cached["spec"] == running["spec"]
    cache.upsert_experiment(ended(2))
    cached = cache.experiment(KEY)
    assert cached is not None
    assert cached["spec"]["trialTemplate"]["source"] == {}
    assert cached["spec"]["parameters"] == running["spec"]["parameters"]
    assert cached["status"] == ended(2)["status"]


@pytest.mark.parametrize("characters", [SOURCE_CHARACTERS, SOURCE_CHARACTERS + 1, 500_000])
def test_a_long_inline_source_is_not_cached(characters: int) -> None:
    cache = ObjectCache()
    # Text that zlib can't compress.
    source = Random(1).randbytes(characters).hex()[:characters]
    running = ended(1, source=source)
    del running["status"]
    cache.upsert_experiment(running)
    cached, experiment = cache.experiment(KEY), cache._families[KEY].experiment
    assert cached is not None
    assert experiment is not None
    is_short = characters <= SOURCE_CHARACTERS
    assert cached["spec"]["trialTemplate"]["source"] == ({"inline": source} if is_short else {})
    assert len(experiment.document) <= SOURCE_CHARACTERS + 1000


def test_the_batches_of_an_experiment_that_ends_are_dropped() -> None:
    cache = loaded_cache(body_of(1), batch_body(0), batch_body(1))
    assert cache.batch_count == 2
    cache.upsert_experiment(ended(5))
    assert cache.batch_count == 0


@pytest.mark.parametrize("uid", [UID, "uid-of-the-next"])
def test_the_batches_of_one_that_goes_on_or_comes_anew_are_listed_again(uid: str) -> None:
    cache = loaded_cache(body_of(1), batch_body(0))
    cache.upsert_experiment(ended(5))
    assert cache.needs_batches(KEY) is None
    cache.upsert_experiment(body_of(6, uid))
    assert cache.needs_batches(KEY) == uid
    load_batches(cache, KEY, batch_body(0, owner=uid), batch_body(1, owner=uid), at=6)
    assert cache.needs_batches(KEY) is None
    assert len(batches_of(cache)) == 2


def test_a_new_experiment_of_the_name_needs_its_own_batches_even_if_the_deletion_was_missed() -> (
    None
):
    cache = loaded_cache(body_of(1), batch_body(0))
    cache.upsert_experiment(body_of(6, "uid-of-the-next"))
    assert cache.needs_batches(KEY) == "uid-of-the-next"
    assert batches_of(cache) == []


def test_batches_that_arrive_before_their_experiment_are_in_the_list_that_follows() -> None:
    cache = ObjectCache()
    assert cache.change_batch(*event(batch_body(0, version=3), "ADDED")) is None
    cache.upsert_experiment(body_of(4))
    assert cache.needs_batches(KEY) == UID


# ---------------------------------------------------------------------- changes during a list


def listing_cache() -> ObjectCache:
    cache = ObjectCache()
    cache.upsert_experiment(body_of(1))
    cache.begin_batches(KEY, UID)
    return cache


def indexes(cache: ObjectCache) -> dict[int, int | None]:
    return {batch.spec.index: batch.metadata.generation for batch in batches_of(cache)}


def test_what_changed_after_the_list_stays_and_what_changed_before_does_not() -> None:
    cache = listing_cache()
    cache.change_batch(*event(batch_body(0, version=5)))
    cache.change_batch(*event(batch_body(1, version=12)))
    cache.change_batch(*event(batch_body(2, version=13), "ADDED"))
    cache.change_batch(*event(batch_body(3, version=4)))
    listed = [batch_body(0, version=9), batch_body(1, version=9)]
    load_batches(cache, KEY, *listed, at=10, began=True)
    assert indexes(cache) == {0: 9, 1: 12, 2: 13}


def test_a_batch_deleted_during_the_list_is_gone_after_it() -> None:
    cache = listing_cache()
    cache.remove_batch(event(batch_body(0, version=11), "DELETED")[0])
    load_batches(cache, KEY, batch_body(0, version=9), batch_body(1, version=9), at=10, began=True)
    assert indexes(cache) == {1: 9}


def test_a_late_event_about_a_batch_that_is_not_listed_does_not_restore_it() -> None:
    cache = loaded_cache(body_of(1), batch_body(0, version=9), at=10)
    assert cache.change_batch(*event(batch_body(1, version=8))) is None
    assert indexes(cache) == {0: 9}


def test_an_experiment_that_ends_during_the_list_keeps_nothing_of_it() -> None:
    cache = listing_cache()
    cache.upsert_experiment(ended(5))
    cache.replace_batches(KEY, UID, [], History(), version=6)
    assert cache.batch_count == 0
    assert cache.needs_batches(KEY) is None


def test_after_missed_events_all_batches_are_listed_again() -> None:
    cache = loaded_cache(body_of(1), batch_body(0, version=50), batch_body(1, version=60), at=70)
    assert cache.forget_batches("elsewhere") == []
    assert cache.forget_batches(NAMESPACE) == [KEY]
    assert cache.needs_batches(KEY) == UID
    # The API server was restored from a backup: its versions begin again at a lower number.
    load_batches(cache, KEY, batch_body(0, version=5), at=7)
    assert indexes(cache) == {0: 5}
    cache.change_batch(*event(batch_body(0, version=8)))
    assert indexes(cache) == {0: 8}


def test_a_batch_that_is_written_often_is_parsed_once_a_reconcile() -> None:
    cache = loaded_cache(body_of(1), batch_body(0))
    store = cache._families[KEY].batches
    assert store is not None
    for version in range(2, 100):
        change = cache.change_batch(*event(batch_body(0, version=version)))
        assert change is not None
        assert change.key == KEY
        assert len(store._changed) == 1
    assert indexes(cache) == {0: 99}
    assert cache.history(KEY).fold_count == 2, "the listed version, and the last"


def test_the_uids_of_deleted_objects_are_bounded_however_they_vanish() -> None:
    cache = ObjectCache()
    for number in range(DELETED_UIDS // 2):
        body = body_of(number + 1, uid=f"uid-{number}")
        cache.upsert_experiment(body)
        cache.remove_experiment(body)
    for number in range(3):
        pods = [pod_body(f"p{number}-{index}") for index in range(DELETED_UIDS // 2)]
        for body in pods:
            body["metadata"]["uid"] = f"uid-of-{body['metadata']['name']}"
            cache.upsert_pod(body)
        cache.replace_pods(KEY, [], version=10**9)
    assert len(cache._deleted_uids) == DELETED_UIDS


def reported(version: int, **metrics: float) -> dict[str, Any]:
    """Return a batch with a running trial that has reported metrics, as the driver writes it."""
    body = batch_body(0, version=version)
    body["metadata"]["generation"] = 1
    body["spec"]["trials"] = [{"number": 1, "parameters": {}}]
    trial = {"number": 1, "state": "Running", "attempt": 1, "reported": {"step": 1, "metrics": metrics}}  # fmt: skip
    body["status"] = {"driver": "d-0", "counts": {"created": 1, "running": 1}, "trials": [trial]}
    return body


def test_a_change_of_reports_alone_is_not_urgent_and_is_read_with_the_next_one() -> None:
    cache = loaded_cache(body_of(1), reported(2, loss=1.0))
    assert cache.change_batch(*event(reported(3, loss=0.5))) == BatchChange(KEY, is_urgent=False)
    trial = cache.history(KEY)[f"{NAME}-00000"].trials[0]
    assert trial.status.reported is not None
    assert trial.status.reported.metrics == {"loss": 0.5}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("status", "counts"), {"created": 1, "succeeded": 1}),
        (("status", "counts"), {"created": 2, "running": 1, "pending": 1}),
        (("status", "counts"), None),
        (("status", "counts"), "a later version's"),
        (("status", "driver"), "d-1"),
        (("status", "refused"), "no such function"),
        (("status",), None),
        (("status",), "a later version's"),
        (("metadata", "generation"), 2),
        (("metadata", "deletionTimestamp"), "2026-01-01T00:00:00Z"),
    ],
)
def test_every_other_change_is_urgent(path: tuple[str, ...], value: object) -> None:
    cache = loaded_cache(body_of(1), reported(2))
    body = reported(3)
    parent = body
    for name in path[:-1]:
        parent = parent[name]
    parent[path[-1]] = value
    assert cache.change_batch(*event(body)) == BatchChange(KEY, is_urgent=True)


def test_statuses_without_counts_are_never_taken_for_equal() -> None:
    bodies = [reported(version) for version in (2, 3, 4)]
    for body in bodies:
        del body["status"]["counts"]
    cache = loaded_cache(body_of(1), bodies[0])
    for body in bodies[1:]:
        assert cache.change_batch(*event(body)) == BatchChange(KEY, is_urgent=True)


def test_the_event_of_the_operators_own_write_is_known_and_no_other() -> None:
    cache = loaded_cache(body_of(1))
    assert not cache.is_own_write(body_of(1)), "listed at the start: to be reconciled"
    cache.upsert_experiment(body_of(2), is_own=True)
    assert cache.is_own_write(body_of(2))
    assert not cache.is_own_write(body_of(3)), "somebody else's, after it"
    cache.upsert_experiment(body_of(3))
    assert not cache.is_own_write(body_of(2))
    assert not cache.is_own_write(body_of(3))


def test_running_experiments_are_counted() -> None:
    cache = loaded_cache(body_of(1))
    assert cache.running_count == 1
    cache.upsert_experiment(body_of(2))
    assert cache.running_count == 1
    done = body_of(3) | {"status": {"completionTime": "2026-01-01T00:00:00Z"}}
    cache.upsert_experiment(done)
    assert cache.running_count == 0
    cache.upsert_experiment(body_of(4))
    cache.remove_experiment(body_of(4))
    assert cache.running_count == 0
