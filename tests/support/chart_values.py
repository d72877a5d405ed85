"""Values for tests of the chart: each switch the other way, and those of a large installation."""

from __future__ import annotations

from typing import Any

IMAGE = {"repository": "registry.example/sparksweep/operator", "tag": "2", "pullPolicy": "Always"}
DIGEST = "sha256:" + "0123456789abcdef" * 4


def switches(namespace: str, other: str) -> dict[str, dict[str, Any]]:
    """Return values by their subject; the namespaces exist."""
    return {
        "nothing set": {},
        "one namespace": {"watchNamespaces": [namespace]},
        "two namespaces, one of them for drivers only": {
            "watchNamespaces": [namespace],
            "driver.namespaces": [other, namespace],
        },
        "drivers in two namespaces": {"driver.namespaces": [namespace, other]},
        "another name": {"fullnameOverride": "sweeps"},
        "another chart's name": {"nameOverride": "sweeps"},
        "no kinds": {"crds.enabled": False},
        "kinds that go": {"crds.keep": False},
        "no admission policies": {"admissionPolicy.enabled": False},
        "no roles": {"rbac.create": False},
        "no roles for users": {"rbac.userRoles.create": False},
        "roles for users that are not aggregated": {"rbac.userRoles.aggregate": False},
        "an account that is there": {
            "serviceAccount.create": False,
            "serviceAccount.name": "default",
        },
        "an account with a name": {
            "serviceAccount.name": "sweeper",
            "serviceAccount.annotations": {"example.org/role": "sweeper"},
        },
        "images": {
            "image": IMAGE,
            "trainer.image": {
                "repository": "registry.example/trainer",
                "digest": DIGEST,
                "pullPolicy": "Never",
            },
            "imagePullSecrets": [{"name": "registry"}],
            "driver.namespaces": [namespace],
            "driver.serviceAccount.imagePullSecrets": [{"name": "registry"}],
        },
        "drivers": {
            "driver.cpu": "1",
            "driver.memory": "2Gi",
            "driver.serviceAccount.name": "drivers",
            "driver.serviceAccount.annotations": {"example.org/role": "drivers"},
            "driver.namespaces": [namespace],
        },
        "no gateway": {"viewer.enabled": False, "driver.namespaces": [namespace]},
        "a gateway of another size": {
            "driver.namespaces": [namespace],
            "viewer.resources": {"requests": {"cpu": "1"}},
            "viewer.nodeSelector": {"kubernetes.io/os": "linux"},
            "viewer.tolerations": [{"key": "infra", "operator": "Exists"}],
        },
        "logs": {"logLevel": "debug", "logFormat": "text"},
        "where and how it runs": {
            "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
            "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"}],
            "podLabels": {"team": "ml"},
            "podAnnotations": {"example.org/scrape": "no"},
            "priorityClassName": "system-cluster-critical",
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"key": "infra", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        },
        "a cluster that chooses the user": {
            "podSecurityContext": {"runAsNonRoot": True, "runAsUser": None, "runAsGroup": None},
        },
        "a Service": {"service.enabled": True, "service.annotations": {"example.org/a": "b"}},
        "a disruption budget": {"podDisruptionBudget.enabled": True},
        "network policies for the operator": {"networkPolicy.enabled": True},
        "network policies for all": {
            "networkPolicy.enabled": True,
            "networkPolicy.apiServerPorts": [6443, 26443],
            "networkPolicy.metricsFrom": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}],
            "networkPolicy.executors.egress": [{}],
            "watchNamespaces": [namespace, other],
        },
        "no metrics": {"metrics.enabled": False, "metrics.serviceMonitor.enabled": True},
        "everything for Prometheus and Grafana": {
            "metrics.serviceMonitor.enabled": True,
            "metrics.serviceMonitor.labels": {"release": "prometheus"},
            "metrics.podMonitor.enabled": True,
            "metrics.prometheusRule.enabled": True,
            "metrics.dashboard.enabled": True,
            "metrics.dashboard.annotations": {"grafana_folder": "ML"},
        },
        "drivers' metrics from one namespace": {
            "metrics.podMonitor.enabled": True,
            "metrics.podMonitor.interval": "5s",
            "watchNamespaces": [namespace],
        },
        "no test": {"test.enabled": False},
    }


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"nonsense": 1}, "additional properties 'nonsense' not allowed"),
    ({"driver.nonsense": 1}, "/driver"),
    ({"watchNamespaces": "lab"}, "/watchNamespaces"),
    ({"watchNamespaces": ["a", "a"]}, "/watchNamespaces"),
    ({"watchNamespaces": ["Not a name"]}, "/watchNamespaces/0"),
    ({"crds.keep": "yes"}, "/crds/keep"),
    ({"image.digest": "abc"}, "/image/digest"),
    ({"image.pullPolicy": "Sometimes"}, "/image/pullPolicy"),
    ({"driver.memory": "much"}, "/driver/memory"),
    ({"logLevel": "loud"}, "/logLevel"),
    ({"imagePullSecrets": ["registry"]}, "/imagePullSecrets/0"),
    ({"networkPolicy.apiServerPorts": []}, "/networkPolicy/apiServerPorts"),
    ({"networkPolicy.nodeLocalDNS": ["169.254.20.10"]}, "/networkPolicy/nodeLocalDNS/0"),
    ({"viewer.nonsense": 1}, "/viewer"),
    ({"metrics.serviceMonitor.interval": "often"}, "/metrics/serviceMonitor/interval"),
    ({"extraEnv": [{"value": "x"}]}, "/extraEnv/0"),
]
"""Values that the schema refuses, and the path in its message."""
