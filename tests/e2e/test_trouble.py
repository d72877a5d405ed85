"""Causes of pods that can't start are in the status within 30 s, with the message of the component that refuses them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.e2e.e2e_cluster import Namespace
from support.e2e.e2e_experiments import experiment

pytestmark = pytest.mark.nodes

SOON_S = 60
"""Half of it is Spark's start: the 30 s count from when the pod is made."""


def test_no_node_matches(namespace: Namespace, figure: Callable[[str], None]) -> None:
    template = {"nodeSelector": {"accelerator": "none-such"}}
    namespace.apply(experiment("nowhere", trials=2, template=template))
    said(namespace, figure, "nowhere", "didn't match Pod's node affinity/selector")


def test_the_image_is_missing(namespace: Namespace, figure: Callable[[str], None]) -> None:
    template = {"image": "docker.io/sparksweep/none-such:1", "imagePullPolicy": "Never"}
    namespace.apply(experiment("imageless", trials=2, template=template))
    said(namespace, figure, "imageless", "ErrImageNeverPull")


def test_the_quota_is_used_up(namespace: Namespace, figure: Callable[[str], None]) -> None:
    namespace.kubectl("create", "quota", "few", "--hard=pods=1")
    namespace.apply(experiment("bounded", trials=2))
    said(namespace, figure, "bounded", "exceeded quota: few")
    namespace.kubectl("delete", "quota", "few")
    namespace.wait_until_finished("bounded")
    namespace.assert_complete("bounded", trials=2)


def said(namespace: Namespace, figure: Callable[[str], None], name: str, expected: str) -> None:
    """Wait until the Running condition has the expected words."""
    condition = namespace.wait_for(
        lambda: (
            expected in (found := namespace.condition(name, "Running")).get("message", "") and found
        ),
        f"the condition says {expected!r}",
        timeout_s=SOON_S,
    )
    assert (condition["status"], condition["reason"]) == ("False", "WaitingForExecutors")
    figure(f"{name}: {condition['message']}")
