"""Fixtures that give tests a real Kubernetes: ``control_plane`` and ``two_nodes``.

A test that asks for one is marked ``control_plane`` or ``nodes`` by that. The cluster comes up before the first test, if
one asks for it, and goes when the tests are over, unless it was up before or SPARKSWEEP_KEEP_CLUSTER is set. Where none
can run, the tests are skipped, and the reason says why. SPARKSWEEP_TEST_KUBECONFIG names a cluster to use instead.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cluster.__main__ import EXTERNAL
from cluster.binaries import prepare_helm
from cluster.client import Cluster, KubectlError
from cluster.helm import Helm
from cluster.layout import Layout
from cluster.shell import Unavailable, wait_until
from support.alone_scheduling import mark_and_sort, scheduler
from support.cluster_run import ClusterRun, Part, Start, Workers

CRDS = Path(__file__).parents[2] / "crds"

MARKS = {"control_plane": "control_plane", "two_nodes": "nodes"}
"""Marks of tests, by the fixture that they use."""

START = pytest.StashKey[Start]()
"""Missing if no test asks for a cluster, or if SPARKSWEEP_TEST_KUBECONFIG names one."""

RUN = pytest.StashKey[ClusterRun]()
DIRECTORY = pytest.StashKey[Path]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Before marks are selected by, and before pytest-xdist reads its own.
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in MARKS:
                item.add_marker(MARKS[fixture])
        in_turn = item.get_closest_marker("control_plane") and not item.get_closest_marker("chaos")
        if in_turn and not item.get_closest_marker("nodes"):
            # They stop the API server and count its requests: one worker runs them all, one after another. Those that
            # kill and freeze parts bear it that others do, too.
            item.add_marker(pytest.mark.xdist_group("cluster"))
    mark_and_sort(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return scheduler(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    part = asked_by(session.items)
    if part is None or config.option.collectonly or os.environ.get(EXTERNAL):
        return
    workers = workers_of(config)
    if workers is not None:
        workers.ask(part)
    else:
        config.stash[START] = start(config, part)


def asked_by(items: list[pytest.Item]) -> Part | None:
    """Return the greatest part of a cluster that tests ask for, by a fixture or by a mark alone."""
    names = {name for item in items for name in getattr(item, "fixturenames", ())}
    if "two_nodes" in names:
        return Part.TWO_NODES
    if "control_plane" in names:
        return Part.CONTROL_PLANE
    marked = any(item.get_closest_marker(mark) for item in items for mark in MARKS.values())
    return Part.PROGRAMS if marked else None


def start(config: pytest.Config, part: Part) -> Start:
    """Bring the cluster up in this process. Its minutes do not count as a test's time."""
    config.stash[RUN] = ClusterRun(Layout.from_environment())
    # What is compiled, and for how long, is for the user to see at once.
    with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        return config.stash[RUN].start(part)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """In the controller: give a worker the folder of `Workers`."""
    stash = node.config.stash
    if DIRECTORY not in stash:
        stash[DIRECTORY] = Path(tempfile.mkdtemp(prefix="sparksweep-cluster-run-"))
    node.workerinput["cluster_run"] = str(stash[DIRECTORY])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any) -> None:
    """In the controller, before any test: bring up what the workers ask for."""
    workers = Workers(node.config.stash[DIRECTORY])
    part = workers.asked()
    if part is not None and RUN not in node.config.stash:
        workers.answer(start(node.config, part))


def workers_of(config: pytest.Config) -> Workers | None:
    """Return the way to the controller in a worker, None in any other process."""
    directory: str | None = getattr(config, "workerinput", {}).get("cluster_run")
    return Workers(Path(directory)) if directory is not None else None


def start_of(config: pytest.Config) -> Start | None:
    """Return what has come of the cluster's start; None when a cluster was named."""
    workers = workers_of(config)
    if workers is not None and START not in config.stash and not os.environ.get(EXTERNAL):
        config.stash[START] = workers.start()
    return config.stash.get(START, None)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    # Later than the end of the session, at which the workers still end.
    if RUN in config.stash:
        config.stash[RUN].close()
    if DIRECTORY in config.stash:
        shutil.rmtree(config.stash[DIRECTORY], ignore_errors=True)


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
    """Skip the test if it turns out to need something that this cluster lacks."""
    try:
        yield
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def control_plane(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """Provide a Kubernetes API server with its controllers; pods need not run on it."""
    layout = Layout.from_environment()
    external = os.environ.get(EXTERNAL)
    if external:
        cluster = Cluster.named(Path(external).resolve(), layout)
        yield cluster
        cluster.close()
        return
    start = start_of(pytestconfig)
    assert start is not None
    start.check(Part.CONTROL_PLANE)
    cluster = Cluster.own(layout)
    yield cluster
    cluster.close()


@pytest.fixture(scope="session")
def two_nodes(control_plane: Cluster, pytestconfig: pytest.Config) -> Cluster:
    """Provide the same cluster with two nodes, on which pods run."""
    start = start_of(pytestconfig)
    if start is not None:
        start.check(Part.TWO_NODES)
    elif len(control_plane.nodes()) < 2:
        pytest.skip("the cluster that SPARKSWEEP_TEST_KUBECONFIG names has no two Ready nodes")
    return control_plane


@pytest.fixture(scope="session")
def crds(control_plane: Cluster) -> None:
    """Install the CRDs of crds/, and wait until they are served."""
    control_plane.apply(CRDS)
    control_plane.wait_for_kinds(CRDS)
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
    """Provide Helm with every right in the cluster."""
    layout = Layout.from_environment()
    # For a cluster that is named nothing has been prepared.
    prepare_helm(layout)
    return Helm(layout.helm, control_plane.kubeconfig, tmp_path_factory.mktemp("helm"))


@pytest.fixture
def namespace(control_plane: Cluster) -> Iterator[str]:
    """Provide a namespace of the test's own."""
    name = control_plane.namespace()
    yield name
    control_plane.delete_namespace(name)
