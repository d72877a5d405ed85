"""The table from the API server's errors to the SDK's."""

from __future__ import annotations

from sparksweep.errors import (
    ClusterError,
    ClusterUnavailable,
    ExperimentExists,
    ExperimentNotFound,
    ExperimentRefused,
    Forbidden,
)
from sparksweep_core.api_server import errors as kube

_KINDS: dict[type[kube.KubeError], type[ClusterError]] = {
    kube.NotFound: ExperimentNotFound,
    kube.Forbidden: Forbidden,
    kube.Unavailable: ClusterUnavailable,
}
_KINDS_OF_WRITES: dict[type[kube.KubeError], type[ClusterError | ExperimentRefused]] = {
    **_KINDS,
    kube.Conflict: ExperimentExists,
    kube.Invalid: ExperimentRefused,
}


def sdk_error(
    error: kube.KubeError, subject: str, *, writes: bool = False
) -> ClusterError | ExperimentRefused:
    """Return the SDK's error for one of the API server's, with the API server's message.

    Args:
        error: The API server's answer.
        subject: The object that the request was about, which begins the message.
        writes: True if the request carried an object: then the API server may have refused that object.
    """
    kinds = _KINDS_OF_WRITES if writes else _KINDS
    return kinds.get(type(error), ClusterError)(f"{subject}: {error}")
