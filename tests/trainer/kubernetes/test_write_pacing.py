"""Writes of batch statuses that fail, and those of reports: no batch waits for another, and few writes are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sparksweep_core.api import TrialState, limits
from sparksweep_core.api.status import ReportedMetrics
from sparksweep_core.api_server.errors import (
    Conflict,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    TooLarge,
    Unavailable,
    error_of,
)
from sparksweep_core.stored_size import stored_bytes
from sparksweep_trainer.kubernetes.informer import JITTER, LONGEST_RETRY_S
from support.trainer.status_rig import Rig, trial
from support.trainer.trial_batches import batch, name

Fault = Callable[[str], KubeError | None]


def about(key: str, error: KubeError) -> Fault:
    """Return a fault of one batch."""
    return lambda written: error if written == key else None


def rig_of(batches: int, size: int = 10) -> Rig:
    rig = Rig()
    for index in range(batches):
        rig.add(batch(index, range(index * size + 1, (index + 1) * size + 1)))
    return rig


def drain(rig: Rig, seconds: float) -> None:
    """Write for a time, as the writer's thread does."""
    end = rig.clock.now + seconds
    while rig.clock.now < end:
        wait_s = rig.writer.write_due()
        rig.clock.now = min(end, rig.clock.now + (1.0 if wait_s is None else max(wait_s, 0.01)))


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("a read timed out"),
        error_of(500, b"etcdserver: request is too large"),
        error_of(500, b"Internal error occurred: failed calling webhook"),
        error_of(503, b"storage is (re)initializing"),
        error_of(413, b"Request entity too large: limit is 3145728"),
        error_of(422, b"is invalid: status.trials: Too many"),
        error_of(403, b"admission webhook denied the request"),
        error_of(400, b"bad"),
        Conflict("modified"),
    ],
    ids=lambda error: f"{type(error).__name__}-{error.code}",
)
@pytest.mark.parametrize("bad", [0, 2, 4])
def test_a_batch_that_is_refused_keeps_no_other_waiting(error: KubeError, bad: int) -> None:
    rig = rig_of(5)
    rig.store.fault_of = about(name(bad), error)
    rig.writer.record([trial(index * 10 + 1) for index in range(5)])
    assert rig.writer.write_due() is not None
    others = [name(index) for index in range(5) if index != bad]
    assert [key for key, _ in rig.store.writes] == others
    # Nor in later rounds, in which it is not tried each time.
    rig.store.tries.clear()
    for step in range(2, 10):
        rig.clock.now += 1
        rig.writer.record([trial(index * 10 + step) for index in range(5)])
        rig.writer.write_due()
    assert [key for key, _ in rig.store.writes].count(others[0]) == 9
    assert rig.store.tries.count(name(bad)) < 8 * 12
    # Once it is taken, everything is in it.
    rig.store.fault_of = None
    drain(rig, 2 * LONGEST_RETRY_S)
    assert rig.status(bad)["progress"] == "9/10"


@pytest.mark.parametrize("bad", [(0, 1), (0, 1, 2), (3, 4), (0, 1, 2, 3)])
def test_several_batches_without_an_answer_keep_no_other_waiting(bad: tuple[int, ...]) -> None:
    rig = rig_of(5)
    rig.store.fault_of = lambda key: (
        Unavailable("a read timed out") if key in [name(index) for index in bad] else None
    )
    rig.writer.record([trial(index * 10 + 1) for index in range(5)])
    drain(rig, 60)
    for index in range(5):
        assert rig.status(index)["progress"] == ("0/10" if index in bad else "1/10")


def test_an_absent_server_is_asked_for_each_batch_with_a_backoff() -> None:
    rig = rig_of(10)
    rig.store.tries.clear()
    rig.store.fault = Unavailable("away")
    rig.writer.record([trial(index * 10 + 1) for index in range(10)])
    rig.writer.write_due()
    assert len(rig.store.tries) == 2
    drain(rig, 600)
    for index in range(10):
        assert rig.store.tries.count(name(index)) < 600 / (LONGEST_RETRY_S * (1 - JITTER)) + 8
    rig.store.fault = None
    drain(rig, 3 * LONGEST_RETRY_S)
    assert all(rig.status(index)["progress"] == "1/10" for index in range(10))


