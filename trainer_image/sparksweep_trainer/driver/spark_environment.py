"""Environment variables of the driver's own Spark: the user's, without those that are meant for another Spark or Java.

Machines with a Spark have its settings in everybody's environment: a home, a configuration, a master, options of Java. Our
Spark is the one of the `pyspark` that is installed with sparksweep, and its settings are the driver's. Pure.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Mapping
from pathlib import Path

from sparksweep_core.contract.environment import HIDDEN_ENV_PREFIX

HIDDEN: Mapping[str, str] = {
    "SPARK_*": "home, configuration, master, addresses, directories and class path of another Spark",
    "PYSPARK_*": "another Python, other arguments for spark-submit, or the Java of another session",
    "MASTER": "another Spark's master",
    "CONTAINER_ID": "makes Spark believe that it runs in a container of YARN, with directories in LOCAL_DIRS",
    "HADOOP_CONF_DIR": "on Spark's class path it sets another default file system and security",
    "YARN_CONF_DIR": "the same",
    "JAVA_TOOL_OPTIONS": "heap, agents and flags that are meant for another program's Java",
    "_JAVA_OPTIONS": "the same",
    "JDK_JAVA_OPTIONS": "the same",
    "BASH_ENV": "a script that bash would run before each of Spark's scripts",
    "BASH_FUNC_*": "functions that would replace programs in Spark's scripts",
    "SHELLOPTS": "options such as nounset or noexec, with which Spark's scripts fail",
    "BASHOPTS": "the same",
    "POSIXLY_CORRECT": "a mode of bash in which Spark's scripts can't be read",
    "CDPATH": "makes cd print a path, which Spark's scripts take for their own",
    "PYTHONSTARTUP": "a script for interactive sessions",
    "PYTHONINSPECT": "keeps a Python worker alive after its end, as an interactive session",
    "PYTHONWARNINGS": "a filter that makes errors of warnings would end Spark's Python workers",
    "PYTHONHASHSEED": "Spark sets its own, the same for all workers",
    "PYTHONTRACEMALLOC": "a trace of each allocation, with which Python workers are too slow for Spark",
    "PYTHONVERBOSE": "a line for each import of each worker, in Spark's log",
    "PYTHONPROFILEIMPORTTIME": "the same",
    "PYTHONDUMPREFS": "a list of all objects at the end of each worker, in Spark's log",
}
"""Patterns of the variables that Spark does not get, each with the reason. Trials get them."""
_KEPT = ("SPARK_USER",)
"""The user's name, for Java under a user ID without one."""
_IN_THIS_PROCESS = ("SPARK_*", "PYSPARK_*")
"""Those that pyspark's Python code reads, too."""


def hidden(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that Spark must not get."""
    return {key: value for key, value in environment.items() if _matches(key, HIDDEN)}


def read_by_pyspark(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that must not be in a process that imports pyspark."""
    return {key: value for key, value in environment.items() if _matches(key, _IN_THIS_PROCESS)}


def spark_environment(
    environment: Mapping[str, str], *, spark_home: Path, python: str, java_home: Path | None
) -> dict[str, str]:
    """Return the environment for Spark's scripts, its Java, and the slots on this machine.

    Args:
        environment: this process's.
        spark_home: the directory with Spark's ``bin`` and ``jars``.
        python: the interpreter of slots.
        java_home: the Java to use; None: JAVA_HOME, or the one on the PATH.
    """
    withheld = hidden(environment)
    variables = {key: value for key, value in environment.items() if key not in withheld}
    variables |= {f"{HIDDEN_ENV_PREFIX}{key}": value for key, value in withheld.items()}
    variables |= {
        "SPARK_HOME": str(spark_home),
        "SPARK_CONNECT_MODE": "0",
        "PYSPARK_PYTHON": python,
        "PYSPARK_DRIVER_PYTHON": python,
    }
    if java_home is not None:
        variables["JAVA_HOME"] = str(java_home)
    return variables


def _matches(name: str, patterns: Mapping[str, str] | tuple[str, ...]) -> bool:
    if name in _KEPT:
        return False
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def log_end(log_file: Path | None, *, lines: int = 15, max_bytes: int = 64 * 1024) -> str:
    """Return the last lines of Spark's log, for a message; empty without one."""
    if log_file is None:
        return ""
    try:
        with log_file.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - max_bytes))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.strip().splitlines()[-lines:])
