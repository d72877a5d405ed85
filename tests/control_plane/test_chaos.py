"""Ten seeds of chaos; `python -m cluster chaos` runs any others."""

from __future__ import annotations

import pytest

from chaos.command import run_seeds
from cluster.client import Cluster
from cluster.helm import Helm
from support.control_plane.stage import stage

pytestmark = pytest.mark.chaos

SEEDS = range(1, 11)
MINUTES = 0.3


@pytest.mark.timeout(1200)
def test_under_ten_seeds_of_faults_all_that_must_hold_holds(
    control_plane: Cluster, helm: Helm, crds: None, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    if control_plane.layout is None:
        pytest.skip("the cluster is not ours: its kubeconfig may hold any credentials")
    with (
        stage(control_plane, helm, tmp_path_factory.mktemp("chaos")) as shared,
        capsys.disabled(),
    ):
        failures = run_seeds(shared, list(SEEDS), MINUTES)
    assert failures == {}
