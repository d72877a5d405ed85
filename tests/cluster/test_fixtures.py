"""Tests that need a Kubernetes where none can run are skipped with a reason, never passed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.shell import ClusterError, Unavailable
from support.cluster_run import Part, Start, Workers

ROOT = Path(__file__).parents[2]

AS_A_USER = "import os, sys, pytest; os.geteuid = lambda: 1000; sys.exit(pytest.main(sys.argv[1:]))"


def pytest_as_a_user(*arguments: str, **environment: str) -> str:
    """Run pytest as a user that is not root; return its output."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPARKSWEEP_")}
    done = subprocess.run(
        [sys.executable, "-c", AS_A_USER, "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("file", ["test_control_plane.py", "test_nodes.py", "test_leftovers.py"])
def test_without_root_they_are_skipped_with_the_reason(file: str) -> None:
    said = pytest_as_a_user("-q", f"tests/cluster/{file}")
    last = said.splitlines()[-1]
    assert "skipped" in last
    assert "passed" not in last
    assert "the test cluster needs root, for network namespaces and cgroups" in said


def test_workers_are_told_why_there_is_no_cluster() -> None:
    output = pytest_as_a_user(
        "-q", "-n", "2", "--dist", "loadgroup", "tests/cluster/test_control_plane.py"
    )
    assert output.splitlines()[-1].startswith("9 skipped")
    assert "the test cluster needs root, for network namespaces and cgroups" in output


def test_a_part_of_the_cluster_is_missing_with_all_that_need_it(tmp_path: Path) -> None:
    workers = Workers(tmp_path)
    assert workers.asked() is None
    workers.ask(Part.TWO_NODES)
    assert workers.asked() is Part.TWO_NODES
    workers.answer(Start({Part.TWO_NODES: Unavailable("no cgroups")}))
    workers.start().check(Part.CONTROL_PLANE)
    with pytest.raises(Unavailable, match="no cgroups"):
        workers.start().check(Part.TWO_NODES)
    workers.answer(Start({Part.PROGRAMS: ClusterError("etcd does not compile")}))
    with pytest.raises(ClusterError, match="etcd does not compile") as raised:
        workers.start().check(Part.CONTROL_PLANE)
    assert not isinstance(raised.value, Unavailable)


def test_a_test_is_marked_by_the_fixture_that_it_asks_for() -> None:
    listed = pytest_as_a_user("-q", "--collect-only", "-m", "control_plane", "tests/control_plane")
    assert "test_the_fields_are_explained" in listed
    listed = pytest_as_a_user("-q", "--collect-only", "-m", "nodes", "tests/cluster")
    assert "test_nodes.py" in listed
    assert "test_control_plane.py" not in listed


def test_nothing_is_prepared_for_tests_that_need_no_cluster(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    pytest_as_a_user(
        "-q",
        "tests/cluster/test_configuration.py",
        "-k",
        "oci",
        SPARKSWEEP_CLUSTER_CACHE=str(cache),
    )
    assert not cache.exists()
