"""The run that a command reads: a run directory on this machine, or an Experiment on a cluster by its name."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import click

from sparksweep._kube import connect
from sparksweep._runs.cluster_run import ClusterRunReader
from sparksweep._runs.local_run import LocalRunReader
from sparksweep._runs.reader import RunReader
from sparksweep.errors import ClusterUnavailable, MissingDependency, RunDirectoryError
from sparksweep_core.api.metadata import EXPERIMENT_NAME_PATTERN

TARGET = click.argument("target", metavar="NAME|DIR")
_NAMESPACE_HELP = (
    "Namespace of the Experiment (default: the current context's). Implies that NAME is an Experiment, "
    "not a directory."
)
NAMESPACE = click.option("-n", "--namespace", help=_NAMESPACE_HELP)
LONG_NAMESPACE = click.option("--namespace", help=_NAMESPACE_HELP)
"""For commands with ``-n N``, which reads ``-n NAMESPACE`` too: see `rows_and_namespace`."""
ROWS = click.option(
    "-n",
    "short",
    multiple=True,
    metavar="N|NAMESPACE",
    help="A number: print the first N trials. Else the same as --namespace.",
)


def rows_and_namespace(
    short: Sequence[str], namespace: str | None
) -> tuple[int | None, str | None]:
    """Return the number of rows and the namespace that ``-n`` and ``--namespace`` give.

    Raises:
        click.UsageError: A value is given twice, or the number is not positive.
    """
    rows = None
    for text in short:
        if re.fullmatch(r"[-+]?[0-9]+", text):
            if rows is not None:
                raise click.UsageError("-n gives two numbers of trials")
            rows = int(text)
            if rows < 1:
                raise click.UsageError(f"-n {text}: the number of trials must be at least 1")
        elif namespace is not None:
            raise click.UsageError(f"two namespaces are given: {namespace} and {text}")
        else:
            namespace = text
    return rows, namespace


def open_run(target: str, namespace: str | None) -> RunReader:
    """Return the reader of a run: of the directory of that name if there is one and no namespace is given.

    Raises:
        RunDirectoryError: The directory holds no run, or there is none and the text can't be an Experiment's name.
        ClusterUnavailable: No cluster is configured.
        MissingDependency: The Kubernetes client is not installed.
    """
    path = local_path(target, namespace)
    return open_cluster_run(target, namespace) if path is None else LocalRunReader(path)


def local_path(target: str, namespace: str | None) -> Path | None:
    """Return the directory that a target names; None if it names an Experiment on a cluster.

    Raises:
        RunDirectoryError: There is no such directory, and the text can't be an Experiment's name.
    """
    if not target:
        raise RunDirectoryError("the name or directory of the run is empty")
    path = Path(target)
    is_name = re.fullmatch(EXPERIMENT_NAME_PATTERN, target) is not None
    if namespace is None and (path.is_dir() or not is_name):
        if path.is_dir():
            return path
        if path.exists():
            raise RunDirectoryError(f"{target} is a file: give the run's directory")
        other = "" if _is_path(target) else ", and no Experiment has such a name"
        raise RunDirectoryError(f"there is no directory {target}{other}")
    if not is_name:
        raise RunDirectoryError(f"{target} can't be the name of an Experiment on a cluster")
    return None


def _is_path(target: str) -> bool:
    """Return True for what only a path contains or begins with."""
    return os.sep in target or target.startswith((".", "~"))


def open_cluster_run(name: str, namespace: str | None) -> ClusterRunReader:
    """Return the reader of an Experiment on a cluster; sends no request.

    Raises:
        ClusterUnavailable: No cluster is configured.
        MissingDependency: The Kubernetes client is not installed.
    """
    if namespace is not None:
        return ClusterRunReader(connect(), name, namespace)
    no_directory = f"there is no directory {name} here"
    try:
        return ClusterRunReader(connect(), name, also_absent=no_directory)
    except (ClusterUnavailable, MissingDependency) as error:
        raise type(error)(f"{no_directory}, and {error}") from error
