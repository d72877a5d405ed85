"""Object metadata, as far as this project reads or writes it."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from sparksweep_core.api import limits
from sparksweep_core.api.base import Model, Timestamp

GROUP = "sparksweep.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

EXPERIMENT_NAME_PATTERN = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
"""RFC 1035, because the name becomes part of pod and service names."""


class OwnerReference(Model):
    """The object whose deletion deletes this one."""

    api_version: str
    """API version of the owner."""
    kind: str
    """Kind of the owner."""
    name: str
    """Name of the owner."""
    uid: str
    """UID of the owner: a later object of the same name is another one."""
    controller: bool = False
    """True if the owner is this object's controller."""
    block_owner_deletion: bool = False
    """True if a foreground deletion of the owner waits for this object."""


class ObjectMeta(Model):
    """Standard object metadata. A user's document may have fields that only the API server uses."""

    # A document that `kubectl get` printed has fields (managedFields...) that this project does not read.
    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Name, unique in its namespace."""
    namespace: str | None = None
    """Namespace; absent in a file means the current one."""
    uid: str | None = None
    """Identity of the object, unlike its name never reused; set by the API server."""
    generation: int | None = None
    """Number that grows with each change of the spec; set by the API server."""
    resource_version: str | None = None
    """Version of the object, another one after each write; set by the API server."""
    labels: dict[str, str] | None = None
    """Labels."""
    annotations: dict[str, str] | None = None
    """Annotations."""
    creation_timestamp: Timestamp | None = None
    """Time of creation; set by the API server."""
    deletion_timestamp: Timestamp | None = None
    """Time of deletion, set by the API server once it has been requested."""
    owner_references: list[OwnerReference] | None = None
    """Objects whose deletion deletes this one."""


class ExperimentMeta(ObjectMeta):
    """Metadata of an Experiment, whose name others are derived from."""

    name: Annotated[
        str, Field(min_length=1, max_length=limits.NAME, pattern=EXPERIMENT_NAME_PATTERN)
    ]
    """Name: lower-case letters, digits and '-', starting with a letter, at most 40 characters."""
