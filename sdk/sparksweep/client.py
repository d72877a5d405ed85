"""Experiments on a cluster, with the rights of the user's kubeconfig or of the pod that this runs in."""

from __future__ import annotations

import contextlib
import enum
import inspect
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sparksweep._builder import Built
from sparksweep._calls import checked_call, unknown_argument
from sparksweep._kube import connect
from sparksweep._kube.reading import read
from sparksweep._listing import Listing, missing_text
from sparksweep._plain_values import invalid, json_value, shown
from sparksweep._warnings import warn
from sparksweep.errors import FieldError, Forbidden, InvalidCall, UnknownArgument
from sparksweep_core.api import Experiment, Trial, limits, trials_of
from sparksweep_core.validation.immutability import IMMUTABLE, MUTABLE
from sparksweep_core.validation.reading import VERSION_ANNOTATION, own_version

if TYPE_CHECKING:
    from sparksweep._kube.sync_client import SyncClient

__all__ = ["Client"]


class Unchanged(enum.Enum):
    """Default of an argument for which None has a meaning."""

    UNCHANGED = "unchanged"

    def __repr__(self) -> str:
        return self.value


UNCHANGED = Unchanged.UNCHANGED


class Client:
    """The Experiments in one namespace of a cluster. Every method is a request to the API server.

    A context manager; without ``with``, call `close`.

    Besides the errors that a method names, every request raises:

    - `Forbidden`: The user lacks a right, which the message names.
    - `ClusterUnavailable`: The API server does not answer, or asks to come back later.
    - `ClusterError`: The API server refuses for another reason.
    - `Unreadable`: The cluster's operator is of another version, and wrote what this one does not understand.
    """

    @checked_call
    def __init__(self, namespace: str | None = None) -> None:
        """Find the cluster; sends no request.

        Args:
            namespace: The namespace; by default the kubeconfig's, or that of the pod that this runs in.

        Raises:
            ClusterUnavailable: There is neither a kubeconfig nor a service account.
            MissingDependency: The Kubernetes client is not installed.
        """
        _check_name("namespace", namespace, is_optional=True)
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

    @checked_call
    def close(self) -> None:
        """Close the connections."""
        self._kubernetes.close()

    @checked_call
    def submit(self, built: Built) -> Experiment:
        """Create an Experiment, and the ConfigMap with its code if it needs one.

        Args:
            built: The Experiment, as `sparksweep.Experiment` builds it.

        Returns:
            The Experiment as the API server stored it.

        Raises:
            ExperimentExists: There is one of that name.
            ExperimentRefused: The API server does not accept it.
            Forbidden: The user lacks a right; a function of more than 500,000 characters needs rights on ConfigMaps.
        """
        code = built.code_map
        if code is not None:
            self._create_code(code)
        try:
            created = self._kubernetes.create(self.namespace, _signed(built.on_a_cluster.to_dict()))
        except BaseException:
            if code is not None:
                with contextlib.suppress(Exception):
                    self._kubernetes.delete("ConfigMap", self.namespace, code["metadata"]["name"])
            raise
        if code is not None:
            # The Experiment's UID, which an owner reference needs, is known only now.
            self._own(code["metadata"]["name"], created)
        return read(Experiment, created)

    @checked_call
    def get(self, name: str) -> Experiment:
        """Return an Experiment as it is now.

        Args:
            name: The Experiment's name.

        Raises:
            ExperimentNotFound: There is none of that name.
        """
        _check_name("name", name)
        return self._kubernetes.experiment(self.namespace, name)

    @checked_call
    def experiments(self) -> Listing[Experiment]:
        """Return all Experiments of the namespace, sorted by name.

        Returns:
            A list. Its attribute `unreadable` has the error of each Experiment that is missing in it, because a later
            version wrote what this one does not understand; a warning names them.
        """
        listed = self._kubernetes.experiments(self.namespace)
        if listed.unreadable:
            warn(missing_text(listed.unreadable))
        return Listing(sorted(listed, key=lambda item: item.metadata.name), listed.unreadable)

    @checked_call
    def trials(self, name: str) -> Listing[Trial]:
        """Return every trial of an Experiment, sorted by number.

        Args:
            name: The Experiment's name.

        Returns:
            The trials; an empty list if there are none, or no Experiment of that name. The list's attribute
            `unreadable` has the error of each TrialBatch whose trials are missing, about which a warning is issued.
        """
        _check_name("name", name)
        batches = self._kubernetes.batches(self.namespace, name)
        if batches.unreadable:
            warn(missing_text(batches.unreadable))
        return Listing(trials_of(batches), batches.unreadable)

    @checked_call
    def change(
        self,
        name: str,
        *,
        suspend: bool | Unchanged = UNCHANGED,
        parallel: int | Unchanged = UNCHANGED,
        max_trials: int | Unchanged | None = UNCHANGED,
        max_failed_trials: int | Unchanged | None = UNCHANGED,
        deadline_seconds: int | Unchanged | None = UNCHANGED,
        ttl_seconds: int | Unchanged | None = UNCHANGED,
        **spec: object,
    ) -> Experiment:
        """Change fields of a spec that may change while it runs: ``change("digits", suspend=True)``.

        None removes a limit. An argument that is not given changes nothing.

        Args:
            name: The Experiment's name.
            suspend: True: end the running trials and start none; False: go on.
            parallel: Largest number of trials at the same time.
            max_trials: Largest number of trials.
            max_failed_trials: The experiment fails at this number of failed trials.
            deadline_seconds: The experiment fails if it has not ended this long after its start.
            ttl_seconds: The Experiment is deleted this long after its end.
            **spec: The same by the fields' names in the document: ``parallelTrialCount=4``.

        Returns:
            The Experiment with the change.

        Raises:
            ExperimentNotFound: There is none of that name.
            ExperimentRefused: The field may not change, or not to that value.
            UnknownArgument: There is no such field.
        """
        _check_name("name", name)
        given = {
            "suspend": suspend,
            "parallelTrialCount": parallel,
            "maxTrialCount": max_trials,
            "maxFailedTrialCount": max_failed_trials,
            "activeDeadlineSeconds": deadline_seconds,
            "ttlSecondsAfterFinished": ttl_seconds,
        }
        changes: dict[str, object] = {
            key: value for key, value in given.items() if value is not UNCHANGED
        }
        names = inspect.signature(self.change).parameters
        fields = [*MUTABLE, *IMMUTABLE]
        for key, value in spec.items():
            if key not in fields:
                known = [item for item in names if item not in ("name", "spec")]
                raise UnknownArgument([unknown_argument(key, "change", known, fields)])
            if key in changes:
                raise InvalidCall([FieldError(key, "is given twice: keep one")])
            changes[key] = value
        if not changes:
            raise InvalidCall([FieldError("change", "changes nothing: give a field")])
        change = {"spec": {key: json_value(value, key) for key, value in changes.items()}}
        body = self._kubernetes.merge("Experiment", self.namespace, name, change)
        return read(Experiment, body)

    @checked_call
    def delete(self, name: str) -> None:
        """Delete an Experiment and everything that belongs to it; running trials end.

        Args:
            name: The Experiment's name.

        Raises:
            ExperimentNotFound: There is none of that name.
        """
        _check_name("name", name)
        self._kubernetes.delete("Experiment", self.namespace, name)

    def _create_code(self, code: dict[str, Any]) -> None:
        try:
            self._kubernetes.create(self.namespace, code)
        except Forbidden as error:
            size = sum(map(len, code["data"].values()))
            raise Forbidden(
                f"the function takes {size:,} characters as text, more than the {limits.INLINE_SOURCE:,} that an Experiment "
                f"holds, so it needs a ConfigMap, and you lack the right to create, patch and delete configmaps in namespace "
                f"{self.namespace}, which Kubernetes' role edit has and sparksweep-edit has not: ask for the right, or load "
                f"data inside the function instead of referring to it ({error})"
            ) from error

    def _own(self, config_map: str, experiment: dict[str, Any]) -> None:
        owner = {
            "apiVersion": experiment["apiVersion"],
            "kind": experiment["kind"],
            "name": experiment["metadata"]["name"],
            "uid": experiment["metadata"]["uid"],
        }
        change = {"metadata": {"ownerReferences": [owner]}}
        self._kubernetes.merge("ConfigMap", self.namespace, config_map, change)


def _check_name(argument: str, name: object, *, is_optional: bool = False) -> None:
    if is_optional and name is None:
        return
    if not isinstance(name, str) or not name:
        raise invalid(argument, f"{shown(name)} is not a name")


def _signed(document: dict[str, Any]) -> dict[str, Any]:
    """Return an Experiment's document with this version as its writer, for an operator that can't read a value of it."""
    metadata = document["metadata"]
    annotations = {**metadata.get("annotations", {}), VERSION_ANNOTATION: own_version()}
    return {**document, "metadata": {**metadata, "annotations": annotations}}
