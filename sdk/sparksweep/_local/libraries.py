"""The libraries of a local run, checked before anything starts. Imports none of them, which takes half a second."""

from __future__ import annotations

from importlib.util import find_spec

from sparksweep.errors import MissingDependency

_LIBRARIES = ("pyspark", "pyarrow")


def require_libraries() -> None:
    """Check that a local run can import its libraries.

    Raises:
        MissingDependency: One of them is not installed.
    """
    for name in _LIBRARIES:
        if find_spec(name) is None:
            raise MissingDependency(
                f"{name} is not installed. A local run needs it: pip install 'sparksweep[local]'"
            )
