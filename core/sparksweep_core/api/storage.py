"""Where an Experiment's run directory is, and where it is copied to: ``spec.storage``."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, StringConstraints

from sparksweep_core.api import limits
from sparksweep_core.api.base import Model, cel, cel_rules
from sparksweep_core.api.names import ObjectName
from sparksweep_core.api.quantities import MEMORY_PATTERN

URI_PATTERN = r"^(s3|gs|hdfs|file)://[^\s]+$"


class RunVolumeClaim(Model):
    """A PersistentVolumeClaim in the Experiment's namespace. Each Experiment has a directory of its own in it."""

    claim_name: ObjectName
    """Name of the claim."""


class Storage(Model):
    """Where trials' logs and files, and the table of results, are kept on a cluster."""

    model_config = ConfigDict(
        json_schema_extra=cel_rules(
            cel(
                "has(self.uri) || !has(self.secretName)",
                "is for uri: without one there is nothing to be let into",
                ".secretName",
            )
        )
    )

    persistent_volume_claim: RunVolumeClaim | None = None
    """The volume of the run directory, which outlives the driver's pod. Absent: one that goes with the pod."""
    size_limit: Annotated[str, StringConstraints(max_length=24, pattern=MEMORY_PATTERN)] = "10Gi"
    """Size of the run directory, as Kubernetes writes it. Trials' files are kept up to nine tenths of it."""
    uri: Annotated[str, StringConstraints(max_length=limits.PATH, pattern=URI_PATTERN)] | None = (
        None
    )
    """Where the run directory is copied to as trials end: s3://bucket/path, gs://..., hdfs://... or file://..."""
    secret_name: ObjectName | None = None
    """A Secret with the credentials for uri: variables of the driver's environment, and files in /etc/sparksweep/storage."""
