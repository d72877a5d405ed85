"""The chart, rendered by Helm, and two namespaces for its objects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster.client import Cluster
from cluster.layout import Layout
from cluster.prometheus import prometheus_crds


@pytest.fixture(scope="module")
def prometheus_kinds(control_plane: Cluster) -> None:
    """Install the Prometheus operator's CRDs that the chart uses."""
    for path in prometheus_crds(Layout.from_environment()):
        control_plane.kubectl("apply", "--server-side", "--filename", str(path))
        control_plane.wait_for_kinds(path)


@pytest.fixture(scope="module")
def namespaces(control_plane: Cluster) -> Iterator[tuple[str, str]]:
    """Provide two namespaces under Pod Security's strictest profile."""
    names = (control_plane.namespace("chart"), control_plane.namespace("chart"))
    for name in names:
        control_plane.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")  # fmt: skip
    yield names
    for name in names:
        control_plane.delete_namespace(name)
