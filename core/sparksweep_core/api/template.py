"""What a trial runs, and on what: ``spec.trialTemplate``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from sparksweep_core.api import limits
from sparksweep_core.api.affinity import Affinity
from sparksweep_core.api.base import Model, cel, cel_rules, list_atomic, list_map, list_set
from sparksweep_core.api.environment import EnvVar
from sparksweep_core.api.names import Key, LabelKey, LabelValue, ObjectName
from sparksweep_core.api.quantities import CPU_PATTERN, MEMORY_PATTERN
from sparksweep_core.api.volumes import Volume

FUNCTION_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*([.][A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
MODULE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*([.][A-Za-z_][A-Za-z0-9_]*)*$"

Word = Annotated[str, StringConstraints(max_length=limits.WORD)]
ModuleName = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=MODULE_PATTERN)]


class ConfigMapKey(Model):
    """One key of a ConfigMap in the Experiment's namespace."""

    name: ObjectName
    """Name of the ConfigMap."""
    key: Key
    """The key."""


class Source(Model):
    """Where the training code is, when it is not in the image. Exactly one of the two."""

    model_config = ConfigDict(
        json_schema_extra=cel_rules(
            cel(
                "has(self.inline) != has(self.configMap)",
                "give exactly one of inline and configMap",
            )
        )
    )

    inline: Annotated[str | None, Field(min_length=1, max_length=limits.INLINE_SOURCE)] = None
    """The module's text."""
    config_map: ConfigMapKey | None = None
    """A ConfigMap's key that holds the module's text."""


class TrialParameter(Model):
    """Katib's indirection from a placeholder of the command to a parameter."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^{}]+$")]
    """The placeholder is ``${trialParameters.<name>}``."""
    description: Annotated[str | None, Field(max_length=1024)] = None
    """For the reader."""
    reference: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    """The parameter whose value takes the placeholder's place."""


class Gpu(Model):
    """GPUs of one executor, and so of one trial."""

    count: Annotated[int, Field(ge=0, le=limits.GPUS)] = 0
    """How many; 0 asks for none and hides any there are."""
    resource_name: Annotated[
        str,
        StringConstraints(
            min_length=1,
            max_length=317,
            pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?/[-._A-Za-z0-9]+$",
        ),
    ] = "nvidia.com/gpu"
    """The extended resource that the nodes offer."""


class Resources(Model):
    """What one executor has. One trial at a time owns all of it."""

    cpu: Annotated[str, StringConstraints(max_length=16, pattern=CPU_PATTERN)] = "1"
    """CPUs, as Kubernetes writes them: "2" or "500m". BLAS and TensorFlow get as many threads, at least one."""
    memory: Annotated[str, StringConstraints(max_length=24, pattern=MEMORY_PATTERN)] = "2Gi"
    """Memory limit, as Kubernetes writes it. A trial that needs more ends OOMKilled."""
    gpu: Gpu = Gpu()
    """GPUs."""


class Toleration(Model):
    """A node taint to accept, as in a pod's spec."""

    model_config = ConfigDict(
        json_schema_extra=cel_rules(
            cel(
                "self.operator != 'Exists' || !has(self.value) || self.value == ''",
                "operator Exists takes any value: remove it",
                ".value",
            ),
            cel(
                "self.operator != 'Equal' || (has(self.key) && self.key != '')",
                "operator Equal needs a key",
                ".key",
            ),
            cel(
                "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
                "is for effect NoExecute only",
                ".tolerationSeconds",
            ),
        )
    )

    key: Annotated[str | None, Field(max_length=317)] = None
    """The taint's key; absent with operator Exists: all taints."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """Equal or Exists."""
    value: LabelValue | None = None
    """The taint's value, for Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; absent: all effects."""
    toleration_seconds: Annotated[int | None, Field(ge=0)] = None
    """For NoExecute: seconds until the eviction."""


