"""Checks of a trial's pod in ``spec.trialTemplate``: its scheduling, its environment, its volumes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sparksweep_core.api.affinity import (
    INTEGER_PATTERN,
    Affinity,
    LabelExpression,
    LabelSelector,
    NodeExpression,
    NodeSelectorTerm,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
)
from sparksweep_core.api.environment import USERS_ENV, EnvVar
from sparksweep_core.api.names import is_label_key
from sparksweep_core.api.quantities import memory_bytes
from sparksweep_core.api.template import Toleration, TrialTemplate
from sparksweep_core.api.volumes import RESERVED_PATHS, RESERVED_VOLUMES, Volume
from sparksweep_core.contract.environment import PREFIX
from sparksweep_core.contract.names import is_spark_secret_name
from sparksweep_core.errors import FieldError
from sparksweep_core.validation.checks_search import duplicates

PATH = "spec.trialTemplate"

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_INTEGER = re.compile(INTEGER_PATTERN)
_IMAGE = re.compile(r"[A-Za-z0-9[][-A-Za-z0-9._:/@[\]]*")
_TOKEN_PATHS = ("/var/run/secrets/kubernetes.io", "/run/secrets/kubernetes.io")
"""Paths of the API server's token in a pod, where the drivers' account may mount nothing."""
_KUBERNETES_OWN = "system-"
"""Prefix of the priority classes of Kubernetes' own pods, before which all others give way."""


def check_pod(template: TrialTemplate) -> list[FieldError]:
    """Return every mistake in the template's pod that its types allow."""
    errors = [
        finding
        for key in template.node_selector
        for finding in _label_key(key, f"{PATH}.nodeSelector[{key}]")
    ]
    for index, toleration in enumerate(template.tolerations):
        errors += _toleration(toleration, f"{PATH}.tolerations[{index}]")
    for index, first in duplicates(template.tolerations):
        message = f"repeats tolerations[{first}]: remove one of them"
        errors.append(FieldError(f"{PATH}.tolerations[{index}]", message))
    if template.affinity is not None:
        errors += _affinity(template.affinity, f"{PATH}.affinity")
    if template.image is not None and not _IMAGE.fullmatch(template.image):
        # Spark would replace ${env:NAME} by a variable of the driver.
        message = f'"{template.image}" is no image, such as registry.example/team/train:1'
        errors.append(FieldError(f"{PATH}.image", message))
    priority = template.priority_class_name
    if priority is not None and priority.startswith(_KUBERNETES_OWN):
        message = f'"{priority}" is for pods of Kubernetes itself: choose another PriorityClass'
        errors.append(FieldError(f"{PATH}.priorityClassName", message))
    for field, names in (
        ("imagePullSecrets", [secret.name for secret in template.image_pull_secrets]),
        ("env", [variable.name for variable in template.env]),
        ("volumes", [volume.name for volume in template.volumes]),
    ):
        for index, first in duplicates(names):
            message = f'"{names[first]}" is given twice'
            errors.append(FieldError(f"{PATH}.{field}[{index}].name", message))
    for index, variable in enumerate(template.env):
        errors += _variable(variable, f"{PATH}.env[{index}]")
    for index, volume in enumerate(template.volumes):
        errors += _volume(volume, f"{PATH}.volumes[{index}]")
    for path, secret in _secrets(template):
        if is_spark_secret_name(secret):
            message = f'"{secret}" is the name of a Secret that protects an Experiment\'s Spark: name one of your own'
            errors.append(FieldError(path, message))
    for index, first in duplicates(volume.mount_path for volume in template.volumes):
        volume = template.volumes[first]
        errors.append(
            FieldError(
                f"{PATH}.volumes[{index}].mountPath",
                f'"{volume.mount_path}" is the mountPath of "{volume.name}" already: choose another one',
            )
        )
    return errors


def _secrets(template: TrialTemplate) -> Iterator[tuple[str, str]]:
    """Return the path and the name of each Secret that the pod reads."""
    for index, variable in enumerate(template.env):
        if variable.value_from is not None and variable.value_from.secret_key_ref is not None:
            path = f"{PATH}.env[{index}].valueFrom.secretKeyRef.name"
            yield path, variable.value_from.secret_key_ref.name
    for index, volume in enumerate(template.volumes):
        if volume.secret is not None:
            yield f"{PATH}.volumes[{index}].secret.secretName", volume.secret.secret_name


def _label_key(key: str, path: str) -> Iterator[FieldError]:
    if not is_label_key(key):
        message = f'"{key}" is not a label key, such as accelerator or example.org/pool'
        yield FieldError(path, message)


def _toleration(toleration: Toleration, path: str) -> Iterator[FieldError]:
    if toleration.operator == "Exists":
        if toleration.value:
            message = f'"{toleration.value}": Exists matches any value; remove it, or use Equal'
            yield FieldError(f"{path}.value", message)
    elif not toleration.key:
        yield FieldError(
            f"{path}.key", "is missing: Equal matches one taint; for all taints use Exists"
        )
    if toleration.key and not is_label_key(toleration.key):
        yield FieldError(
            f"{path}.key", f'"{toleration.key}" is not a taint key, such as nvidia.com/gpu'
        )
    if toleration.toleration_seconds is not None and toleration.effect != "NoExecute":
        yield FieldError(
            f"{path}.tolerationSeconds",
            f"{toleration.toleration_seconds} requires effect NoExecute: set the effect, or remove it",
        )


