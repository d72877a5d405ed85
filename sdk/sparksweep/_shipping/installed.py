"""Tells installed modules from the user's own, by their place and by the metadata that an installation leaves."""

from __future__ import annotations

import csv
import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path


def is_installed(file: str, name: str) -> bool:
    """Return whether a module is installed, and not the user's own. An editable installation is the user's own.

    Args:
        file: The module's file, or the path in a zip archive.
        name: Its full name.
    """
    for path in {Path(os.path.abspath(file)), Path(os.path.realpath(file))}:
        if any(path.is_relative_to(root) for root in _roots()):
            return True
        if any(part.endswith(".egg") for part in path.parts[:-1]):
            return True
        place = path.parent if path.stem == "__init__" else path
        depth = name.count(".")
        if depth < len(place.parents) and _is_recorded(
            place.parents[depth], name.partition(".")[0]
        ):
            return True
    return False


def _roots() -> frozenset[Path]:
    entries = [item for item in sys.path if Path(item).name in ("site-packages", "dist-packages")]
    return _resolved((*_installed_paths(), *entries))


@lru_cache(maxsize=8)
def _resolved(paths: tuple[str, ...]) -> frozenset[Path]:
    both = [Path(os.path.abspath(path)) for path in paths], [Path(path).resolve() for path in paths]
    return frozenset([*both[0], *both[1]])


def _installed_paths() -> Iterator[str]:
    paths = sysconfig.get_paths()
    yield from (paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    yield from site.getsitepackages()
    yield site.getusersitepackages()


def _is_recorded(root: Path, top: str) -> bool:
    """Return whether metadata in a directory says that a top-level module or package beside it was installed."""
    try:
        metadata = [item for item in root.iterdir() if item.suffix in (".dist-info", ".egg-info")]
    except OSError:
        return False
    return any(_records(item, top) for item in metadata)


def _records(metadata: Path, top: str) -> bool:
    if metadata.suffix == ".egg-info" and "-" not in metadata.stem:
        # Without a version in its name it belongs to a source tree: setup.py develop, pip install -e.
        return False
    record = _read(metadata / "RECORD")
    if record is not None:
        files = (row[0].split("/") for row in csv.reader(record.splitlines()) if row)
        return any(
            path[0] == top or (len(path) == 1 and path[0].partition(".")[0] == top)
            for path in files
        )
    top_level = _read(metadata / "top_level.txt")
    return top_level is None or top in top_level.split()


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
