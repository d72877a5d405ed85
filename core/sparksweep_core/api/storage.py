"""``spec.storage``: the volume of an Experiment's run directory, and the destination of its copy."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, StringConstraints

from sparksweep_core.api import limits
from sparksweep_core.api.base import Model, cel, cel_rules
from sparksweep_core.api.names import ObjectName
from sparksweep_core.api.quantities import MEMORY_PATTERN

URI_PATTERN = r"^(s3|gs|hdfs|file)://[^\s]+$"


class RunVolumeClaim(Model):
    """A PersistentVolumeClaim in the Experiment's namespace, in which each Experiment gets its own directory."""

    claim_name: ObjectName
    """Name of the claim."""


class Storage(Model):
    """Storage of the trials' logs and files, and of the table of results, on a cluster."""

    model_config = ConfigDict(
        json_schema_extra=cel_rules(
            cel(
                "has(self.uri) || !has(self.secretName)",
                "requires uri: the Secret holds its credentials",
                ".secretName",
            )
        )
    )

    persistent_volume_claim: RunVolumeClaim | None = None
    """Volume of the run directory, which outlives the driver's pod. Absent: a volume that is deleted with the pod."""
    size_limit: Annotated[str, StringConstraints(max_length=24, pattern=MEMORY_PATTERN)] = "10Gi"
    """Size limit of the run directory, as a Kubernetes quantity. Trials' files may take nine tenths of it."""
    uri: Annotated[str, StringConstraints(max_length=limits.PATH, pattern=URI_PATTERN)] | None = (
        None
    )
    """URI to which the run directory is copied as trials end: s3://bucket/path, gs://..., hdfs://... or file://..."""
    secret_name: ObjectName | None = None
    """Secret with the credentials for uri. The driver gets its keys as files in /etc/sparksweep/storage, and those that are credentials as environment variables."""
