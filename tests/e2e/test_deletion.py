"""Deleting a running experiment leaves no object of ours, whether or not the operator is there to see it."""

from __future__ import annotations

import pytest

from support.e2e.e2e_cluster import Installed, Namespace
from support.e2e.e2e_experiments import experiment, pausing

pytestmark = pytest.mark.nodes


@pytest.mark.parametrize(
    "operator_is_down",
    [
        pytest.param(False, id="operator up"),
        pytest.param(True, id="operator down", marks=pytest.mark.alone),
    ],
)
def test_nothing_is_left_within_30_s(
    operator_is_down: bool, namespace: Namespace, installed: Installed
) -> None:
    namespace.apply(experiment("deleted", trials=50, source=pausing(5)))
    namespace.wait_for(
        lambda: namespace.status("deleted").get("trials", {}).get("running") == 2, "two trials run"
    )
    if operator_is_down:
        installed.scale_operator(0)
    try:
        namespace.kubectl("delete", "swx", "deleted", "--wait=false")
        namespace.wait_for(lambda: not namespace.left(), "nothing is left", timeout_s=30)
    finally:
        if operator_is_down:
            installed.scale_operator(1)
