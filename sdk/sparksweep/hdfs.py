"""Hops' ``hdfs``: the location of a project's data, on any file system.

    from sparksweep import hdfs
    train = hdfs.project_path() + "Resources/train.tfrecords"

For training code: standard library only.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from sparksweep_core.contract.environment import PROJECT_PATH_ENV, TRIAL_DIR_ENV

__all__ = ["project_path"]

_NAMENODES = ("hdfs", "hopsfs", "webhdfs")


def project_path(project: str | None = None, exclude_nn_addr: bool = False) -> str:
    """Return the root of the project's data.

    The environment variable SPARKSWEEP_PROJECT_PATH sets it: to the directory of a mounted volume,
    ``hdfs://namenode:8020/Projects/mine``, or ``s3://bucket/mine``. On a cluster, set the variable in
    ``spec.trialTemplate.env``. In a local run the default is the directory in which the run was started; outside a
    trial it is the working directory.

    Args:
        project: The name of another project, whose directory is next to this one's.
        exclude_nn_addr: Leave out the address of HDFS' name node: ``hdfs:///Projects/mine/``.

    Returns:
        A directory or a URI, with a ``/`` at its end, so that a relative path can be appended.

    Raises:
        LookupError: In a trial, SPARKSWEEP_PROJECT_PATH is not set.
    """
    given = os.environ.get(PROJECT_PATH_ENV, "")
    if not given:
        if TRIAL_DIR_ENV in os.environ:
            raise LookupError(
                f"{PROJECT_PATH_ENV} is not set: set it in spec.trialTemplate.env to the directory of a mounted volume, "
                "or to a URI such as hdfs://namenode:8020/Projects/mine"
            )
        given = str(Path.cwd())
    parts = urlsplit(given)
    if not parts.scheme or parts.scheme == "file":
        return _beside(os.path.abspath(parts.path), project)
    address = "" if exclude_nn_addr and parts.scheme in _NAMENODES else parts.netloc
    path = _beside(parts.path, project)
    # Without an address urlunsplit returns hdfs:/Projects.
    return f"{parts.scheme}://{path}" if not address else urlunsplit((parts.scheme, address, path, "", ""))  # fmt: skip


def _beside(path: str, project: str | None) -> str:
    here = path.rstrip("/")
    if project is not None:
        here = f"{here.rpartition('/')[0]}/{project.strip('/')}"
    return f"{here}/"
