"""Hops' ``hdfs``: where a project's data is, whatever keeps it.

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
    """The project's root, with a ``/`` at its end, so that a relative path can follow.

    It is what SPARKSWEEP_PROJECT_PATH says: the directory of a mounted volume, ``hdfs://namenode:8020/Projects/mine``,
    ``s3://bucket/mine``. A local run sets it to the directory where it was started unless the shell has; on a cluster
    it is set in ``spec.trialTemplate.env``. Outside a trial it is the working directory unless the shell says more.

    Args:
        project: another project: the directory of that name beside this one.
        exclude_nn_addr: leave out the address of HDFS' name node: ``hdfs:///Projects/mine/``.

    Raises:
        LookupError: this is a trial, and nobody has said where the project is.
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
    # Without an address urlunsplit would write hdfs:/Projects.
    return f"{parts.scheme}://{path}" if not address else urlunsplit((parts.scheme, address, path, "", ""))  # fmt: skip


def _beside(path: str, project: str | None) -> str:
    here = path.rstrip("/")
    if project is not None:
        here = f"{here.rpartition('/')[0]}/{project.strip('/')}"
    return f"{here}/"
