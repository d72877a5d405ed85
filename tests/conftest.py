"""Fixtures of all tests. This folder comes onto the path by it, and with it the package ``cluster``."""

pytest_plugins = ["cluster_fixtures"]
