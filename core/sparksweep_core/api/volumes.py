"""``spec.trialTemplate.volumes``: the volumes of a trial, each with its mount path.

A pod's spec says this twice, as ``volumes`` and as ``volumeMounts``; a trial has one container, so once is enough. There
is no hostPath by design: a trial has no rights on its node.
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
"""Prefixes of the volumes that sparksweep and Spark add to the pod."""

RESERVED_PATHS = (
    "/opt/sparksweep", "/etc/sparksweep", "/var/lib/sparksweep", "/tmp", "/opt/venv", "/var/data",
)  # fmt: skip
"""Paths of the pod that sparksweep uses itself."""


class PersistentVolumeClaimVolume(Model):
    """A PersistentVolumeClaim in the Experiment's namespace. All executors mount it, which its access mode must allow."""

    claim_name: ObjectName
    """Name of the claim."""


class ConfigMapVolume(Model):
    """A ConfigMap in the Experiment's namespace, with a file for each key."""

    name: ObjectName
    """Name of the ConfigMap."""
    optional: bool = False
    """True: the volume is empty if there is no such ConfigMap. False: the pod waits for it."""


class SecretVolume(Model):
    """A Secret in the Experiment's namespace, with a file for each key."""

    secret_name: ObjectName
    """Name of the Secret."""
    optional: bool = False
    """True: the volume is empty if there is no such Secret. False: the pod waits for it."""


class EmptyDirVolume(Model):
    """A directory that is empty when the executor starts and deleted when it ends. The executor's trials share it."""

    size_limit: Annotated[str, StringConstraints(max_length=24, pattern=MEMORY_PATTERN)] | None = (
        None
    )
    """Size above which the pod is evicted, as a Kubernetes quantity: "10Gi". Absent: no limit but the node's."""
    medium: Literal["Memory"] | None = None
    """Storage medium. Memory: held in memory, and counted against ``resources.memory``. Absent: on the node's disk."""


class Volume(Model):
    """A volume and its mount path. Exactly one of the four sources is given."""

    model_config = ConfigDict(
        json_schema_extra=cel_rules(
            cel(
                "[has(self.persistentVolumeClaim), has(self.configMap), has(self.secret), has(self.emptyDir)]"
                ".filter(given, given).size() == 1",
                "give exactly one of persistentVolumeClaim, configMap, secret and emptyDir",
            ),
            cel(
                f"![{', '.join(repr(name) for name in RESERVED_VOLUMES)}].exists(own, self.name.startsWith(own))",
                f"names that start with {' or '.join(RESERVED_VOLUMES)} are reserved",
                ".name",
            ),
            cel(
                f"![{', '.join(repr(path + '/') for path in RESERVED_PATHS)}].exists(own,"
                " (self.mountPath + '/').startsWith(own) || own.startsWith(self.mountPath + '/'))",
                f"must not be at, below or above a reserved path: {', '.join(RESERVED_PATHS)}",
                ".mountPath",
            ),
        )
    )

    name: DnsLabel
    """Name of the volume in the pod."""
    mount_path: Annotated[
        str, StringConstraints(max_length=limits.PATH, pattern=MOUNT_PATH_PATTERN)
    ]
    """Absolute path of the volume in the trial's container."""
    sub_path: (
        Annotated[str, StringConstraints(max_length=limits.PATH, pattern=SUB_PATH_PATTERN)] | None
    ) = None
    """Directory or file of the volume to mount, relative to its root. Absent: the root."""
    read_only: bool = False
    """True: the trial can't write to the volume. A ConfigMap or a Secret is always read-only."""
    persistent_volume_claim: PersistentVolumeClaimVolume | None = None
    """PersistentVolumeClaim whose volume is mounted."""
    config_map: ConfigMapVolume | None = None
    """ConfigMap whose keys become files."""
    secret: SecretVolume | None = None
    """Secret whose keys become files."""
    empty_dir: EmptyDirVolume | None = None
    """A directory that belongs to the executor."""
