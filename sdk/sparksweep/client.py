"""Experiments on a cluster, with the rights of the user's kubeconfig or of the pod that this runs in."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sparksweep._builder import Built
from sparksweep.errors import (
    ClusterError,
    ClusterUnavailable,
    ExperimentExists,
    ExperimentNotFound,
    ExperimentRefused,
    Forbidden,
    MissingDependency,
)
from sparksweep_core.api import Experiment, Trial, TrialBatch, trials_of
from sparksweep_core.api.metadata import EXPERIMENT_LABEL

if TYPE_CHECKING:
    from sparksweep._kube.sync_client import SyncClient

__all__ = ["Client"]


class Client:
    """A namespace of a cluster. Every method asks the API server; a context manager, or `close` it."""

    def __init__(self, namespace: str | None = None) -> None:
        """Find the cluster.

        Args:
            namespace: by default the kubeconfig's, or that of the pod that this runs in.

        Raises:
            ClusterUnavailable: there is neither a kubeconfig nor a service account.
            MissingDependency: the Kubernetes client is not installed.
        """
        with _translated():
            self._kubernetes = _sync_client()
        self.namespace = namespace or self._kubernetes.namespace

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give up the connections."""
        self._kubernetes.close()

    def submit(self, built: Built) -> Experiment:
        """Create an experiment, and the ConfigMap with its code if it needs one.

        Raises:
            ExperimentExists: there is one of that name.
            ExperimentRefused: the API server does not take it.
            Forbidden: a right is missing.
        """
        name = built.experiment.metadata.name
        code = built.code_map
        with _translated(f"Experiment {name}"):
            if code is not None:
                self._kubernetes.create(self.namespace, code)
            try:
                created = self._kubernetes.create(self.namespace, built.on_a_cluster.to_dict())
            except BaseException:
                if code is not None:
                    with contextlib.suppress(Exception):
                        self._kubernetes.delete(
                            "ConfigMap", self.namespace, code["metadata"]["name"]
                        )
                raise
            if code is not None:
                # It goes with its Experiment, whose identity is known only now.
                self._own(code["metadata"]["name"], created)
        return _experiment(created)

    def get(self, name: str) -> Experiment:
        """An experiment as it is now.

        Raises:
            ExperimentNotFound: there is none of that name.
        """
        with _translated(f"Experiment {name}"):
            return _experiment(self._kubernetes.get("Experiment", self.namespace, name))

    def experiments(self) -> list[Experiment]:
        """All experiments of the namespace, by name."""
        with _translated("the Experiments"):
            found = self._kubernetes.find("Experiment", self.namespace)
        return sorted(map(_experiment, found), key=lambda item: item.metadata.name)

    def trials(self, name: str) -> list[Trial]:
        """Every trial of an experiment, by number."""
        with _translated(f"the TrialBatches of {name}"):
            found = self._kubernetes.find(
                "TrialBatch", self.namespace, labels=f"{EXPERIMENT_LABEL}={name}"
            )
        return trials_of([TrialBatch.model_validate_json(json.dumps(item)) for item in found])

    def change(self, name: str, **spec: object) -> Experiment:
        """Change fields of a spec that may change while it runs: ``change("digits", suspend=True)``.

        Raises:
            ExperimentNotFound: there is none of that name.
            ExperimentRefused: the field may not change, or not to that.
        """
        with _translated(f"Experiment {name}"):
            return _experiment(
                self._kubernetes.merge("Experiment", self.namespace, name, {"spec": spec})
            )

    def delete(self, name: str) -> None:
        """Delete an experiment and everything that belongs to it; running trials end.

        Raises:
            ExperimentNotFound: there is none of that name.
        """
        with _translated(f"Experiment {name}"):
            self._kubernetes.delete("Experiment", self.namespace, name)

    def _own(self, config_map: str, experiment: dict[str, Any]) -> None:
        owner = {
            "apiVersion": experiment["apiVersion"],
            "kind": experiment["kind"],
            "name": experiment["metadata"]["name"],
            "uid": experiment["metadata"]["uid"],
        }
        change = {"metadata": {"ownerReferences": [owner]}}
        self._kubernetes.merge("ConfigMap", self.namespace, config_map, change)


def _sync_client() -> SyncClient:
    try:
        from sparksweep._kube.sync_client import SyncClient
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0].startswith("sparksweep"):
            raise
        raise MissingDependency(
            f"{error.name} is not installed. A cluster needs it: pip install 'sparksweep[client]'"
        ) from error
    return SyncClient()


@contextlib.contextmanager
def _translated(what: str = "the cluster") -> Iterator[None]:
    """Raise the SDK's errors for the API server's, with the API server's words."""
    from sparksweep_core.api_server import errors as kube

    kinds: dict[type[kube.KubeError], type[ClusterError | ExperimentRefused]] = {
        kube.NotFound: ExperimentNotFound,
        kube.Conflict: ExperimentExists,
        kube.Forbidden: Forbidden,
        kube.Invalid: ExperimentRefused,
        kube.Unavailable: ClusterUnavailable,
    }
    try:
        yield
    except kube.KubeError as error:
        raise kinds.get(type(error), ClusterError)(f"{what}: {error}") from error


def _experiment(document: dict[str, Any]) -> Experiment:
    return Experiment.model_validate_json(json.dumps(document))
