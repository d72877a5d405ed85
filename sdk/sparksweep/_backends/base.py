"""What the SDK asks of a place where experiments run, and how it chooses one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

from sparksweep._builder import Built
from sparksweep.errors import FieldError, InvalidExperiment
from sparksweep_core.api import Experiment, Trial

VARIABLE = "SPARKSWEEP_BACKEND"
"""The environment variable that names the backend where the program names none."""
BACKENDS = ("kubernetes", "local")


class Run(Protocol):
    """An experiment that was submitted."""

    @property
    def where(self) -> str:
        """Where it is, for people."""

    @property
    def logdir(self) -> str | None:
        """Where its files are; None while nobody knows."""

    @property
    def phase(self) -> str:
        """What takes time before the first trial, for people; empty when nothing is known."""

    def experiment(self) -> Experiment:
        """The Experiment with its newest status."""

    def trials(self) -> Sequence[Trial]:
        """Every trial, by number."""

    def pause(self, seconds: float) -> None:
        """Return when there may be news, or after so many seconds."""

    def cancel(self) -> None:
        """End it: nothing runs any more when this returns. What has finished stays."""


class Backend(Protocol):
    """A place where experiments run."""

    def submit(self, built: Built) -> Run:
        """Start an experiment, and return at once."""


def choose_backend(
    name: str | None = None,
    *,
    directory: str | os.PathLike[str] | None = None,
    namespace: str | None = None,
) -> Backend:
    """The backend of that name; by default the cluster that this process is in, and outside one this machine.

    Args:
        name: ``local`` or ``kubernetes``; None: what the environment variable SPARKSWEEP_BACKEND says, if anything.
        directory: a local run's directory.
        namespace: a cluster's namespace; naming one chooses the cluster.

    Raises:
        InvalidExperiment: there is no such backend, or what is given does not go with it.
        MissingDependency: what it needs is not installed.
    """
    chosen = name or os.environ.get(VARIABLE) or _default(directory, namespace)
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
    in_a_pod = os.path.exists("/var/run/secrets/kubernetes.io/serviceaccount/token")
    return "kubernetes" if directory is None and in_a_pod else "local"
