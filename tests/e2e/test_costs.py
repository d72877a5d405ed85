"""Exact counts of the API server's writes for an experiment of a thousand short trials, and the duration of a start."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from sparksweep_core.api import Experiment
from sparksweep_core.contract.names import driver_name
from sparksweep_operator.manifests import driver_pod, spark_secret
from sparksweep_operator.settings import Settings
from support.e2e.e2e_cluster import Namespace
from support.e2e.e2e_experiments import experiment, pausing

# Its figures are those of an idle machine.
pytestmark = [pytest.mark.nodes, pytest.mark.alone]

WRITES = ("create", "update", "patch", "delete", "deletecollection")


def test_the_writes_of_a_thousand_trials_of_10_ms_grow_with_time_alone(
    namespace: Namespace, figure: Callable[[str], None]
) -> None:
    # TensorBoard would read a thousand runs on the two cores that the trials have.
    spec = {"tensorboard": {"enabled": False}}
    namespace.apply(
        experiment("thousand", trials=1000, source=pausing(0.01), parallel=4, spec=spec)
    )
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
            moments.setdefault(resource, []).append(moment(entry["requestReceivedTimestamp"]))
    for key, count in sorted(writes.items()):
        figure(f"{count:4}  {' '.join(key)}")
    seconds = max(moments["trialbatches/status"]) - min(moments["trialbatches/status"])
    figure(f"{sum(writes.values()):4}  writes in all, statuses in {seconds:.0f} s")
    # Statuses: the driver's once a second, and the operator's every two. The rest, whatever happens: ten batches and
    # the close of the last one, events, pods, ConfigMaps.
    assert sum(writes.values()) <= 40 + 1.6 * seconds
    rounds = sorted(moments["experiments/status"])
    assert all(after - before > 0.9 for before, after in pairwise(rounds))
    assert len(namespace.get("experiments", "thousand")["status"]["recentTrials"]) <= 10


BARE_SPARK = """
import time
from pathlib import Path
from pyspark import SparkConf, SparkContext
from sparksweep_trainer.kubernetes.executor_template import write_template
from sparksweep_trainer.kubernetes.settings import load

settings = load()
template = "spark.kubernetes.executor.podTemplateFile"
write_template(Path(settings.conf[template]), Path("/tmp/executor.json"), spark_secret=settings.spark_secret)
conf = SparkConf(loadDefaults=False).setMaster(settings.master).setAppName("bare")
for key, value in settings.conf.items():
    conf.set(key, value)
conf.set(template, "/tmp/executor.json")
SparkContext(conf=conf).parallelize([0], 1).map(str).collect()
print("first task ended at", time.time(), flush=True)
"""
"""The same Spark with the same settings, without sparksweep: from its pod to the end of its first task."""


def test_what_a_start_and_an_end_take(namespace: Namespace, figure: Callable[[str], None]) -> None:
    namespace.apply(experiment("prompt", trials=4, source=pausing(0.5), parallel=1))
    namespace.wait_until_finished("prompt")
    namespace.assert_complete("prompt", trials=4)
    document = namespace.get("experiments", "prompt")
    trials = namespace.trials("prompt").values()
    applied = moment(document["metadata"]["creationTimestamp"])
    first = min(moment(trial["startTime"]) for trial in trials)
    last = max(moment(trial["completionTime"]) for trial in trials)
    complete = moment(document["status"]["completionTime"])
    assert applied < first < last <= complete
    figure(f"from apply to the first trial running: {first - applied:.1f} s")
    figure(
        f"a bare Spark start, from pod to first task: {bare_spark_start(namespace, document):.1f} s"
    )
    figure(f"from the last trial's end to Complete: {complete - last:.2f} s")


def bare_spark_start(namespace: Namespace, document: dict[str, Any]) -> float:
    """Return the seconds of a bare Spark start, with the ConfigMap of a finished experiment's driver."""
    settings = Settings(trainer_image="docker.io/sparksweep/trainer:dev")
    of = Experiment.model_validate(document, strict=False)
    # A driver's name, since its account may create executors of that driver alone.
    name = driver_name(of.metadata.name, 99)
    namespace.apply(spark_secret(of, name, bytes(32)))
    pod = driver_pod(of, 99, settings, spark_secret=name)
    # Without the operator's labels: it would delete a driver that no Experiment needs.
    pod["metadata"] = {"name": name}
    container = pod["spec"]["containers"][0]
    container["args"] = ["python", "-c", BARE_SPARK]
    namespace.apply(pod)
    text = namespace.wait_for(
        lambda: re.search(r"first task ended at ([0-9.]+)", namespace.logs(name)),
        "Spark has run a task",
    )
    created = moment(namespace.get("pods", name)["metadata"]["creationTimestamp"])
    namespace.kubectl("delete", "pod", name, "--wait=false")
    return float(text[1]) - created


def moment(text: str) -> float:
    """Return the seconds since 1970 of a timestamp."""
    return datetime.fromisoformat(text).timestamp()
