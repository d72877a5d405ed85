"""The protocols of a backend and of a submitted experiment, and the choice of a backend."""

from __future__ import annotations

import os
from typing import Protocol

from sparksweep._builder import Built
from sparksweep._local.changes import Changes
from sparksweep._runs.reader import RunReader
from sparksweep.errors import FieldError, InvalidExperiment
from sparksweep_core.api import Experiment
from sparksweep_core.contract.directories import ACCOUNT_DIRECTORY, TOKEN_FILE
from sparksweep_core.contract.environment import BACKEND_ENV

"""The environment variable that names the backend where the program names none."""
BACKENDS = ("kubernetes", "local")


class Run(Protocol):
    """A submitted experiment: its progress, and its end. Trials, logs and files are read through `reader`."""

    @property
    def where(self) -> str:
        """The run directory, or namespace and name."""

    @property
    def logdir(self) -> str | None:
        """The run directory; None while it is unknown."""

    @property
    def phase(self) -> str:
        """The work before the first trial, as text for the user; empty if unknown."""

    @property
    def is_local(self) -> bool:
        """True if it ends with this program."""

    @property
    def reader(self) -> RunReader:
        """The reader of its trials, logs and files."""

    def experiment(self) -> Experiment:
        """Return the Experiment with its newest status."""

    def pause(self, seconds: float) -> None:
        """Return when there may be a newer status, or after so many seconds."""

    def standstill(self) -> str:
        """Return why it will not end although it has not ended, with the words that continue it; else nothing."""

    def leave(self) -> str:
        """Stop to wait for it, after Ctrl-C: end it if it ends with this program. Return its place, and the way on."""

    def resume(self, changes: Changes) -> tuple[Experiment, Run]:
        """Go on under other limits; return the Experiment under them, and its run."""

    def cancel(self) -> None:
        """End it: no trial runs any more when this returns. Finished trials stay."""


class Backend(Protocol):
    """A machine or a cluster that runs experiments."""

    def submit(self, built: Built) -> Run:
        """Start an experiment, and return at once."""


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
