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
    (
        {"driver.serviceAccount.name": "default"},
        "driver.serviceAccount.name: default is the account of executors",
    ),
    (
        {"driver.serviceAccount.name": "sweeps", "serviceAccount.name": "sweeps"},
        "driver.serviceAccount.name: sweeps is the operator's account, too",
    ),
    ({"driver.memory": None}, "driver.memory: is empty: give at least 768Mi"),
    *(
        ({f"driver.{name}": size}, f"driver.{name}: {text}")
        for name, size, text in [
            ("memory", "300Mi", "300Mi is too little: give at least 768Mi"),
            ("memory", "767.5Mi", "767.5Mi is too little"),
            ("memory", "805306367", "805306367 is too little"),
            ("memory", 300, "300 bytes is too little"),
            ("memory", "1000m", "1000m are thousandths of a byte: write 1000Mi"),
            ("tensorboardMemory", "255Mi", "255Mi is too little: give at least 256Mi"),
            ("tensorboardMemory", "1024m", "1024m are thousandths of a byte: write 1024Mi"),
        ]
    ),
    ({"imagePullSecrets": ["registry"]}, "/imagePullSecrets/0"),
    ({"networkPolicy.apiServerPorts": []}, "/networkPolicy/apiServerPorts"),
    ({"networkPolicy.nodeLocalDNS": ["169.254.20.10"]}, "/networkPolicy/nodeLocalDNS/0"),
    ({"viewer.nonsense": 1}, "/viewer"),
    ({"metrics.serviceMonitor.interval": "often"}, "/metrics/serviceMonitor/interval"),
    ({"extraEnv": [{"value": "x"}]}, "/extraEnv/0"),
]
"""Values that the chart refuses, and the beginning of their part of its message."""

SIZES: list[tuple[str, str | int]] = [
    ("memory", "768Mi"), ("memory", "805306368"), ("memory", 805306368), ("memory", "1.5Gi"), ("memory", "1G"),
    ("tensorboardMemory", "256Mi"), ("tensorboardMemory", "0.25Gi"),
]  # fmt: skip
"""Sizes of a driver's containers that are large enough."""

AUDIENCE = "is an audience of API servers"
NO_AUDIENCE = "is no audience"
NO_KEY = "is neither a key nor the beginning of one"
CHOOSES = "would let drivers set"
REFUSED_ENTRIES: dict[str, dict[str, str]] = {
    "tokenAudiences": {
        **dict.fromkeys(
            [
                "kubernetes", "kubernetes.default", "kubernetes.default.svc", "https://kubernetes.default",
                "https://kubernetes.default.svc", "https://kubernetes.default.svc.cluster.local",
                "https://kubernetes.default.svc.cluster.local.", "https://kubernetes.default.svc.corp.example",
                "https://kubernetes.default.svc:443/", "//kubernetes.default.svc", "Kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local:443", "api", "k3s", "rke2", "localhost:8443", "https://10.0.0.1",
                "https://[fd00::1]:443", "https://api.prod.example:6443", "https://oidc.eks.eu-west-1.amazonaws.com/id/A",
                "https://A.gr7.eu-west-1.eks.amazonaws.com", "https://x.hcp.westeurope.azmk8s.io",
                "https://westeurope.oic.prod-aks.azure.com/t/c/",
                "https://container.googleapis.com/v1/projects/p/locations/l/clusters/c",
            ],
            AUDIENCE,
        ),
        **dict.fromkeys(["", "two words", "it's"], NO_AUDIENCE),
    },
    "annotations": {
        **dict.fromkeys(
            [
                "sparksweep.dev/", "sparksweep.dev/role", "kubernetes.io/", "k8s.v1.cni.cncf.io/",
                "k8s.v1.cni.cncf.io/networks", "eks.amazonaws.com/role-arn", "iam.amazonaws.com/role", "cdi.k8s.io/gpu",
                "io.kubernetes.cri-o.Devices", "vault.hashicorp.com/agent-inject",
            ],
            CHOOSES,
        ),
        **dict.fromkeys(["", "/", "a/b/", "-x", "x" * 64, "Example.com/x", "a b", "*", "example.com/it's"], NO_KEY),
    },
    "labels": {
        **dict.fromkeys(
            [
                "app.kubernetes.io/", "app.kubernetes.io/name", "app.kubernetes.io/instance", "sparksweep.dev/",
                "sparksweep.dev/role", "spark-role", "app", "k8s-app", "azure.workload.identity/use",
            ],
            CHOOSES,
        ),
        **dict.fromkeys(["", "/", "*", "a b"], NO_KEY),
    },
}  # fmt: skip
"""By value of `admissionPolicy`: entries that would undo what the policies promise, and why the chart refuses them."""

ACCEPTED_ENTRIES = {
    "tokenAudiences": [
        "sts.amazonaws.com", "pods.eks.amazonaws.com", "api://AzureADTokenExchange", "sts.cn-north-1.amazonaws.com.cn",
        "vault", "https://vault.example:8200", "p.svc.id.goog", "https://api.example.com", "spiffe://example.org",
        "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
    ],
    "annotations": [
        "kubernetes.io/limit-ranger", "kubernetes.io/psp", "openshift.io/scc", "security.openshift.io/",
        "autopilot.gke.io/", "example.org/", "example.org/Cost_Center", "note",
    ],
    "labels": ["team", "application", "example.org/", "example.org/cost-center", "security.istio.io/tlsMode"],
}  # fmt: skip
"""By value of `admissionPolicy`: entries of other plug-ins."""
