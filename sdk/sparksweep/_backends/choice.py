"""The choice of a backend: this machine or a cluster."""

from __future__ import annotations

import os

from sparksweep._backends.base import Backend
from sparksweep.errors import FieldError, InvalidExperiment
from sparksweep_core.contract.directories import ACCOUNT_DIRECTORY, TOKEN_FILE
from sparksweep_core.contract.environment import BACKEND_ENV

BACKENDS = ("kubernetes", "local")


def choose_backend(
    name: str | None = None,
    *,
    directory: str | os.PathLike[str] | None = None,
    namespace: str | None = None,
) -> Backend:
    """Return the backend of that name; by default the cluster that this process is in, and outside one this machine.

    Args:
        name: ``local`` or ``kubernetes``; None: the value of the environment variable SPARKSWEEP_BACKEND, if set.
        directory: A local run's directory.
        namespace: A cluster's namespace; naming one chooses the cluster.

    Raises:
        InvalidExperiment: There is no such backend, or it does not take the directory or the namespace.
        MissingDependency: A library that it needs is not installed.
    """
    chosen = name or os.environ.get(BACKEND_ENV) or _default(directory, namespace)
    if chosen not in BACKENDS:
        raise InvalidExperiment(
            [FieldError("backend", f"{chosen!r} is none of {', '.join(BACKENDS)}")]
        )
    if chosen == "local":
        if namespace is not None:
            message = (
                f"{namespace!r} is for Kubernetes, and the backend is local: leave one of them out"
            )
            raise InvalidExperiment([FieldError("namespace", message)])
        from sparksweep._backends.local import LocalBackend

        return LocalBackend(directory)
    if directory is not None:
        message = f"{os.fspath(directory)!r} is for local runs, and the backend is kubernetes: leave it out"
        raise InvalidExperiment([FieldError("directory", message)])
    from sparksweep._backends.cluster import ClusterBackend

    return ClusterBackend(namespace)


def _default(directory: object, namespace: str | None) -> str:
    if namespace is not None:
        return "kubernetes"
    in_a_pod = os.path.exists(f"{ACCOUNT_DIRECTORY}/{TOKEN_FILE}")
    return "kubernetes" if directory is None and in_a_pod else "local"
