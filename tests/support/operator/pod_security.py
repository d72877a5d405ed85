"""Pod Security's `restricted` profile, as far as a pod can break it: https://k8s.io/docs/concepts/security/pod-security-standards/."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
    "projected", "secret",
}  # fmt: skip


def violations(pod: dict[str, Any]) -> list[str]:
    """Return violations of the profile, and of our additional rule: a read-only root file system."""
    spec = pod["spec"]
    return [*_of_pod(spec), *_of_containers(spec)]


def _of_pod(spec: dict[str, Any]) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield field
    for volume in spec.get("volumes", []):
        kinds = set(volume) - {"name"}
        if len(kinds) != 1 or not kinds <= VOLUMES:
            yield f"volume {volume['name']}: {sorted(kinds)}"
    security = spec.get("securityContext", {})
    if security.get("runAsNonRoot") is not True:
        yield "runAsNonRoot"
    if security.get("runAsUser") == 0:
        yield "runAsUser"
    if security.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile"
    if security.get("sysctls"):
        yield "sysctls"


def _of_containers(spec: dict[str, Any]) -> Iterator[str]:
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        name, security = container["name"], container.get("securityContext", {})
        if security.get("allowPrivilegeEscalation") is not False:
            yield f"{name}: allowPrivilegeEscalation"
        if security.get("privileged"):
            yield f"{name}: privileged"
        capabilities = security.get("capabilities", {})
        if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
            yield f"{name}: capabilities"
        if security.get("runAsNonRoot", True) is not True or security.get("runAsUser") == 0:
            yield f"{name}: root"
        if security.get("readOnlyRootFilesystem") is not True:
            yield f"{name}: readOnlyRootFilesystem"
        for port in container.get("ports", []):
            if port.get("hostPort"):
                yield f"{name}: hostPort"
