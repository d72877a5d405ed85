"""Client of the API server. The operator's only importer of `kubernetes`."""

from sparksweep_core.api_server.errors import (
    AdmissionFailed,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    Restored,
    TooLarge,
    Unavailable,
    UndeclaredField,
)
from sparksweep_operator.kube.async_client import KubernetesClient

__all__ = [
    "AdmissionFailed",
    "Conflict",
    "Expired",
    "Forbidden",
    "Invalid",
    "KubeError",
    "KubernetesClient",
    "NotFound",
    "Restored",
    "TooLarge",
    "Unavailable",
    "UndeclaredField",
]
