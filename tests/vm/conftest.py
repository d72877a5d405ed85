"""The virtual machine as a fixture: one for all tests that ask for it, which are marked ``vm`` by that."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster.layout import Layout
from cluster.shell import Unavailable
from vm.machine import Machine


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "machine" in getattr(item, "fixturenames", ()):
            item.add_marker("vm")
            item.add_marker(pytest.mark.xdist_group("vm"))


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """Start a virtual machine with cgroup v2; skip the tests where none can be had."""
    try:
        running = Machine(Layout.from_environment())
    except Unavailable as unavailable:
        pytest.skip(str(unavailable))
    with running:
        yield running
