"""Experiments on a cluster, with the rights of the user's kubeconfig or of the pod that this runs in."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sparksweep._builder import Built
from sparksweep._kube import connect
from sparksweep_core.api import Experiment, Trial, trials_of

if TYPE_CHECKING:
    from sparksweep._kube.sync_client import SyncClient

__all__ = ["Client"]


class Client:
    """The Experiments in one namespace of a cluster. Every method is a request to the API server.

    A context manager; without ``with``, call `close`.

    Besides the errors that a method names, every request raises:

    - `Forbidden`: The user lacks a right, which the message names.
    - `ClusterUnavailable`: The API server does not answer, or asks to come back later.
    - `ClusterError`: The API server refuses for another reason.
    """

    def __init__(self, namespace: str | None = None) -> None:
        """Find the cluster; sends no request.

        Args:
            namespace: The namespace; by default the kubeconfig's, or that of the pod that this runs in.

        Raises:
            ClusterUnavailable: There is neither a kubeconfig nor a service account.
            MissingDependency: The Kubernetes client is not installed.
        """
        self._kubernetes = connect()
        self.namespace = namespace or self._kubernetes.namespace
        """The namespace."""

    @classmethod
    def _over(cls, kubernetes: SyncClient, namespace: str | None) -> Client:
        client = cls.__new__(cls)
        client._kubernetes = kubernetes
        client.namespace = namespace or kubernetes.namespace
        return client

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
        """Close the connections."""
        self._kubernetes.close()

    def submit(self, built: Built) -> Experiment:
        """Create an Experiment, and the ConfigMap with its code if it needs one.

        Args:
            built: The Experiment, as `sparksweep.Experiment` builds it.

        Returns:
            The Experiment as the API server stored it.

        Raises:
            ExperimentExists: There is one of that name.
            ExperimentRefused: The API server does not accept it.
        """
        code = built.code_map
        if code is not None:
            self._kubernetes.create(self.namespace, code)
        try:
            created = self._kubernetes.create(self.namespace, built.on_a_cluster.to_dict())
        except BaseException:
            if code is not None:
                with contextlib.suppress(Exception):
                    self._kubernetes.delete("ConfigMap", self.namespace, code["metadata"]["name"])
            raise
        if code is not None:
            # The Experiment's UID, which an owner reference needs, is known only now.
            self._own(code["metadata"]["name"], created)
        return Experiment.from_api(created)

    def get(self, name: str) -> Experiment:
        """Return an Experiment as it is now.

        Args:
            name: The Experiment's name.

        Raises:
            ExperimentNotFound: There is none of that name.
        """
        return self._kubernetes.experiment(self.namespace, name)

    def experiments(self) -> list[Experiment]:
        """Return all Experiments of the namespace, sorted by name."""
        experiments = self._kubernetes.experiments(self.namespace)
        return sorted(experiments, key=lambda item: item.metadata.name)

    def trials(self, name: str) -> list[Trial]:
        """Return every trial of an Experiment, sorted by number.

        Args:
            name: The Experiment's name.

        Returns:
            The trials; an empty list if there are none, or no Experiment of that name.
        """
        return trials_of(self._kubernetes.batches(self.namespace, name))

    def change(self, name: str, **spec: object) -> Experiment:
        """Change fields of a spec that may change while it runs: ``change("digits", suspend=True)``.

        Args:
            name: The Experiment's name.
            **spec: New values, by the fields' names in the document: ``parallelTrialCount=4``.

        Returns:
            The Experiment with the change.

        Raises:
            ExperimentNotFound: There is none of that name.
            ExperimentRefused: The field may not change, or not to that value.
        """
        change = {"spec": spec}
        body = self._kubernetes.merge("Experiment", self.namespace, name, change)
        return Experiment.from_api(body)

    def delete(self, name: str) -> None:
        """Delete an Experiment and everything that belongs to it; running trials end.

        Args:
            name: The Experiment's name.

        Raises:
            ExperimentNotFound: There is none of that name.
        """
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
