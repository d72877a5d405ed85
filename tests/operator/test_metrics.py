"""The operator's metrics: each event is counted once, labels do not grow, series start at zero."""

from __future__ import annotations

import asyncio
import threading
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from sparksweep_core.api import TrialReason, TrialState
from sparksweep_core.api.metadata import API_VERSION
from sparksweep_operator import collector
from sparksweep_operator.cache import ObjectCache
from sparksweep_operator.collector import ExperimentCollector
from sparksweep_operator.kube.connection import _resource
from sparksweep_operator.metrics import OUTCOMES, Metrics, serve
from support.operator.operator_objects import (
    NAME,
    NAMESPACE,
    UID,
    experiment_body,
    loaded_cache,
    moment,
    pod_body,
)


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def trial(
    number: int, state: str, *, reason: str | None = None, seconds: float = 2
) -> dict[str, Any]:
    status: dict[str, Any] = {"number": number, "state": state, "attempt": 1}
    status["startTime"] = moment(10 + number)
    if reason is not None:
        status |= {"reason": reason, "completionTime": moment(60), "durationSeconds": seconds}
    return status


def batch_body(version: int, *trials: dict[str, Any], index: int = 0) -> dict[str, Any]:
    name = f"{NAME}-{index:05d}"
    return {
        "apiVersion": API_VERSION,
        "kind": "TrialBatch",
        "metadata": {
            "name": name, "namespace": NAMESPACE, "uid": f"uid-of-{name}",
            "resourceVersion": str(version),
            "ownerReferences": [
                {"apiVersion": API_VERSION, "kind": "Experiment", "name": NAME, "uid": UID}
            ],
        },
        "spec": {
            "experiment": NAME, "index": index,
            "trials": [{"number": number, "parameters": {"x": str(number)}} for number in (1, 2, 3)],
        },
        "status": {"driver": f"{NAME}-driver-0", "trials": list(trials)},
    }  # fmt: skip


def cache_with_experiment(metrics: Metrics, *batches: dict[str, Any]) -> ObjectCache:
    body = experiment_body()
    body["metadata"]["creationTimestamp"] = moment(0)
    return loaded_cache(body, *batches, metrics=metrics)


def change(cache: ObjectCache, body: dict[str, Any]) -> None:
    """Take a batch's new version, and reconcile."""
    cache.upsert_batch(body)
    cache.history((NAMESPACE, NAME))


# ---------------------------------------------------------------------- trials


def test_a_trial_that_ends_is_counted_once_with_its_reason_and_its_duration() -> None:
    metrics = Metrics()
    cache = cache_with_experiment(metrics)
    one = trial(1, "Failed", reason="OOMKilled", seconds=3)
    change(cache, batch_body(1))
    change(cache, batch_body(2, one))
    # The same news again, from our own write and from the watch, and later news of another trial.
    change(cache, batch_body(2, one))
    change(cache, batch_body(3, one, trial(2, "Succeeded", reason="Completed", seconds=7)))
    registry = metrics.registry
    ended = "sparksweep_trials_finished_total"
    assert value(registry, ended, state="Failed", reason="OOMKilled") == 1
    assert value(registry, ended, state="Succeeded", reason="Completed") == 1
    assert value(registry, "sparksweep_trial_seconds_sum", state="Succeeded") == 7
    assert value(registry, "sparksweep_trial_seconds_count", state="Failed") == 1


def test_what_had_ended_before_the_operator_came_is_not_counted_again() -> None:
    metrics = Metrics()
    cache = cache_with_experiment(metrics, batch_body(9, trial(1, "Succeeded", reason="Completed")))
    cache.history((NAMESPACE, NAME))
    state = {"state": "Succeeded", "reason": "Completed"}
    assert value(metrics.registry, "sparksweep_trials_finished_total", **state) == 0


def test_a_reason_of_a_newer_driver_is_counted_under_one_label() -> None:
    metrics = Metrics()
    cache = cache_with_experiment(metrics)
    change(cache, batch_body(1))
    news = [trial(number, "Failed", reason=f"Novelty{number}") for number in (1, 2)]
    change(cache, batch_body(2, *news))
    name, state = "sparksweep_trials_finished_total", {"state": "Failed", "reason": "Other"}
    assert value(metrics.registry, name, **state) == 2


def test_the_time_to_the_first_trial_is_measured_once_an_experiment() -> None:
    metrics = Metrics()
    cache = cache_with_experiment(metrics)
    change(cache, batch_body(1))
    change(cache, batch_body(2, trial(1, "Running")))
    change(cache, batch_body(3, trial(1, "Running"), trial(2, "Running")))
    change(cache, batch_body(4, index=1))
    change(cache, batch_body(5, trial(3, "Running"), index=1))
    assert value(metrics.registry, "sparksweep_time_to_first_trial_seconds_count") == 1
    assert value(metrics.registry, "sparksweep_time_to_first_trial_seconds_sum") == 11


