"""Prometheus collector of gauges: objects in the cache, counted at each scrape.

A scrape runs in a thread of its own, but the cache belongs to the event loop, so the loop counts. If it is too busy to
do so within seconds the scrape fails, which shows the problem to Prometheus.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sparksweep_core.api.reasons import ConditionType, ExperimentReason, TrialState
from sparksweep_core.contract.labels import DRIVER, EXECUTOR
from sparksweep_operator.cache import ObjectCache
from sparksweep_operator.experiment_facts import ExperimentFacts
from sparksweep_operator.pod_status import Pod

COLLECT_TIMEOUT_S = 5.0
"""Seconds after which a scrape fails if the event loop has not counted."""

STATES = (
    TrialState.PENDING.value,
    ConditionType.RUNNING.value,
    ConditionType.SUSPENDED.value,
    ExperimentReason.STOPPING.value,
    ConditionType.COMPLETE.value,
    ConditionType.FAILED.value,
)
"""Values of ``Experiment.status.state``."""
WAITS = (ExperimentReason.WAITING_FOR_DRIVER.value, ExperimentReason.WAITING_FOR_EXECUTORS.value)
PHASES = ("Pending", "Running")


@dataclass(slots=True)
class Counts:
    """Counts of the objects in the cache."""

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
    """Collector of experiments, trials and pods."""

    def __init__(self, cache: ObjectCache, loop: asyncio.AbstractEventLoop) -> None:
        """Count the objects of `cache` in the event loop `loop`."""
        self._cache = cache
        self._loop = loop

    def collect(self) -> Iterable[Metric]:
        """Return the gauges with current values.

        Raises:
            TimeoutError: the event loop is blocked.
        """
        future: Future[Counts] = Future()
        self._loop.call_soon_threadsafe(lambda: future.set_result(count_objects(self._cache)))
        return metric_families(future.result(COLLECT_TIMEOUT_S))

    def describe(self) -> Iterable[Metric]:
        """Return the gauges without counting: called when the collector is registered."""
        return metric_families(Counts())


def count_objects(cache: ObjectCache) -> Counts:
    """Count the objects in the cache."""
    counts = Counts()
    for facts, pods in cache.experiments_with_pods():
        if facts is not None:
            _count_experiment(counts, facts)
        for pod in pods:
            _count_pod(counts, pod)
    return counts


def _count_experiment(counts: Counts, facts: ExperimentFacts) -> None:
    state = facts.state
    counts.experiments[state if state in STATES else TrialState.PENDING.value] += 1
    for word, number in zip(TrialState, facts.trials, strict=True):
        counts.trials[word.value] += number
    if state not in (ConditionType.RUNNING.value, TrialState.PENDING.value):
        return
    unfinished = facts.count(TrialState.PENDING) + facts.count(TrialState.RUNNING)
    counts.slots_wanted += min(facts.parallel_trial_count, unfinished)
    if facts.running_reason in WAITS:
        counts.waiting[facts.running_reason] += 1


def _count_pod(counts: Counts, pod: Pod) -> None:
    if pod.is_alive and pod.role in counts.pods and pod.phase in PHASES:
        counts.pods[pod.role][pod.phase] += 1


def metric_families(counts: Counts) -> list[Metric]:
    """Convert counts to metric families."""
    return [
        _family(
            "sparksweep_experiments", "Existing Experiments, by state.", "state", counts.experiments
        ),
        _family(
            "sparksweep_experiments_waiting",
            "Experiments that wait for a driver or for executors, by reason.",
            "reason",
            counts.waiting,
        ),
        _family(
            "sparksweep_trials", "Trials of existing Experiments, by state.", "state", counts.trials
        ),
        _family("sparksweep_drivers", "Pods of drivers, by phase.", "phase", counts.pods[DRIVER]),
        _family(
            "sparksweep_slots",
            "Pods of executors, in each of which one slot runs or will run, by phase.",
            "phase",
            counts.pods[EXECUTOR],
        ),
        GaugeMetricFamily(
            "sparksweep_slots_wanted",
            "Slots needed for the pending and running trials, at most parallelTrialCount of each Experiment.",
            value=counts.slots_wanted,
        ),
    ]


def _family(name: str, documentation: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=[label])
    for label_value, count in values.items():
        family.add_metric([label_value], count)
    return family
