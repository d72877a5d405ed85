"""Power loss of a node in the middle: the other one carries on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from support.e2e.e2e_cluster import Installed, Namespace
from support.e2e.e2e_experiments import experiment, pausing

pytestmark = [pytest.mark.nodes, pytest.mark.alone]


@pytest.fixture
def lose_node(installed: Installed) -> Iterator[Callable[[str], None]]:
    """Provide a function that loses a node; it is back after the test."""
    lost: list[str] = []

    def lose(name: str) -> None:
        lost.append(name)
        installed.faults.lose_node(name)

    yield lose
    for name in lost:
        installed.faults.start(name)
    installed.wait_for_operator()


@pytest.fixture
def uncordon_others(installed: Installed) -> Iterator[Callable[[], None]]:
    """Cordon all nodes but the operator's; provide a function that uncordons them."""
    # The test before may have changed the operator's values at its end: its pod is replaced then.
    installed.wait_for_operator()
    (operator,) = installed.operator_pods()
    others = installed.faults.node_names()
    others.remove(operator["spec"]["nodeName"])
    for name in others:
        installed.kubectl("cordon", name)

    def uncordon() -> None:
        for name in others:
            installed.kubectl("uncordon", name)

    yield uncordon
    uncordon()


def test_what_a_lost_node_ran_goes_on_elsewhere_trials_their_driver_and_the_operator(
    namespace: Namespace,
    installed: Installed,
    uncordon_others: Callable[[], None],
    lose_node: Callable[[str], None],
    figure: Callable[[str], None],
) -> None:
    namespace.apply(
        experiment(
            "survivor",
            trials=60,
            source=pausing(2),
            parallel=3,
            template={
                "affinity": {
                    "podAntiAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [
                            {
                                "weight": 100,
                                "podAffinityTerm": {
                                    "topologyKey": "kubernetes.io/hostname",
                                    "labelSelector": {
                                        "matchLabels": {"sparksweep.dev/experiment": "survivor"}
                                    },
                                },
                            }
                        ]
                    }
                }
            },
        )
    )
    with namespace.watched("survivor"):
        namespace.wait_for(
            lambda: any(p["spec"].get("nodeName") for p in namespace.pods("survivor", "driver")),
            "the driver has a node",
        )
        uncordon_others()
        namespace.wait_for(lambda: namespace.ended("survivor") >= 6, "six trials have ended")
        (driver,) = namespace.pods("survivor", "driver")
        node = driver["spec"]["nodeName"]
        assert [pod["spec"]["nodeName"] for pod in installed.operator_pods()] == [node]
        before = {
            n: t for n, t in namespace.trials("survivor").items() if t["state"] == "Succeeded"
        }
        lose_node(node)
        evicted = namespace.wait_for(
            lambda: [
                p
                for p in namespace.pods("survivor", "driver")
                if p["metadata"]["name"] == driver["metadata"]["name"]
                and "deletionTimestamp" in p["metadata"]
            ],
            "the driver is evicted",
            timeout_s=150,
        )
        assert evicted
        since = time.monotonic()
        ended = namespace.ended("survivor")
        namespace.wait_for(
            lambda: namespace.ended("survivor") > ended,
            "trials go on within a minute of the eviction",
            timeout_s=60,
        )
        figure(
            f"the first trial after the eviction ended {time.monotonic() - since:.0f} s after it"
        )
        namespace.wait_until_finished("survivor", timeout_s=300)
    namespace.assert_complete("survivor", trials=60)
    trials = namespace.trials("survivor")
    assert all(trials[n]["attempt"] == t["attempt"] for n, t in before.items())
    assert max(trial["attempt"] for trial in trials.values()) == 2
