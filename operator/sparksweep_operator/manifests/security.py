"""Fields that all pods share: they pass Pod Security's `restricted` profile, and tolerate short losses of their node."""

from __future__ import annotations

from typing import Any

from sparksweep_core.api.template import TrialTemplate

USER = 10001
"""User and group of the images."""

POD_SECURITY: dict[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "fsGroup": USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}

CONTAINER_SECURITY: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def common_pod_spec(template: TrialTemplate, *, lost_after_s: int) -> dict[str, Any]:
    """Return the fields of a pod's spec that drivers and executors share.

    Args:
        template: the user's template.
        lost_after_s: seconds that the pod's node may be unreachable.
    """
    given = [item.to_dict() for item in template.tolerations]
    spec: dict[str, Any] = {
        # The variables of thousands of Services in a namespace would exceed the limit of exec.
        "enableServiceLinks": False,
        "securityContext": POD_SECURITY,
        "tolerations": unreachable_tolerations(lost_after_s, given),
    }
    if template.priority_class_name is not None:
        spec["priorityClassName"] = template.priority_class_name
    if template.image_pull_secrets:
        spec["imagePullSecrets"] = [item.to_dict() for item in template.image_pull_secrets]
    return spec


def unreachable_tolerations(seconds: int, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add tolerations of an unreachable node for so many seconds, unless the given ones cover that already.

    Kubernetes' default is five minutes, by which a lost trial would be delayed: an executor that its driver can't reach
    is of no use even if it comes back.
    """
    keys = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    ours = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
        for key in keys
        if not any(
            item.get("key") in (None, key) and item.get("effect") in (None, "NoExecute")
            for item in given
        )
    ]
    return [*given, *ours]
