"""Choice of the pyspark to import: the one that is installed with sparksweep, not one that PYTHONPATH puts before it.

Machines with a Spark have its Python files on everybody's PYTHONPATH (``$SPARK_HOME/python``). They are files of another
version, and not an installed distribution.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import distributions
from pathlib import Path
from types import ModuleType

NAMES = ("pyspark", "py4j")


class InstalledFinder:
    """Finds packages where their distribution is installed. An entry of `sys.meta_path`."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a package of `NAMES`; None for any other, and if it is not installed."""
        if path is not None or name not in NAMES:
            return None
        directory = installation(name)
        return None if directory is None else PathFinder.find_spec(name, [str(directory)], target)


def installation(name: str) -> Path | None:
    """Return the directory in which a package of this name is installed, with its distribution's metadata."""
    for distribution in distributions(name=name):
        package = Path(str(distribution.locate_file(name)))
        if (package / "__init__.py").exists():
            return package.parent
    return None


def prefer_installed() -> None:
    """Import pyspark from its installation, from now on in this process."""
    if not any(isinstance(finder, InstalledFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, InstalledFinder())
