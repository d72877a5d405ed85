"""What every pod of ours has in common: it passes Pod Security's `restricted` profile."""

from __future__ import annotations

from typing import Any

USER = 10001
"""The images' user and group."""

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


def unreachable_tolerations(seconds: int, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tolerations given, and how long to wait for a node that went away, unless they say so themselves.

    Kubernetes' own answer is five minutes, for which a lost trial would wait in vain: an executor that its driver
    can't reach is of no use even if it comes back.
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