class ImagePullSecret(Model):
    """A Secret in the Experiment's namespace, with the credentials of a registry."""

    name: ObjectName
    """Name of the Secret."""


class TrialTemplate(Model):
    """What one trial runs, and on what. Exactly one of ``function`` and ``command``."""

    # CEL reserves the word "function", and writes a field of that name so.
    model_config = ConfigDict(
        json_schema_extra=cel_rules(
            cel(
                "has(self.__function__) != has(self.command)",
                "give exactly one of function and command",
            ),
            cel(
                "has(self.command) || size(self.trialParameters) == 0",
                "are for command: a function gets each parameter as an argument",
                ".trialParameters",
            ),
            cel(
                "has(self.__function__) || size(self.preload) == 0",
                "is for function: a command starts its own process",
                ".preload",
            ),
            cel(
                "self.volumes.all(v, self.volumes.exists_one(w, w.mountPath == v.mountPath))",
                "each needs a mountPath of its own",
                ".volumes",
            ),
        )
    )

    image: Annotated[str | None, Field(min_length=1, max_length=512)] = None
    """Container image; default: the trainer image of the installed chart. Local runs use this machine's Python."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When a node pulls the image. Absent: as Kubernetes does, Always for the tag latest and IfNotPresent for others."""
    image_pull_secrets: Annotated[
        list[ImagePullSecret], list_map("name", max_length=limits.IMAGE_PULL_SECRETS)
    ] = []
    """Secrets with the credentials to pull the image."""
    function: Annotated[str | None, Field(max_length=253, pattern=FUNCTION_PATTERN)] = None
    """``module:function``: called with each parameter as the argument of that name; returns the metric or metrics."""
    command: Annotated[list[Word] | None, list_atomic(min_length=1, max_length=limits.COMMAND)] = (
        None
    )
    """Program and arguments, with ``${trialParameters.<name>}`` for values; metrics are ``name=value`` lines on stdout."""
    trial_parameters: Annotated[
        list[TrialParameter], list_map("name", max_length=limits.PARAMETERS)
    ] = []
    """Placeholders of ``command`` whose name differs from the parameter's. Absent: each parameter by its own name."""
    source: Source | None = None
    """The training code, when it is not in the image. For a function: its module; for a command: a file beside it."""
    preload: Annotated[list[ModuleName], list_set(max_length=limits.PRELOAD)] = []
    """Modules imported once per executor, before the first trial is forked: those that are slow to import."""
    resources: Resources = Resources()
    """CPU, memory and GPUs of one executor."""
    node_selector: Annotated[
        dict[LabelKey, LabelValue], Field(max_length=limits.NODE_SELECTOR)
    ] = {}
    """Labels that the node must have."""
    tolerations: Annotated[list[Toleration], list_atomic(max_length=limits.TOLERATIONS)] = []
    """Node taints to accept."""
    affinity: Affinity | None = None
    """Nodes to be on, and pods to be near or away from."""
    priority_class_name: ObjectName | None = None
    """The PriorityClass of the executors' pods. Absent: the cluster's default."""
    env: Annotated[list[EnvVar], list_map("name", max_length=limits.ENV)] = []
    """Environment variables of the trial."""
    volumes: Annotated[list[Volume], list_map("name", max_length=limits.VOLUMES)] = []
    """Volumes, each with the path where the trial finds it."""
    timeout_seconds: Annotated[int | None, Field(ge=1, le=limits.SECONDS)] = None
    """A trial that takes longer gets SIGTERM, then SIGKILL, and fails. Absent: no limit."""
    termination_grace_period_seconds: Annotated[int, Field(ge=0, le=3600)] = 10
    """Seconds between SIGTERM and SIGKILL, for a timeout and for a trial that is stopped."""
    max_retries: Annotated[int, Field(ge=0, le=limits.RETRIES)] = 0
    """How often a failed trial runs again. Attempts lost with an executor or a driver are not counted."""
