"""Namespaces with Experiments, and one operator for those tests that need none of their own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
import yaml
from lab import INSTALL, Lab
from operator_processes import OperatorProcess

from cluster.client import Cluster


@pytest.fixture(scope="module")
def operator(
    control_plane: Cluster, crds: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """An operator for all namespaces, with exactly the rights that it is installed with."""
    home = control_plane.namespace("operator")
    name = f"sparksweep-operator-{secrets.token_hex(3)}"
    documents = yaml.safe_load_all(
        (INSTALL / "operator.yaml").read_text().replace("sparksweep-system", home)
    )
    applied = []
    for document in documents:
        if document["kind"].startswith("ClusterRole"):
            document["metadata"]["name"] = name
            if "roleRef" in document:
                document["roleRef"]["name"] = name
        if document["kind"] not in ("Deployment", "Namespace"):
            applied.append(document)
    control_plane.apply(applied)
    kubeconfig = control_plane.kubeconfig_as("sparksweep-operator", home)
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


@pytest.fixture
def bare_lab(control_plane: Cluster, crds: None, namespace: str) -> Iterator[Lab]:
    """A namespace for Experiments, which nobody looks after but whom the test starts."""
    lab = Lab(control_plane, namespace)
    try:
        yield lab
        lab.check_history()
    finally:
        lab.close()


@pytest.fixture
def lab(operator: OperatorProcess, bare_lab: Lab) -> Lab:
    """A namespace for Experiments with the operator."""
    return bare_lab
