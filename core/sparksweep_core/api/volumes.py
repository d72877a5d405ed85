"""The volumes of a trial, each with the place where it is mounted: ``spec.trialTemplate.volumes``.

A pod's spec says this twice, as ``volumes`` and as ``volumeMounts``; a trial has one container, so once is enough. There
is no hostPath by design: a trial gets no rights on its node.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, StringConstraints

from sparksweep_core.api import limits
from sparksweep_core.api.base import Model, cel, cel_rules
from sparksweep_core.api.names import DnsLabel, ObjectName
from sparksweep_core.api.quantities import MEMORY_PATTERN

_SEGMENT = r"([^./:][^/:]*|[.][^./:][^/:]*|[.][.][^/:]+)"
"""A segment of a path, neither "." nor "..". A colon separates paths in the tools that take several."""
MOUNT_PATH_PATTERN = rf"^(/{_SEGMENT})+$"
SUB_PATH_PATTERN = rf"^{_SEGMENT}(/{_SEGMENT})*$"

RESERVED_VOLUMES = ("sparksweep-", "spark-local-dir")
"""Volumes that sparksweep and Spark add to the pod begin so."""

RESERVED_PATHS = (
    "/opt/sparksweep", "/etc/sparksweep", "/var/lib/sparksweep", "/tmp", "/opt/venv", "/var/data",
)  # fmt: skip
"""Paths of the pod that sparksweep uses itself."""


class PersistentVolumeClaimVolume(Model):
    """A PersistentVolumeClaim in the Experiment's namespace. All executors mount it: across nodes, it must allow that."""

    claim_name: ObjectName
    """Name of the claim."""


class ConfigMapVolume(Model):
    """A ConfigMap in the Experiment's namespace: a file for each key."""

    name: ObjectName
    """Name of the ConfigMap."""
    optional: bool = False
    """True: empty when there is no such ConfigMap. False: the pod waits for it."""


class SecretVolume(Model):
    """A Secret in the Experiment's namespace: a file for each key."""

    secret_name: ObjectName
    """Name of the Secret."""
    optional: bool = False
    """True: empty when there is no such Secret. False: the pod waits for it."""


class EmptyDirVolume(Model):
    """A directory that is empty when the executor starts, and gone when it ends. Its trials share it."""

    size_limit: Annotated[str, StringConstraints(max_length=24, pattern=MEMORY_PATTERN)] | None = (
        None
    )
    """The pod is evicted when there is more in it, as Kubernetes writes it: "10Gi". Absent: as much as the node has."""
    medium: Literal["Memory"] | None = None
    """Memory: kept in memory, and counted in ``resources.memory``. Absent: on the node's disk."""


class Volume(Model):
    """A volume, and where the trial finds it. Exactly one of its four sources."""

    model_config = ConfigDict(
        json_schema_extra=cel_rules(
            cel(
                "[has(self.persistentVolumeClaim), has(self.configMap), has(self.secret), has(self.emptyDir)]"
                ".filter(given, given).size() == 1",
                "give exactly one of persistentVolumeClaim, configMap, secret and emptyDir",
            ),
            cel(
                f"![{', '.join(repr(name) for name in RESERVED_VOLUMES)}].exists(own, self.name.startsWith(own))",
                f"names with {' or '.join(RESERVED_VOLUMES)} are those of sparksweep's own volumes",
                ".name",
            ),
            cel(
                f"![{', '.join(repr(path + '/') for path in RESERVED_PATHS)}].exists(own,"
                " (self.mountPath + '/').startsWith(own) || own.startsWith(self.mountPath + '/'))",
                f"must not be at, below or above a path of sparksweep's own: {', '.join(RESERVED_PATHS)}",
                ".mountPath",
            ),
        )
    )

    name: DnsLabel
    """Name of the volume in the pod."""
    mount_path: Annotated[
        str, StringConstraints(max_length=limits.PATH, pattern=MOUNT_PATH_PATTERN)
    ]
    """Where the trial finds it: an absolute path."""
    sub_path: (
        Annotated[str, StringConstraints(max_length=limits.PATH, pattern=SUB_PATH_PATTERN)] | None
    ) = None
    """The directory or file of the volume that is mounted, from its root. Absent: the root."""
    read_only: bool = False
    """True: the trial can't write to it. Nobody can write to a ConfigMap's or a Secret's files."""
    persistent_volume_claim: PersistentVolumeClaimVolume | None = None
    """A PersistentVolumeClaim."""
    config_map: ConfigMapVolume | None = None
    """A ConfigMap."""
    secret: SecretVolume | None = None
    """A Secret."""
    empty_dir: EmptyDirVolume | None = None
    """A directory of the executor's own."""
