"""A stage for faults: a proxy for the operators of this process and one for their drivers, whose waits are short."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from cluster.client import Cluster
from cluster.helm import Helm
from support.control_plane.driver_threads import shorten_waits
from support.control_plane.fault_proxy import FaultProxy


@dataclass(frozen=True)
class Stage:
    """Parts that all experiments under faults share."""

    cluster: Cluster
    helm: Helm
    operators: FaultProxy
    drivers: FaultProxy


@contextmanager
def stage(cluster: Cluster, helm: Helm, directory: Path) -> Iterator[Stage]:
    """Set up proxies for operators and drivers of this process."""
    with ExitStack() as stack:
        operators, drivers = (stack.enter_context(FaultProxy(cluster.kubeconfig)) for _ in range(2))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        operators.lead_operators(patch, directory / "kubeconfig")
        shorten_waits(patch)
        patch.setattr("sparksweep_operator.driver_selection.RESTART_DELAY", timedelta(seconds=0.2))
        yield Stage(cluster, helm, operators, drivers)
