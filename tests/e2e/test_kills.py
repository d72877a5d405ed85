"""SIGKILL at a random moment: every trial is counted once, and no finished one runs again."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.e2e.e2e_cluster import FINISHED, Namespace
from support.e2e.e2e_experiments import experiment
from support.e2e.e2e_faults import kill_pod

pytestmark = pytest.mark.nodes

TRIALS = 40
TRIAL_S = 0.7
SLOTS = 2
UNWRITTEN_S = 1.0
"""A driver writes its trials' ends once a second: later ones are lost with it."""
SOURCE = f"""
import os, time

def training(x):
    time.sleep({TRIAL_S})
    with open("/shared/ran", "a") as ran:
        ran.write(f"{{x}} {{os.environ['SPARKSWEEP_TRIAL_ATTEMPT']}}\\n")
    return -abs(x - 7.5) - x / 1000
"""
VOLUMES = [
    {"name": "shared", "mountPath": "/shared", "persistentVolumeClaim": {"claimName": "shared"}}
]


def kill_the_operator(namespace: Namespace) -> None:
    operators = namespace.cluster.operator_pods()
    for pod in operators:
        kill_pod(pod)


def kill_the_driver(namespace: Namespace) -> None:
    (driver,) = [
        pod
        for pod in namespace.pods("killed", "driver")
        if pod["metadata"]["name"] in namespace.running("killed", "driver")
    ]
    kill_pod(driver)


def kill_an_executor(namespace: Namespace) -> None:
    names = namespace.running("killed", "executor")
    chosen = random.choice(names)
    kill_pod(
        next(p for p in namespace.pods("killed", "executor") if p["metadata"]["name"] == chosen)
    )


def kill_the_api_server_for_20_s(namespace: Namespace) -> None:
    with namespace.cluster.faults.killed("apiserver"):
        time.sleep(20)


FAULTS = [
    pytest.param(fault, id=fault.__name__, marks=marks)
    for fault, marks in (
        (kill_the_operator, pytest.mark.alone),
        (kill_the_driver, ()),
        (kill_an_executor, ()),
        (kill_the_api_server_for_20_s, pytest.mark.alone),
    )
]


@pytest.mark.parametrize("fault", FAULTS)
def test_every_trial_is_run_and_counted_once_after(
    fault: Callable[[Namespace], None],
    namespace: Namespace,
    shared_volume: Path,
    figure: Callable[[str], None],
) -> None:
    ran = shared_volume
    namespace.apply(
        experiment(
            "killed", trials=TRIALS, parallel=SLOTS, source=SOURCE, template={"volumes": VOLUMES}
        )
    )
    with namespace.watched("killed"):
        after = random.randint(3, 20)
        namespace.wait_for(lambda: namespace.ended("killed") >= after, f"{after} trials have ended")
        before = {
            n: t["attempt"] for n, t in namespace.trials("killed").items() if t["state"] in FINISHED
        }
        figure(f"{fault.__name__} after {after} trials")
        fault(namespace)
        namespace.wait_until_finished("killed")
    namespace.assert_complete("killed", trials=TRIALS)
    trials = namespace.trials("killed")
    assert {n: trials[n]["attempt"] for n in before} == before, "a finished trial was run again"
    runs = [line.split() for line in ran.read_text().splitlines()]
    again = [int(x) for x, attempt in runs if int(attempt) > before.get(int(x), 10)]
    assert again == [], "a finished trial was run again"
    # A trial whose end was visible before the fault ran once; one whose end was not may have run twice.
    unwritten = SLOTS * math.ceil(UNWRITTEN_S / TRIAL_S)
    assert len(runs) - TRIALS <= unwritten, f"{len(runs) - TRIALS} trials ran more than once"
    namespace.wait_for(
        lambda: (
            not namespace.pods("killed", "executor") and not namespace.running("killed", "driver")
        ),
        "no pod runs on",
        timeout_s=60,
    )
