"""The SDK's requests to the Kubernetes API server, with the user's own rights. Alone in the SDK imports `kubernetes`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparksweep.errors import MissingDependency

if TYPE_CHECKING:
    from sparksweep._kube.sync_client import SyncClient

__all__ = ["connect"]


def connect() -> SyncClient:
    """Return a client of the cluster that the kubeconfig or the pod's service account names; sends no request.

    Raises:
        ClusterUnavailable: There is neither a kubeconfig nor a service account.
        MissingDependency: The extra `client` is not installed.
    """
    try:
        from sparksweep._kube.sync_client import SyncClient
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0].startswith("sparksweep"):
            raise
        raise MissingDependency(
            "kubernetes is not installed. A cluster needs it: pip install 'sparksweep[client]'"
        ) from error
    return SyncClient()
