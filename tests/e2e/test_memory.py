"""A trial over its memory limit: it ends OOMKilled, with what it used and what it had; everything else goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.e2e.e2e_cluster import Namespace
from support.e2e.e2e_experiments import experiment

pytestmark = pytest.mark.nodes

MIB = 2**20

GREEDY = """
import os, time

def training(x):
    time.sleep(0.2)
    if x == 3:
        held = []
        while True:
            held.append(os.urandom(1) * 2**24)
    return -abs(x - 7.5) - x / 1000
"""

TAKES_ALL_DOWN = """
import os, time

def training(x):
    time.sleep(0.2)
    if x == 3:
        # With cgroup v2 the kernel kills the whole container. With v1 it kills the process with the highest score: here
        # that is Java, PID 1 of the container, whose score is set so, and all others are small.
        write("/proc/1/oom_score_adj", "1000")
        write("/proc/self/oom_score_adj", open(f"/proc/{os.getppid()}/oom_score_adj").read())
        while True:
            if os.fork() == 0:
                held = os.urandom(1) * 2**24
                time.sleep(600)
            time.sleep(0.02)
    return -abs(x - 7.5) - x / 1000

def write(path, text):
    with open(path, "w") as file:
        file.write(text)
"""


def test_s03_a_trial_over_the_limit_ends_oom_killed_and_its_neighbours_go_on(
    namespace: Namespace, figure: Callable[[str], None]
) -> None:
    namespace.apply(experiment("greedy", trials=10, source=GREEDY))
    namespace.wait_until_finished("greedy")
    assert_only_the_third_failed(namespace, figure, "greedy")
    # The documented "about 350 MiB" that the executor itself takes.
    own = 768 * MIB - namespace.trials("greedy")[3]["peakMemoryBytes"]
    assert 300 * MIB < own < 400 * MIB


def test_a_trial_whose_whole_container_the_kernel_kills_ends_oom_killed_too(
    namespace: Namespace, figure: Callable[[str], None]
) -> None:
    namespace.apply(experiment("whole", trials=10, source=TAKES_ALL_DOWN))
    namespace.wait_until_finished("whole")
    assert_only_the_third_failed(namespace, figure, "whole")
    # Whether another executor comes for the rest is a matter of how long the rest takes.
    assert "killed its executor" in namespace.trials("whole")[3]["message"]


def assert_only_the_third_failed(
    namespace: Namespace, figure: Callable[[str], None], name: str
) -> None:
    trials = namespace.trials(name)
    failed = trials.pop(3)
    figure(f"{name}: {failed.get('message')}")
    assert (failed["state"], failed["reason"]) == ("Failed", "OOMKilled"), namespace.describe()
    for text in ("used", "limit 768Mi", "spec.trialTemplate.resources.memory"):
        assert text in failed["message"]
    assert failed["attempt"] == 1
    assert {trial["state"] for trial in trials.values()} == {"Succeeded"}, namespace.describe()
    assert namespace.condition(name, "Complete").get("status") == "True"
    assert namespace.status(name)["bestTrial"]["parameters"] == {"x": "7"}
