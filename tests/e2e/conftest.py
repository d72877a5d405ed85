"""Fixtures of the end-to-end tests: a cluster of two nodes with the images, the CRDs and the operator in it."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.__main__ import EXTERNAL
from cluster.helm import Helm
from support.e2e.e2e_cluster import REPOSITORY, Installed, Namespace

_numbers = itertools.count(1)
_figures: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Allow for machines where starting ten Spark applications takes minutes; the waits have bounds of their own.

    What looks back at the whole run comes last.
    """
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(900))
    items.sort(key=lambda item: item.get_closest_marker("looks_back") is not None)


@pytest.fixture
def figure() -> Callable[[str], None]:
    """Takes a line that the run's summary shows: a duration, a count, a message as a user sees it."""
    return _figures.append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what the tests measured."""
    if _figures:
        terminalreporter.section("figures")
        for line in _figures:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def installed(two_nodes: Any, helm: Helm) -> Installed:
    """The cluster with everything installed; `make image` has built the images.

    Into a cluster that SPARKSWEEP_TEST_KUBECONFIG names somebody else has brought them.
    """
    archives = [REPOSITORY / "dist" / "images" / f"{name}.tar" for name in ("trainer", "operator")]
    missing = [archive.name for archive in archives if not archive.exists()]
    if missing:
        pytest.fail(f"{', '.join(missing)}: not there; `make image` makes them")
    if not os.environ.get(EXTERNAL):
        two_nodes.load(*archives)
    installed = Installed(two_nodes, helm)
    installed.install()
    return installed


@pytest.fixture
def make_namespace(installed: Installed) -> Iterator[Callable[[], Namespace]]:
    """Makes namespaces that are gone after the test."""
    made: list[Namespace] = []

    def make() -> Namespace:
        made.append(installed.make_namespace(f"e2e-{os.getpid()}-{next(_numbers)}"))
        return made[-1]

    yield make
    for namespace in made:
        namespace.kubectl("delete", "experiments.sparksweep.dev", "--all", "--wait=false")
        installed.kubectl("delete", "namespace", namespace.name, "--wait=false")


@pytest.fixture
def namespace(make_namespace: Callable[[], Namespace]) -> Namespace:
    """A namespace of the test's own."""
    return make_namespace()


@pytest.fixture
def shared_volume(installed: Installed, namespace: Namespace) -> Iterator[Path]:
    """A claim `shared` that all nodes mount, because they are one machine; the file `ran` in it."""
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
