"""``spec.trialTemplate``: the program of a trial, its resources and its pod."""

from __future__ import annotations

from enum import StrEnum
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


class MetricsFormat(StrEnum):
    """Form of the metrics that a command prints."""

    EQUALS = "Equals"
    EQUALS_OR_COLON = "EqualsOrColon"


class ConfigMapKey(Model):
    """One key of a ConfigMap in the Experiment's namespace."""

    name: ObjectName
    """Name of the ConfigMap."""
    key: Key
    """Key that holds the text."""


class Source(Model):
    """Training code that is not in the image: either inline text or a key of a ConfigMap."""

    model_config = ConfigDict(
        json_schema_extra=cel_rules(
            cel(
                "has(self.inline) != has(self.configMap)",
                "give exactly one of inline and configMap",
            )
        )
    )

    inline: Annotated[str | None, Field(min_length=1, max_length=limits.INLINE_SOURCE)] = None
    """Text of the module."""
    config_map: ConfigMapKey | None = None
    """Key of a ConfigMap with the text of the module."""


class TrialParameter(Model):
    """Mapping from a placeholder of the command to a parameter, as in Katib."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^{}]+$")]
    """Name of the placeholder ``${trialParameters.<name>}``."""
    description: Annotated[str | None, Field(max_length=1024)] = None
    """Description for people."""
    reference: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    """Name of the parameter whose value replaces the placeholder."""


class Gpu(Model):
    """GPUs of one executor, and so of one trial."""

    count: Annotated[int, Field(ge=0, le=limits.GPUS)] = 0
    """Number of GPUs. 0: none, and any on the node are hidden from the trial."""
    resource_name: Annotated[
        str,
        StringConstraints(
            min_length=1,
            max_length=317,
            pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?/[-._A-Za-z0-9]+$",
        ),
    ] = "nvidia.com/gpu"
    """Name of the extended resource by which nodes offer their GPUs."""


class Resources(Model):
    """Resources of one executor, all of which one trial at a time gets."""

    cpu: Annotated[str, StringConstraints(max_length=16, pattern=CPU_PATTERN)] = "1"
    """CPUs, as a Kubernetes quantity: "2" or "500m". BLAS and TensorFlow get as many threads, at least one."""
    memory: Annotated[str, StringConstraints(max_length=24, pattern=MEMORY_PATTERN)] = "2Gi"
    """Memory limit, as a Kubernetes quantity. A trial that exceeds it ends OOMKilled."""
    gpu: Gpu = Gpu()
    """GPUs of the executor."""


class Toleration(Model):
    """A toleration of a node's taint, as in a pod's spec."""

    model_config = ConfigDict(
        json_schema_extra=cel_rules(
            cel(
                "self.operator != 'Exists' || !has(self.value) || self.value == ''",
                "must be absent for operator Exists, which matches any value",
                ".value",
            ),
            cel(
                "self.operator != 'Equal' || (has(self.key) && self.key != '')",
                "operator Equal needs a key",
                ".key",
            ),
            cel(
                "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
                "requires effect NoExecute",
                ".tolerationSeconds",
            ),
        )
    )

    key: Annotated[str | None, Field(max_length=317)] = None
    """Key of the taint. Absent, with operator Exists: all taints."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """Comparison with the taint: Equal or Exists."""
    value: LabelValue | None = None
    """Value of the taint, for Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint. Absent: all effects."""
    toleration_seconds: Annotated[int | None, Field(ge=0)] = None
    """Seconds that the pod stays on a node with the taint, for NoExecute."""


class ImagePullSecret(Model):
    """A Secret in the Experiment's namespace, with the credentials of a registry."""

    name: ObjectName
    """Name of the Secret."""