# ---------------------------------------------------------------------- reconciles and requests


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_reconcile_is_counted_by_its_outcome(outcome: str) -> None:
    metrics = Metrics()
    assert value(metrics.registry, "sparksweep_reconcile_seconds_count", outcome=outcome) == 0
    metrics.observe_reconcile(0.2, outcome)
    assert value(metrics.registry, "sparksweep_reconcile_seconds_count", outcome=outcome) == 1


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/api/v1/namespaces/lab/pods", "pods"),
        ("/api/v1/namespaces/lab/pods/digits-driver-0", "pods"),
        (
            "/apis/sparksweep.dev/v1alpha1/namespaces/pods/experiments/a/status",
            "experiments/status",
        ),
        ("/apis/sparksweep.dev/v1alpha1", "kinds"),
    ],
)
def test_a_request_is_counted_by_its_resource_and_never_by_a_name(path: str, resource: str) -> None:
    assert _resource(path) == resource


def test_no_label_is_made_of_a_name() -> None:
    metrics = Metrics()
    cache_with_experiment(metrics).upsert_batch(batch_body(1))
    labels = {name for family in metrics.registry.collect() for sample in family.samples for name in sample.labels}  # fmt: skip
    assert labels <= {"state", "reason", "outcome", "method", "resource", "code", "le", "version"}


def test_every_reason_starts_at_zero_with_the_state_that_it_goes_with() -> None:
    counted = next(
        f for f in Metrics().registry.collect() if f.name == "sparksweep_trials_finished"
    )
    samples = [s for s in counted.samples if s.name.endswith("_total")]
    assert {s.labels["reason"] for s in samples} == {reason.value for reason in TrialReason}
    assert {s.value for s in samples} == {0}
    states = {s.labels["reason"]: s.labels["state"] for s in samples}
    assert (states["Completed"], states["OOMKilled"], states["GoalReached"]) == (
        "Succeeded", "Failed", "Stopped",
    )  # fmt: skip


# ---------------------------------------------------------------------- the collector


def status(state: str, reason: str = "", **trials: int) -> dict[str, Any]:
    conditions = [{"type": "Running", "status": "False", "reason": reason}] if reason else []
    return {"state": state, "trials": trials, "conditions": conditions}


def put(cache: ObjectCache, name: str, status: dict[str, Any] | None) -> None:
    body = experiment_body(name)
    body["metadata"] |= {"uid": f"uid-of-{name}"}
    cache.upsert_experiment(body | ({} if status is None else {"status": status}))


def test_experiments_trials_and_slots_are_counted_as_they_are() -> None:
    cache = ObjectCache()
    put(cache, "new", None)
    put(cache, NAME, status("Running", running=2, pending=5, succeeded=3))
    put(cache, "stuck", status("Pending", "WaitingForDriver", pending=1))
    put(cache, "over", status("Complete", succeeded=4, failed=1))
    cache.upsert_pod(pod_body("digits-driver-0", phase="Running"))
    for number, phase in enumerate(("Running", "Pending", "Failed")):
        cache.upsert_pod(pod_body(f"digits-0-exec-{number}", role="executor", phase=phase))
    counts = collector.count_objects(cache)
    assert counts.experiments == {
        "Pending": 2, "Running": 1, "Suspended": 0, "Stopping": 0, "Complete": 1, "Failed": 0,
    }  # fmt: skip
    assert counts.waiting == {"WaitingForDriver": 1, "WaitingForExecutors": 0}
    assert counts.trials == {"Pending": 6, "Running": 2, "Succeeded": 7, "Failed": 1, "Stopped": 0}
    assert counts.pods["driver"] == {"Pending": 0, "Running": 1}
    assert counts.pods["executor"] == {"Pending": 1, "Running": 1}
    # Two for the running one, its maximum; one for the waiting one.
    assert counts.slots_wanted == 3


def test_every_trial_state_and_nothing_else_is_a_label_of_trials() -> None:
    (trials,) = [family for family in collector.metric_families(collector.Counts()) if family.name == "sparksweep_trials"]  # fmt: skip
    assert {sample.labels["state"] for sample in trials.samples} == {s.value for s in TrialState}


# ---------------------------------------------------------------------- over HTTP


def scrape(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def serving(check: Callable[[int], None], *, busy: threading.Event | None = None) -> None:
    """Serve a cache's metrics while `check`, in a thread, scrapes them at a port."""

    async def run() -> None:
        metrics = Metrics()
        metrics.registry.register(
            ExperimentCollector(cache_with_experiment(metrics), asyncio.get_running_loop())
        )
        port, end = serve(metrics.registry, 0)
        try:
            if busy is not None:
                thread = threading.Thread(target=check, args=(port,))
                thread.start()
                # This blocks the loop.
                assert busy.wait(30)
                thread.join()
            else:
                await asyncio.to_thread(check, port)
        finally:
            await asyncio.to_thread(end)

    asyncio.run(run())


def test_all_of_it_is_served_over_http() -> None:
    scraped: dict[str, Any] = {}
    serving(lambda port: scraped.update(scrape(port)))
    expected = {
        "sparksweep_build_info", "sparksweep_reconcile_seconds", "sparksweep_queue_age_seconds",
        "sparksweep_experiments", "sparksweep_trials", "sparksweep_slots", "sparksweep_trial_seconds",
    }  # fmt: skip
    assert expected <= set(scraped)
    for family in scraped.values():
        assert family.documentation, family.name


def test_a_loop_that_hangs_makes_the_scrape_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "COLLECT_TIMEOUT_S", 0.2)
    over = threading.Event()
    errors: list[int] = []

    def check(port: int) -> None:
        try:
            scrape(port)
        except HTTPError as error:
            errors.append(error.code)
            error.close()
        over.set()

    serving(check, busy=over)
    assert errors == [500]