def _affinity(affinity: Affinity, path: str) -> Iterator[FieldError]:
    nodes = affinity.node_affinity
    if nodes is not None:
        here = f"{path}.nodeAffinity"
        required = nodes.required_during_scheduling_ignored_during_execution
        for index, term in enumerate(required.node_selector_terms if required else []):
            yield from _node_term(term, f"{here}.{_REQUIRED}.nodeSelectorTerms[{index}]")
        for index, wish in enumerate(nodes.preferred_during_scheduling_ignored_during_execution):
            yield from _node_term(wish.preference, f"{here}.{_PREFERRED}[{index}].preference")
    if affinity.pod_affinity is not None:
        yield from _pods(affinity.pod_affinity, f"{path}.podAffinity")
    if affinity.pod_anti_affinity is not None:
        yield from _pods(affinity.pod_anti_affinity, f"{path}.podAntiAffinity")


def _node_term(term: NodeSelectorTerm, path: str) -> Iterator[FieldError]:
    for index, expression in enumerate(term.match_expressions):
        yield from _expression(expression, f"{path}.matchExpressions[{index}]")


def _pods(pods: PodAffinity | PodAntiAffinity, path: str) -> Iterator[FieldError]:
    for index, term in enumerate(pods.required_during_scheduling_ignored_during_execution):
        yield from _pod_term(term, f"{path}.{_REQUIRED}[{index}]")
    for index, wish in enumerate(pods.preferred_during_scheduling_ignored_during_execution):
        yield from _pod_term(
            wish.pod_affinity_term, f"{path}.{_PREFERRED}[{index}].podAffinityTerm"
        )


def _pod_term(term: PodAffinityTerm, path: str) -> Iterator[FieldError]:
    yield from _label_key(term.topology_key, f"{path}.topologyKey")
    selector = term.label_selector or LabelSelector()
    for key in selector.match_labels:
        yield from _label_key(key, f"{path}.labelSelector.matchLabels[{key}]")
    for index, expression in enumerate(selector.match_expressions):
        yield from _expression(expression, f"{path}.labelSelector.matchExpressions[{index}]")


def _expression(expression: NodeExpression | LabelExpression, path: str) -> Iterator[FieldError]:
    yield from _label_key(expression.key, f"{path}.key")
    operator, values = expression.operator, expression.values
    message = None
    match operator:
        case "Exists" | "DoesNotExist" if values:
            other = "In" if operator == "Exists" else "NotIn"
            message = f"can't be combined with {operator}, which compares only the key: remove them, or use {other}"
        case "Gt" | "Lt" if len(values) != 1 or not _INTEGER.fullmatch(values[0]):
            message = f'must be one integer from 0 for {operator}, such as ["8"]'
        case "In" | "NotIn" if not values:
            message = f"is missing: {operator} needs at least one; for the key alone use Exists or DoesNotExist"
    if message is not None:
        yield FieldError(f"{path}.values", message)


def _variable(variable: EnvVar, path: str) -> Iterator[FieldError]:
    if variable.name.startswith(PREFIX) and variable.name not in USERS_ENV:
        yield FieldError(
            f"{path}.name",
            f'"{variable.name}": names that start with {PREFIX} are reserved; choose another one',
        )
    if "\0" in variable.value:
        yield FieldError(
            f"{path}.value", "has a null character, which no environment holds: remove it"
        )
    source = variable.value_from
    if source is None:
        return
    if variable.value:
        yield FieldError(
            f"{path}.valueFrom",
            "can't be combined with value: a variable has one of them; remove the other",
        )
    if source.secret_key_ref is None and source.config_map_key_ref is None:
        yield FieldError(
            f"{path}.valueFrom", "is empty: give secretKeyRef or configMapKeyRef, or remove it"
        )
    elif source.secret_key_ref is not None and source.config_map_key_ref is not None:
        yield FieldError(
            f"{path}.valueFrom.configMapKeyRef",
            "can't be combined with secretKeyRef: the value is in one of them; remove the other",
        )


def _volume(volume: Volume, path: str) -> Iterator[FieldError]:
    for prefix in RESERVED_VOLUMES:
        if volume.name.startswith(prefix):
            yield FieldError(
                f"{path}.name",
                f'"{volume.name}": names that start with {prefix} are reserved; choose another one',
            )
    yield from _mount_path(volume.mount_path, f"{path}.mountPath")
    sources = {
        "persistentVolumeClaim": volume.persistent_volume_claim,
        "configMap": volume.config_map,
        "secret": volume.secret,
        "emptyDir": volume.empty_dir,
    }
    given = [name for name, source in sources.items() if source is not None]
    if not given:
        yield FieldError(
            path, "has no source: give persistentVolumeClaim, configMap, secret or emptyDir"
        )
    for name in given[1:]:
        yield FieldError(
            f"{path}.{name}",
            f"can't be combined with {given[0]}: a volume has one source; remove the other",
        )
    limit = volume.empty_dir.size_limit if volume.empty_dir is not None else None
    if limit is not None and memory_bytes(limit) <= 0:
        yield FieldError(f"{path}.emptyDir.sizeLimit", f'"{limit}" is not above 0')


def _mount_path(mount_path: str, path: str) -> Iterator[FieldError]:
    if mount_path.startswith(_TOKEN_PATHS):
        message = f'"{mount_path}" is where Kubernetes puts tokens; choose another path, such as /mnt/data'
        yield FieldError(path, message)
    for own in RESERVED_PATHS:
        if f"{mount_path}/".startswith(f"{own}/"):
            yield FieldError(
                path,
                f'"{mount_path}": {own} is reserved; choose another path, such as /mnt/data',
            )
        elif own.startswith(f"{mount_path}/"):
            yield FieldError(
                path,
                f'"{mount_path}" would hide {own}, which is reserved; '
                "choose another path, such as /mnt/data",
            )
            return
