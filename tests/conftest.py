"""Fixtures of all tests."""

import re
import signal

import pytest

pytest_plugins = ["support.cluster_fixtures", "support.figures", "support.hypothesis_profiles"]

GROUPS = {
    "seed_grid": "hops",
    "seed_evolution": "hops",
    "bucket": "bucket",
    "wheel": "wheel",
}
"""Fixtures that take seconds, and the group of pytest-xdist in which one worker has all tests that ask for them."""


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell without job control lets what it starts in the background ignore SIGINT, which tests send to programs.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if re.search(r" at 0x[0-9a-f]+", item.nodeid):
            # pytest-xdist runs nothing at all if its workers' names of tests differ.
            raise pytest.UsageError(
                f"{item.nodeid}: an address in it differs in each process; give ids"
            )
        for group in {GROUPS[name] for name in getattr(item, "fixturenames", ()) if name in GROUPS}:
            item.add_marker(pytest.mark.xdist_group(group))
