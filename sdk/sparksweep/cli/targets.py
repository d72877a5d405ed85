"""What a command looks at: a run directory on this machine, or an Experiment on a cluster by its name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparksweep._runs.local_run import LocalRunReader
from sparksweep._runs.reader import RunReader
from sparksweep.errors import ClusterUnavailable, MissingDependency

if TYPE_CHECKING:
    from sparksweep._runs.cluster_run import ClusterRunReader

TARGET = click.argument("target", metavar="NAME|DIR")
NAMESPACE = click.option(
    "-n",
    "--namespace",
    help="The Experiment's namespace. Default: the current one. Says that NAME is no directory.",
)


def open_run(target: str, namespace: str | None) -> RunReader:
    """The run that is meant: a directory if there is one of that name, unless a namespace is given.

    Raises:
        RunDirectoryError: the directory holds no run.
        ClusterUnavailable: there is no cluster.
        MissingDependency: the Kubernetes client is not installed.
    """
    path = Path(target)
    if namespace is None and (os.sep in target or path.is_dir()):
        return LocalRunReader(path)
    return open_cluster_run(target, namespace)


def open_cluster_run(name: str, namespace: str | None) -> ClusterRunReader:
    """The Experiment of that name; nothing is asked yet.

    Raises:
        ClusterUnavailable: there is no cluster.
        MissingDependency: the Kubernetes client is not installed.
    """
    try:
        from sparksweep._kube.sync_client import SyncClient
        from sparksweep._runs.cluster_run import ClusterRunReader
        from sparksweep_core.api_server.errors import Unavailable
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0].startswith("sparksweep"):
            raise
        raise MissingDependency(
            f"there is no directory {name} here, and to look for an Experiment of that name on a cluster "
            f"{error.name} is needed: pip install 'sparksweep[client]'"
        ) from error
    try:
        return ClusterRunReader(SyncClient(), name, namespace)
    except Unavailable as error:
        raise ClusterUnavailable(f"there is no directory {name} here, and {error}") from error
