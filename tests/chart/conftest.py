"""The chart, rendered by Helm, and two namespaces for what it makes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster.client import Cluster


@pytest.fixture(scope="module")
def namespaces(control_plane: Cluster) -> Iterator[tuple[str, str]]:
    """Two namespaces under Pod Security's strictest profile."""
    names = (control_plane.namespace("chart"), control_plane.namespace("chart"))
    for name in names:
        control_plane.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")  # fmt: skip
    yield names
    for name in names:
        control_plane.delete_namespace(name)
