"""The run that a command reads: a run directory on this machine, or an Experiment on a cluster by its name."""

from __future__ import annotations

import os
from pathlib import Path

import click

from sparksweep._kube import connect
from sparksweep._runs.cluster_run import ClusterRunReader
from sparksweep._runs.local_run import LocalRunReader
from sparksweep._runs.reader import RunReader
from sparksweep.errors import ClusterUnavailable, MissingDependency

TARGET = click.argument("target", metavar="NAME|DIR")
CLUSTER_NAMESPACE = click.option(
    "-n", "--namespace", help="Namespace of the Experiment (default: the current context's)."
)
NAMESPACE = click.option(
    "-n",
    "--namespace",
    help="Namespace of the Experiment (default: the current context's). Implies that NAME is an Experiment, "
    "not a directory.",
)


def open_run(target: str, namespace: str | None) -> RunReader:
    """Return the reader of a run: of the directory of that name if there is one and no namespace is given.

    Raises:
        RunDirectoryError: The directory holds no run.
        ClusterUnavailable: No cluster is configured.
        MissingDependency: The Kubernetes client is not installed.
    """
    path = Path(target)
    if namespace is None and (os.sep in target or path.is_dir()):
        return LocalRunReader(path)
    return open_cluster_run(target, namespace)


def open_cluster_run(name: str, namespace: str | None) -> ClusterRunReader:
    """Return the reader of an Experiment on a cluster; sends no request.

    Raises:
        ClusterUnavailable: No cluster is configured.
        MissingDependency: The Kubernetes client is not installed.
    """
    try:
        return ClusterRunReader(connect(), name, namespace)
    except (ClusterUnavailable, MissingDependency) as error:
        if namespace is not None:
            raise
        raise type(error)(f"there is no directory {name} here, and {error}") from error
