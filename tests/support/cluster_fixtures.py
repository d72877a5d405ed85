"""Fixtures that give tests a real Kubernetes: ``control_plane`` and ``two_nodes``.

A test that asks for one is marked ``control_plane`` or ``nodes`` by that. The cluster comes up when the first test asks
for it and goes when the tests are over, unless it was up before or SPARKSWEEP_KEEP_CLUSTER is set. Where none can run,
the tests are skipped, and the reason says why. SPARKSWEEP_TEST_KUBECONFIG names a cluster to use instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from cluster import state
from cluster.__main__ import EXTERNAL
from cluster.binaries import prepare_helm
from cluster.client import Cluster, KubectlError
from cluster.helm import Helm
from cluster.layout import Layout
from cluster.rig import Rig
from cluster.shell import ClusterError, Unavailable, wait_until
from cluster.state import Owner

KEEP = "SPARKSWEEP_KEEP_CLUSTER"

PATIENCE_S = 1800
"""How long one run of the tests waits for another on this machine."""

CRDS = Path(__file__).parents[2] / "crds"

MARKS = {"control_plane": "control_plane", "two_nodes": "nodes"}
"""The mark of a test that asks for a fixture."""


class Preparation:
    """What took minutes, done before the first test so that it counts against no test's time."""

    def __init__(self, layout: Layout) -> None:
        self.rig = Rig(layout)
        self.held = ExitStack()
        self.error: ClusterError | None = None

    def run(self) -> None:
        try:
            self.rig.prepare()
            self.held.enter_context(state.lock(self.rig.layout, PATIENCE_S))
        except ClusterError as error:
            self.error = error

    def check(self) -> None:
        """Skip or fail the test that needs it."""
        if self.error is not None:
            raise self.error


PREPARATION = pytest.StashKey[Preparation]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Before marks are selected by.
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in MARKS:
                item.add_marker(MARKS[fixture])


def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    needed = any(item.get_closest_marker(mark) for item in session.items for mark in MARKS.values())
    if not needed or config.option.collectonly or os.environ.get(EXTERNAL):
        return
    preparation = Preparation(Layout.from_environment())
    config.stash[PREPARATION] = preparation
    # What is compiled, and for how long, is for the user to see at once.
    with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        preparation.run()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    preparation = session.config.stash.get(PREPARATION, None)
    if preparation is not None:
        preparation.held.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    with _skipping():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    with _skipping():
        return (yield)


@contextmanager
def _skipping() -> Iterator[None]:
    """What turns out to ask for what this cluster does not have, is skipped."""
    try:
        yield
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def control_plane(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """A Kubernetes API server with its controllers; pods need not run on it."""
    layout = Layout.from_environment()
    external = os.environ.get(EXTERNAL)
    if external:
        cluster = Cluster.named(Path(external).resolve(), layout)
        yield cluster
        cluster.close()
        return
    preparation = pytestconfig.stash[PREPARATION]
    preparation.check()
    rig = preparation.rig
    stays = rig.is_up_for_good() or bool(os.environ.get(KEEP))
    cluster = Cluster.own(layout)
    try:
        rig.up(0, None if stays else Owner.this_process())
        yield cluster
    finally:
        if stays:
            cluster.close()
        else:
            rig.down()


@pytest.fixture(scope="session")
def two_nodes(control_plane: Cluster, pytestconfig: pytest.Config) -> Cluster:
    """The same cluster with two nodes, on which pods run."""
    if PREPARATION in pytestconfig.stash:
        pytestconfig.stash[PREPARATION].rig.up(2)
    elif len(control_plane.nodes()) < 2:
        pytest.skip("the cluster that SPARKSWEEP_TEST_KUBECONFIG names has no two Ready nodes")
    return control_plane


@pytest.fixture(scope="session")
def crds(control_plane: Cluster) -> None:
    """Our kinds, as crds/ has them, served by the cluster."""
    control_plane.apply(CRDS)
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
    # An established kind is served at once, and described somewhat later.
    for kind in ("experiment", "trialbatch"):
        wait_until(partial(_is_described, control_plane, kind), f"{kind} is described", 60)


def _is_described(cluster: Cluster, kind: str) -> bool:
    try:
        return bool(cluster.kubectl("explain", f"{kind}.spec"))
    except KubectlError:
        return False


@pytest.fixture(scope="session")
def helm(control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm with every right in the cluster."""
    layout = Layout.from_environment()
    # For a cluster that is named nothing has been prepared.
    prepare_helm(layout)
    return Helm(layout.helm, control_plane.kubeconfig, tmp_path_factory.mktemp("helm"))


@pytest.fixture
def namespace(control_plane: Cluster) -> Iterator[str]:
    """A namespace of the test's own."""
    name = control_plane.namespace()
    yield name
    control_plane.delete_namespace(name)
