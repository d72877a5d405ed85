"""Fixtures of all tests."""

pytest_plugins = ["support.cluster_fixtures", "support.hypothesis_profiles"]
