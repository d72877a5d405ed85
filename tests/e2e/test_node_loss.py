"""Power loss of a node in the middle: the other one carries on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from e2e_cluster import Installed, Namespace
from e2e_experiments import experiment, pausing

pytestmark = pytest.mark.nodes


@pytest.fixture
def lose_node(installed: Installed) -> Iterator[Callable[[str], None]]:
    """Loses a node; it is back after the test."""
    lost: list[str] = []

    def lose(name: str) -> None:
        lost.append(name)
        installed.faults.lose_node(name)

    yield lose
    for name in lost:
        installed.faults.start(name)
    installed.wait_for_operator()


def test_the_lost_trials_run_again_elsewhere_and_a_lost_driver_is_replaced(
    namespace: Namespace, lose_node: Callable[[str], None], figure: Callable[[str], None]
) -> None:
    # The driver's node goes, and an executor with it.
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
        namespace.wait_for(lambda: namespace.ended("survivor") >= 6, "six trials have ended")
        (driver,) = namespace.pods("survivor", "driver")
        node = driver["spec"]["nodeName"]
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
