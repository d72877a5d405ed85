"""``python -m cluster chaos``: runs seeds side by side on the test cluster, and says which of them broke what."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from chaos.run import run_seed
from cluster import state
from cluster.binaries import prepare_helm
from cluster.client import Cluster
from cluster.helm import Helm
from cluster.layout import Layout
from cluster.rig import Rig
from cluster.shell import ClusterError, say
from support.control_plane.stage import Stage, stage

CRDS = Path(__file__).parents[2] / "crds"
SIDE_BY_SIDE = 6
"""Seeds at once: their time is mostly waiting."""
PATIENCE_S = 900


def command(layout: Layout, rig: Rig, *, seeds: Sequence[int], minutes: float) -> None:
    """Run seeds, and print a line for each.

    Raises:
        ClusterError: a seed failed.
    """
    logging.disable(logging.ERROR)
    with state.lock(layout, PATIENCE_S):
        rig.up(0)
    prepare_helm(layout)
    cluster = Cluster.own(layout)
    cluster.apply(CRDS)
    cluster.wait_for_kinds(CRDS)
    with tempfile.TemporaryDirectory() as directory:
        helm = Helm(layout.helm, cluster.kubeconfig, Path(directory))
        with stage(cluster, helm, Path(directory)) as shared:
            broken = run_seeds(shared, seeds, minutes)
    cluster.close()
    if broken:
        raise ClusterError(f"{len(broken)} of {len(seeds)} seeds failed: {broken}")


def run_seeds(shared: Stage, seeds: Sequence[int], minutes: float) -> dict[int, str]:
    """Run seeds side by side, and print a line for each; return what failed by its seed."""
    one = partial(_run, shared, minutes, is_alone=len(seeds) == 1)
    with ThreadPoolExecutor(min(SIDE_BY_SIDE, len(seeds))) as pool:
        failures = list(pool.map(one, seeds))
    return {seed: text for seed, text in zip(seeds, failures, strict=True) if text}


def _run(shared: Stage, minutes: float, seed: int, *, is_alone: bool) -> str:
    began = time.monotonic()
    told: list[str] = []
    try:
        record = run_seed(shared, seed, minutes, is_alone=is_alone, say=told.append)
    except Exception as error:
        # Whatever a seed ends with is reported with its number; the others go on.
        say(f"seed {seed} failed after {time.monotonic() - began:.0f} s: {error!r}; faults: {told}")
        return f"{type(error).__name__}: {error}"
    say(f"{record}; {time.monotonic() - began:.0f} s")
    return ""
