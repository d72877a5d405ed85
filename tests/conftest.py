"""Fixtures of all tests."""

import pytest

pytest_plugins = ["support.cluster_fixtures", "support.figures", "support.hypothesis_profiles"]

GROUPS = {
    "seed_grid": "hops",
    "seed_evolution": "hops",
    "bucket": "bucket",
    "wheel": "wheel",
}
"""Fixtures that take seconds, and the group of pytest-xdist in which one worker has all tests that ask for them."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for group in {GROUPS[name] for name in getattr(item, "fixturenames", ()) if name in GROUPS}:
            item.add_marker(pytest.mark.xdist_group(group))
