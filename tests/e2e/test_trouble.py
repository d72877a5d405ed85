"""Pods that can't start are said to within 30 s, in the words of whoever refuses them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from e2e_cluster import Namespace
from e2e_experiments import experiment

pytestmark = pytest.mark.nodes

SOON_S = 60
"""Half of it is Spark's start: the 30 s count from when the pod is made."""


def test_no_node_matches(namespace: Namespace, figure: Callable[[str], None]) -> None:
    template = {"nodeSelector": {"accelerator": "none-such"}}
    namespace.apply(experiment("nowhere", trials=2, template=template))
    assert "didn't match Pod's node affinity/selector" in message(namespace, figure, "nowhere")


def test_the_image_is_missing(namespace: Namespace, figure: Callable[[str], None]) -> None:
    template = {"image": "docker.io/sparksweep/none-such:1", "imagePullPolicy": "Never"}
    namespace.apply(experiment("imageless", trials=2, template=template))
    assert "ErrImageNeverPull" in message(namespace, figure, "imageless")


def test_the_quota_is_used_up(namespace: Namespace, figure: Callable[[str], None]) -> None:
    namespace.kubectl("create", "quota", "few", "--hard=pods=1")
    namespace.apply(experiment("bounded", trials=2))
    assert "exceeded quota: few" in message(namespace, figure, "bounded")
    namespace.kubectl("delete", "quota", "few")
    namespace.wait_until_finished("bounded")
    namespace.assert_complete("bounded", trials=2)


def message(namespace: Namespace, figure: Callable[[str], None], name: str) -> str:
    condition = namespace.wait_for(
        lambda: (
            (found := namespace.condition(name, "Running")).get("reason") == "WaitingForExecutors"
            and found
        ),
        "the condition says what is wrong",
        timeout_s=SOON_S,
    )
    assert condition["status"] == "False"
    text: str = condition["message"]
    figure(f"{name}: {text}")
    return text
