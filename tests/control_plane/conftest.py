"""Fixtures: namespaces with Experiments, and one operator for the tests that need none of their own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from cluster.client import Cluster
from cluster.helm import Helm
from support.control_plane.lab import Lab
from support.control_plane.operator_processes import OperatorProcess
from support.control_plane.stage import Stage, stage


@pytest.fixture(scope="module")
def operator(
    control_plane: Cluster, helm: Helm, crds: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """Provide an operator for all namespaces, with exactly the rights of an installation."""
    home = control_plane.namespace("operator")
    release = f"sparksweep-{secrets.token_hex(3)}"
    name = f"{release}-operator"
    for template in ("serviceaccount.yaml", "operator-rbac.yaml"):
        control_plane.apply(helm.template(namespace=home, release=release, only=template))
    kubeconfig = control_plane.kubeconfig_as(name, home)
    operator = OperatorProcess(kubeconfig, tmp_path_factory.mktemp("operator") / "log")
    try:
        operator.start()
        yield operator
        assert operator.stop() == 0, operator.output()
        assert operator.troubles() == []
    finally:
        operator.kill()
        control_plane.kubectl("delete", "clusterrole,clusterrolebinding", name)
        control_plane.delete_namespace(home)


@pytest.fixture(scope="module")
def rig(
    control_plane: Cluster, helm: Helm, crds: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """Provide proxies to the API server with which a test kills operators and drivers in its own process."""
    if control_plane.layout is None:
        pytest.skip(
            "the cluster is not ours: its kubeconfig may hold any credentials, and its etcd can't be restored"
        )
    with stage(control_plane, helm, tmp_path_factory.mktemp("proxy")) as shared:
        yield shared


@pytest.fixture
def bare_lab(control_plane: Cluster, helm: Helm, crds: None, namespace: str) -> Iterator[Lab]:
    """Provide a namespace for Experiments without an operator, unless the test starts one."""
    lab = Lab(control_plane, helm, namespace)
    try:
        yield lab
        lab.check_history()
    finally:
        lab.close()


@pytest.fixture
def lab(operator: OperatorProcess, bare_lab: Lab) -> Lab:
    """Provide a namespace for Experiments with the operator."""
    return bare_lab
