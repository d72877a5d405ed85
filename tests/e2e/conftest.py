"""Fixtures of the end-to-end tests: a cluster of two nodes with the images, the CRDs and the operator in it."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cluster.__main__ import EXTERNAL
from cluster.helm import Helm
from support.e2e.e2e_cluster import REPOSITORY, Installed, Namespace
from support.figures import FIGURE

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Allow for machines where starting ten Spark applications takes minutes; the waits have bounds of their own."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Return a function that adds a line to the run's summary: a duration, a count, a message to a user."""
    return partial(record_property, FIGURE)


@pytest.fixture(scope="session")
def installed(
    two_nodes: Any, helm: Helm, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Installed:
    """Return the cluster with everything installed, by the first worker that asks; `make image` has built the images.

    In a cluster that SPARKSWEEP_TEST_KUBECONFIG names, the images must be loaded already.
    """
    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        # That of the run, which its workers share.
        folder = folder.parent
    with (folder / "installed.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        begun = folder / "installed.json"
        if begun.exists():
            return Installed(two_nodes, helm, audit_from=json.loads(begun.read_text()))
        installed = install(two_nodes, helm)
        begun.write_text(json.dumps(installed.audit_from))
        return installed


def install(two_nodes: Any, helm: Helm) -> Installed:
    archives = [REPOSITORY / "dist" / "images" / f"{name}.tar" for name in ("trainer", "operator")]
    missing = [archive.name for archive in archives if not archive.exists()]
    if missing:
        pytest.fail(f"{', '.join(missing)}: not there; `make image` makes them")
    if not os.environ.get(EXTERNAL):
        two_nodes.load(*archives)
    installed = Installed(
        two_nodes, helm, audit_from=two_nodes.audit_size() if two_nodes.layout else 0
    )
    installed.install()
    return installed


@pytest.fixture
def make_namespace(installed: Installed) -> Iterator[Callable[[], Namespace]]:
    """Provide a function that makes namespaces, which are deleted after the test."""
    made: list[Namespace] = []

    def make() -> Namespace:
        made.append(installed.make_namespace(f"e2e-{os.getpid()}-{next(_numbers)}"))
        return made[-1]

    yield make
    for namespace in made:
        namespace.close()
        namespace.kubectl("delete", "experiments.sparksweep.dev", "--all", "--wait=false")
        installed.kubectl("delete", "namespace", namespace.name, "--wait=false")


@pytest.fixture
def namespace(make_namespace: Callable[[], Namespace]) -> Namespace:
    """Provide a namespace of the test's own."""
    return make_namespace()


@pytest.fixture
def shared_volume(installed: Installed, namespace: Namespace) -> Iterator[Path]:
    """Provide a claim `shared` that all nodes mount, because they are one machine; yield the file `ran` in it."""
    with tempfile.TemporaryDirectory() as path:
        directory = Path(path)
        directory.chmod(0o777)
        name = f"shared-{namespace.name}"
        common = {"capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteMany"]}
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {**common, "hostPath": {"path": path}, "storageClassName": ""},
        }
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "shared"},
            "spec": {
                "accessModes": common["accessModes"],
                "resources": {"requests": common["capacity"]},
                "volumeName": name,
                "storageClassName": "",
            },
        }
        namespace.apply(volume)
        namespace.apply(claim)
        yield directory / "ran"
        installed.kubectl("delete", "persistentvolume", name, "--wait=false")