class TrialTemplate(Model):
    """The program of a trial, its resources and its pod. Exactly one of ``function`` and ``command`` is given."""

    # CEL reserves the word "function", and writes a field of that name so.
    model_config = ConfigDict(
        json_schema_extra=cel_rules(
            cel(
                "has(self.__function__) != has(self.command)",
                "give exactly one of function and command",
            ),
            cel(
                "has(self.command) || size(self.trialParameters) == 0",
                "require command: a function gets each parameter as an argument",
                ".trialParameters",
            ),
            cel(
                "has(self.__function__) || !has(self.preload) || size(self.preload) == 0",
                "requires function: a command starts its own process",
                ".preload",
            ),
            cel(
                "has(self.command) || self.metricsFormat == 'Equals'",
                "requires command: a function returns its metrics",
                ".metricsFormat",
            ),
            cel(
                "self.volumes.all(v, self.volumes.exists_one(w, w.mountPath == v.mountPath))",
                "must not share a mountPath",
                ".volumes",
            ),
        )
    )

    image: Annotated[str | None, Field(min_length=1, max_length=512)] = None
    """Container image. Absent: the trainer image of the installed chart. Local runs use this machine's Python instead."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """Pull policy of the image. Absent: Always for the tag latest and IfNotPresent for others, as in any pod."""
    image_pull_secrets: Annotated[
        list[ImagePullSecret], list_map("name", max_length=limits.IMAGE_PULL_SECRETS)
    ] = []
    """Secrets with the credentials to pull the image."""
    function: Annotated[str | None, Field(max_length=253, pattern=FUNCTION_PATTERN)] = None
    """Function to call, as ``module:function``. It gets each parameter as the argument of that name, and returns the metrics."""
    command: Annotated[list[Word] | None, list_atomic(min_length=1, max_length=limits.COMMAND)] = (
        None
    )
    """Program and arguments, with ``${trialParameters.<name>}`` for values. It prints metrics as ``name=value``."""
    trial_parameters: Annotated[
        list[TrialParameter], list_map("name", max_length=limits.PARAMETERS)
    ] = []
    """Placeholders of ``command`` whose name differs from the parameter's. Absent: each placeholder has its parameter's name."""
    metrics_format: MetricsFormat = MetricsFormat.EQUALS
    """Form in which ``command`` prints metrics: Equals for ``name=value``, EqualsOrColon for ``name: value``, too."""
    source: Source | None = None
    """Training code that is not in the image: the module of the function, or a file for the command."""
    preload: Annotated[list[ModuleName] | None, list_set(max_length=limits.PRELOAD)] = None
    """Modules that each executor imports once, before it forks the first trial. Absent: those that the function imports
    and that are known to be slow and safe to fork, such as tensorflow and sklearn. Empty: none.
    """
    resources: Resources = Resources()
    """CPU, memory and GPUs of one executor."""
    node_selector: Annotated[
        dict[LabelKey, LabelValue], Field(max_length=limits.NODE_SELECTOR)
    ] = {}
    """Labels that the node must have."""
    tolerations: Annotated[list[Toleration], list_atomic(max_length=limits.TOLERATIONS)] = []
    """Node taints that the pods tolerate."""
    affinity: Affinity | None = None
    """Nodes to run on, and pods to be near or away from."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the executors' pods. Absent: the cluster's default."""
    env: Annotated[list[EnvVar], list_map("name", max_length=limits.ENV)] = []
    """Environment variables of the trial."""
    volumes: Annotated[list[Volume], list_map("name", max_length=limits.VOLUMES)] = []
    """Volumes of the trial, each with its mount path."""
    timeout_seconds: Annotated[int | None, Field(ge=1, le=limits.SECONDS)] = None
    """Seconds after which a trial gets SIGTERM, then SIGKILL, and fails. Absent: no limit."""
    termination_grace_period_seconds: Annotated[int, Field(ge=0, le=3600)] = 10
    """Seconds between SIGTERM and SIGKILL, for a timeout and for a trial that is stopped.

    A function's process that still runs this long after its function has returned, at least one second, is ended too; the
    value counts.
    """
    max_retries: Annotated[int, Field(ge=0, le=limits.RETRIES)] = 0
    """Number of times that a failed trial runs again. Attempts lost with an executor or a driver are not counted."""