def test_a_status_that_is_too_large_is_shortened_until_it_is_taken() -> None:
    rig = rig_of(2)
    room = 100 * 1024

    def too_large(key: str, status: dict[str, Any]) -> KubeError | None:
        return TooLarge("etcdserver: request is too large") if stored_bytes(status) > room else None

    rig.store.check = too_large
    rig.writer.record([trial(n, message="<" * limits.MESSAGE) for n in range(1, 11)])
    rig.writer.record([trial(11)])
    assert rig.writer.write_due() is None
    assert rig.status(0)["progress"] == "10/10"
    assert rig.status(1)["progress"] == "1/10"
    assert stored_bytes(rig.status(0)) <= room
    assert all(item["message"].startswith("<") for item in rig.status(0)["trials"])


def test_a_batch_that_no_status_fits_into_is_tried_again_with_a_backoff() -> None:
    rig = rig_of(2)
    rig.store.fault_of = about(name(0), TooLarge("etcdserver: request is too large"))
    rig.writer.record([trial(1), trial(11)])
    drain(rig, 300)
    assert rig.status(1)["progress"] == "1/10"
    shortenings = 5
    most = 300 / (LONGEST_RETRY_S * (1 - JITTER)) + 8
    assert rig.store.tries.count(name(0)) < shortenings * most


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (500, "etcdserver: request is too large", TooLarge),
        (500, "rpc error: trying to send message larger than max (2200000 vs. 2097152)", TooLarge),
        (413, "Request entity too large: limit is 3145728", TooLarge),
        (413, "", TooLarge),
        (422, "metadata.annotations: Too long: may not be more than 262144 bytes", TooLarge),
        (422, "metadata.annotations: Too long: must have at most 262144 bytes", TooLarge),
        (422, "[]: Too long: may not be more than 1048576 bytes", TooLarge),
        (422, "status.message: Too long: may not be more than 4096 bytes", Invalid),
        (400, "json: cannot unmarshal", Invalid),
        (403, "exceeded quota", Forbidden),
        (404, "", NotFound),
        (500, "etcdserver: leader changed", Unavailable),
        (503, "request is too large", Unavailable),
        (429, "", Unavailable),
    ],
)
def test_an_answer_that_an_object_is_too_large_is_told_from_others(
    code: int, text: str, kind: type[KubeError]
) -> None:
    error = error_of(code, text.encode())
    assert type(error) is kind
    assert error.code == code


# ---------------------------------------------------------------------- reports


@pytest.mark.parametrize(
    ("reporting", "interval_s"), [(1, 1), (10, 1), (20, 2), (100, 10), (1000, 10)]
)
def test_reports_are_written_the_less_often_the_more_trials_report(
    reporting: int, interval_s: int
) -> None:
    size = min(reporting, 100)
    count = reporting // size
    rig = rig_of(count, size)
    rig.writer.record([trial(n, TrialState.RUNNING, reason=None) for n in range(1, reporting + 1)])
    drain(rig, 20)
    rig.store.writes.clear()
    for step in range(60):
        for n in range(1, reporting + 1):
            rig.writer.report(n, 1, ReportedMetrics(step=step, metrics={"loss": 0.5}))
        drain(rig, 1)
    writes = len(rig.store.writes)
    assert abs(writes - count * 60 // interval_s) <= 2 * count
    drain(rig, interval_s + 1)
    last = rig.status(count - 1)["trials"][-1]
    assert last["reported"]["step"] == 59, "no last report is lost"


def test_an_end_takes_the_reports_of_its_batch_along() -> None:
    rig = rig_of(1, 100)
    rig.writer.record([trial(n, TrialState.RUNNING, reason=None) for n in range(1, 101)])
    drain(rig, 20)
    rig.store.writes.clear()
    for n in range(1, 101):
        rig.writer.report(n, 1, ReportedMetrics(step=1, metrics={"loss": 0.5}))
    drain(rig, 1)
    for n in range(1, 101):
        rig.writer.report(n, 1, ReportedMetrics(step=2, metrics={"loss": 0.4}))
    drain(rig, 2)
    assert len(rig.store.writes) == 1
    rig.writer.record([trial(1)])
    assert rig.writer.write_due() is not None or len(rig.store.writes) == 2
    assert rig.status()["trials"][1]["reported"]["step"] == 2
