"""What there is, for Prometheus: counted from the cache whenever somebody asks, so that nothing is counted twice or kept.

Prometheus asks from a thread of its own, and the cache belongs to the event loop: the counting is done there. A loop that
does not come to it within seconds makes the scrape fail, which is what it should look like from outside.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sparksweep_core.api.reasons import ConditionType, ExperimentReason, TrialState
from sparksweep_core.contract.labels import DRIVER, EXECUTOR
from sparksweep_operator.cache import ObjectCache
from sparksweep_operator.pod_status import Pod

COLLECT_TIMEOUT_S = 5.0
"""Seconds that the event loop may take to count."""

STATES = (
    TrialState.PENDING.value,
    ConditionType.RUNNING.value,
    ConditionType.SUSPENDED.value,
    ExperimentReason.STOPPING.value,
    ConditionType.COMPLETE.value,
    ConditionType.FAILED.value,
)
"""Words of ``Experiment.status.state``."""
WAITS = (ExperimentReason.WAITING_FOR_DRIVER.value, ExperimentReason.WAITING_FOR_EXECUTORS.value)
PHASES = ("Pending", "Running")


@dataclass(slots=True)
class Counts:
    """The numbers of one look at the cache."""

    experiments: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(STATES, 0)))
    waiting: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(WAITS, 0)))
    trials: Counter[str] = field(
        default_factory=lambda: Counter({state.value: 0 for state in TrialState})
    )
    pods: dict[str, Counter[str]] = field(
        default_factory=lambda: {
            role: Counter(dict.fromkeys(PHASES, 0)) for role in (DRIVER, EXECUTOR)
        }
    )
    slots_wanted: int = 0


class ExperimentCollector(Collector):
    """The collector."""

    def __init__(self, cache: ObjectCache, loop: asyncio.AbstractEventLoop) -> None:
        """Counts `cache`, in `loop`."""
        self._cache = cache
        self._loop = loop

    def collect(self) -> Iterable[Metric]:
        """The gauges, as of now.

        Raises:
            TimeoutError: the event loop does nothing else meanwhile either.
        """
        counted: Future[Counts] = Future()
        self._loop.call_soon_threadsafe(lambda: counted.set_result(count(self._cache)))
        return families(counted.result(COLLECT_TIMEOUT_S))

    def describe(self) -> Iterable[Metric]:
        """The gauges without values: nothing is counted when the collector is registered."""
        return families(Counts())


def count(cache: ObjectCache) -> Counts:
    """Look at the cache."""
    found = Counts()
    for body, pods in cache.families():
        if body is not None:
            _count_experiment(found, body)
        for pod in pods:
            _count_pod(found, pod)
    return found


def _count_experiment(found: Counts, body: Mapping[str, Any]) -> None:
    status = body.get("status") or {}
    state = status.get("state")
    found.experiments[state if state in STATES else TrialState.PENDING.value] += 1
    trials = status.get("trials") or {}
    for word in TrialState:
        found.trials[word.value] += trials.get(word.value.lower(), 0)
    if state not in (ConditionType.RUNNING.value, TrialState.PENDING.value):
        return
    unfinished = trials.get("pending", 0) + trials.get("running", 0)
    found.slots_wanted += min(body["spec"].get("parallelTrialCount", 1), unfinished)
    for condition in status.get("conditions") or ():
        if condition.get("type") == ConditionType.RUNNING and condition.get("reason") in WAITS:
            found.waiting[condition["reason"]] += 1


def _count_pod(found: Counts, pod: Pod) -> None:
    if pod.is_alive and pod.role in found.pods and pod.phase in PHASES:
        found.pods[pod.role][pod.phase] += 1


def families(found: Counts) -> list[Metric]:
    """The numbers as Prometheus takes them."""
    return [
        _family(
            "sparksweep_experiments", "Experiments that there are.", "state", found.experiments
        ),
        _family(
            "sparksweep_experiments_waiting",
            "Experiments that nothing runs of, by what they wait for.",
            "reason",
            found.waiting,
        ),
        _family(
            "sparksweep_trials", "Trials of the Experiments that there are.", "state", found.trials
        ),
        _family("sparksweep_drivers", "Drivers' pods.", "phase", found.pods[DRIVER]),
        _family("sparksweep_slots", "Executors' pods, one a slot.", "phase", found.pods[EXECUTOR]),
        GaugeMetricFamily(
            "sparksweep_slots_wanted",
            "Slots that experiments have trials for, as many as they may have.",
            value=found.slots_wanted,
        ),
    ]


def _family(name: str, text: str, label: str, numbers: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, number in numbers.items():
        family.add_metric([value], number)
    return family
