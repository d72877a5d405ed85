"""Each role and account x each kind x each verb, as the API server decides it: what is not in the table is denied."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.client import Cluster, KubectlError
from cluster.helm import Helm
from support.control_plane.kube_api import KubeApi
from support.control_plane.lab import Lab

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
READ = {"get", "list", "watch"}
ALL = set(VERBS)
CHANGE = ALL - READ

GROUPS: dict[str, tuple[str, ...]] = {
    "sparksweep.dev": (
        "experiments", "experiments/status", "experiments/finalizers", "trialbatches", "trialbatches/status",
    ),
    "": (
        "pods", "pods/log", "pods/status", "pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "pods/eviction",
        "pods/ephemeralcontainers", "pods/resize", "pods/binding", "configmaps", "secrets", "services", "services/proxy",
        "services/status", "endpoints", "serviceaccounts", "serviceaccounts/token", "persistentvolumeclaims",
        "persistentvolumes", "events", "resourcequotas", "limitranges", "namespaces", "nodes", "nodes/proxy",
        "podtemplates", "replicationcontrollers",
    ),
    "apps": ("deployments", "statefulsets", "daemonsets", "replicasets"),
    "batch": ("jobs", "cronjobs"),
    "rbac.authorization.k8s.io": ("roles", "rolebindings", "clusterroles", "clusterrolebindings"),
    "networking.k8s.io": ("networkpolicies", "ingresses"),
    "admissionregistration.k8s.io": (
        "validatingadmissionpolicies", "validatingadmissionpolicybindings", "validatingwebhookconfigurations",
        "mutatingwebhookconfigurations",
    ),
    "apiextensions.k8s.io": ("customresourcedefinitions",),
    "certificates.k8s.io": ("certificatesigningrequests",),
    "coordination.k8s.io": ("leases",),
    "events.k8s.io": ("events",),
    "storage.k8s.io": ("storageclasses",),
}  # fmt: skip
"""Kinds by API group."""

GATEWAY = "sparksweep-viewer-0"
OTHER = "digits-driver-0"

Table = dict[str, set[str]]
"""Allowed verbs by kind, `group/kind` where the group is none of the first two."""

VIEW: Table = {
    "experiments": READ, "trialbatches": READ, "pods": READ, "pods/log": READ, "events": READ,
}  # fmt: skip
EDIT: Table = {**VIEW, "experiments": ALL}

OPERATOR: Table = {
    "experiments": READ | {"delete"},
    "experiments/status": {"patch"},
    "experiments/finalizers": {"update"},
    "trialbatches": {"list", "watch", "create", "patch"},
    "pods": {"list", "watch", "create", "delete"},
    "configmaps": {"create"},
    "secrets": {"create"},
    "services": {"get", "create"},
    "events": {"create"},
}
DRIVER: Table = {
    "trialbatches": READ,
    "trialbatches/status": {"patch"},
    "pods": READ | {"create", "patch", "delete", "deletecollection"},
}
VIEWER: Table = {"experiments": {"get"}, "pods": {"list"}, "pods/portforward": {"get", "create"}}

OURS = {
    "sparksweep-view": VIEW, "sparksweep-edit": EDIT, "sparksweep-operator": OPERATOR, "sparksweep-driver": DRIVER,
    "sparksweep-viewer": VIEWER,
}  # fmt: skip


class Reviews:
    """SubjectAccessReviews in one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._api = KubeApi(cluster.kubeconfig, namespace)
        self._namespace = namespace

    def close(self) -> None:
        self._api.close()

    def may(self, user: str, verb: str, group: str, kind: str, name: str = "", namespace: str | None = None) -> bool:  # fmt: skip
        resource, _, subresource = kind.partition("/")
        attributes = {
            "namespace": self._namespace if namespace is None else namespace,
            "verb": verb, "group": group, "resource": resource, "subresource": subresource, "name": name,
        }  # fmt: skip
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user,
                "groups": ["system:authenticated"],
                "resourceAttributes": attributes,
            },
        }
        answer = self._api._request(
            "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body
        )
        return bool(answer["status"]["allowed"])

    def table(self, user: str, name: str = "", namespace: str | None = None) -> Table:
        """Return the verbs that the user may use, by kind."""
        found: Table = {}
        for group, kinds in GROUPS.items():
            for kind in kinds:
                verbs = {
                    verb for verb in VERBS if self.may(user, verb, group, kind, name, namespace)
                }
                if verbs:
                    key = kind if group in ("", "sparksweep.dev") else f"{group}/{kind}"
                    found[key] = verbs
        return found


@pytest.fixture(scope="module")
def subjects(control_plane: Cluster, helm: Helm, crds: None) -> Iterator[dict[str, str]]:
    """Install the chart's rights for one namespace, and bind every role; return the users by role, and `namespace`."""
    namespace = control_plane.namespace("matrix")
    users = {role: f"{role}-{secrets.token_hex(3)}" for role in ("sparksweep-view", "sparksweep-edit", "view", "edit", "admin")}  # fmt: skip
    values = {"watchNamespaces": [namespace]}
    made = []
    for template in (
        "user-roles.yaml",
        "operator-rbac.yaml",
        "driver-rbac.yaml",
        "viewer.yaml",
        "serviceaccount.yaml",
    ):
        objects = helm.template(namespace=namespace, only=template, values=values)
        made += [it for it in objects if it["kind"] == "ClusterRole"]
        control_plane.apply([it for it in objects if it["kind"] != "StatefulSet"])
    for role, user in users.items():
        control_plane.kubectl("-n", namespace, "create", "rolebinding", user, f"--clusterrole={role}", f"--user={user}")  # fmt: skip
    for account in ("operator", "driver", "viewer"):
        users[f"sparksweep-{account}"] = f"system:serviceaccount:{namespace}:sparksweep-{account}"
    yield {**users, "namespace": namespace}
    for item in made:
        control_plane.kubectl("delete", "clusterrole", item["metadata"]["name"], "--wait=false")
    control_plane.delete_namespace(namespace)


@pytest.fixture
def reviews(control_plane: Cluster, subjects: dict[str, str]) -> Iterator[Reviews]:
    reviews = Reviews(control_plane, subjects["namespace"])
    yield reviews
    reviews.close()


@pytest.mark.parametrize("role", OURS)
def test_a_role_of_ours_has_exactly_its_table(
    role: str, subjects: dict[str, str], reviews: Reviews
) -> None:
    assert reviews.table(subjects[role]) == OURS[role]
    # Names change nothing, but for the one pod that the role of editors names.
    assert reviews.table(subjects[role], name=OTHER) == OURS[role]
    gateway = {"pods/portforward": {"get", "create"}} if role == "sparksweep-edit" else {}
    assert reviews.table(subjects[role], name=GATEWAY) == {**OURS[role], **gateway}


@pytest.mark.parametrize("role", OURS)
def test_a_role_of_ours_has_no_right_in_another_namespace_nor_on_the_cluster(
    role: str, subjects: dict[str, str], reviews: Reviews
) -> None:
    for namespace in ("default", "kube-system", ""):
        assert reviews.table(subjects[role], name=GATEWAY, namespace=namespace) == {}


@pytest.mark.parametrize(("role", "experiments"), [("view", READ), ("edit", ALL), ("admin", ALL)])
def test_a_role_of_kubernetes_gains_by_aggregation_what_ours_has_and_nothing_else(
    role: str, experiments: set[str], subjects: dict[str, str], reviews: Reviews, lab: Lab
) -> None:
    def whole() -> bool:
        return reviews.may(subjects[role], "get", "sparksweep.dev", "experiments")

    lab.wait(whole, "the roles are aggregated")
    found = reviews.table(subjects[role], name=GATEWAY)
    ours = {kind: verbs for kind, verbs in found.items() if kind in GROUPS["sparksweep.dev"]}
    assert ours == {"experiments": experiments, "trialbatches": READ}
    own = KUBERNETES_OWN[role]
    assert {kind: found.get(kind, set()) for kind in own} == own


KUBERNETES_OWN: dict[str, Table] = {
    "view": {
        "secrets": set(), "pods": READ, "pods/log": READ, "pods/portforward": set(), "pods/exec": set(),
        "pods/attach": set(), "pods/proxy": set(), "configmaps": READ, "services": READ, "services/proxy": set(),
        "serviceaccounts": READ, "serviceaccounts/token": set(), "rbac.authorization.k8s.io/roles": set(),
        "rbac.authorization.k8s.io/rolebindings": set(), "nodes": set(), "persistentvolumeclaims": READ,
        "admissionregistration.k8s.io/validatingadmissionpolicies": set(),
    },
    "edit": {
        "secrets": ALL, "pods": ALL, "pods/log": READ, "pods/portforward": ALL, "pods/exec": ALL, "pods/attach": ALL,
        "configmaps": ALL, "services": ALL, "serviceaccounts": ALL, "serviceaccounts/token": {"create"},
        "rbac.authorization.k8s.io/roles": set(), "rbac.authorization.k8s.io/rolebindings": set(), "nodes": set(),
        "persistentvolumeclaims": ALL, "admissionregistration.k8s.io/validatingadmissionpolicies": set(),
    },
    "admin": {
        "secrets": ALL, "pods": ALL, "pods/portforward": ALL, "configmaps": ALL, "serviceaccounts/token": {"create"},
        "rbac.authorization.k8s.io/roles": ALL, "rbac.authorization.k8s.io/rolebindings": ALL, "nodes": set(),
        "rbac.authorization.k8s.io/clusterroles": set(),
        "admissionregistration.k8s.io/validatingadmissionpolicies": set(),
    },
}  # fmt: skip
"""Rights of Kubernetes' own roles that tell them apart; ours must add none of them."""

CONFIG = (
    '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}, "data": {"a": "b"}}'
)

ATTEMPTS: list[tuple[str, ...]] = [
    ("get", "configmaps"), ("get", "configmap", "kube-root-ca.crt"), ("create", "configmap", "mine"),
    ("patch", "configmap", "kube-root-ca.crt", "--type=merge", "-p", "{}"),
    ("patch", "configmap", "kube-root-ca.crt", "--type=merge", "-p", '{"data": {"ca.crt": "x"}}'),
    ("delete", "configmap", "kube-root-ca.crt"), ("delete", "configmaps", "--all"), ("get", "secrets"),
    ("create", "secret", "generic", "mine"), ("delete", "pods", "--all"), ("delete", "pod", OTHER),
    ("patch", "pod", OTHER, "--type=merge", "-p", '{"metadata": {"labels": {"sparksweep.dev/role": "executor"}}}'),
    ("run", "mine", "--image=none"), ("exec", OTHER, "--", "true"), ("attach", OTHER),
    ("get", "--raw", f"/api/v1/namespaces/NAMESPACE/pods/{OTHER}/portforward?ports=7781"), ("get", "--raw", f"/api/v1/namespaces/NAMESPACE/pods/{OTHER}/proxy/"),
    ("create", "token", "sparksweep-driver"), ("create", "token", "default"), ("create", "serviceaccount", "mine"),
    ("create", "rolebinding", "mine", "--clusterrole=cluster-admin", "--user=me"),
    ("create", "role", "mine", "--verb=get", "--resource=secrets"), ("delete", "statefulset", "sparksweep-viewer"),
    ("patch", "swb", "digits-00000", "--type=merge", "-p", '{"spec": {"parallelTrialCount": 9}}'),
    ("patch", "swx", "digits", "--subresource=status", "--type=merge", "-p", '{"status": {"progress": "3/3"}}'),
    ("get", "nodes"), ("get", "services"), ("create", "service", "clusterip", "mine", "--tcp=80"),
]  # fmt: skip


def test_an_editors_real_requests_for_anything_else_are_refused_and_change_nothing(
    control_plane: Cluster, subjects: dict[str, str], lab: Lab
) -> None:
    user = f"editor-{secrets.token_hex(3)}"
    lab.kubectl(
        "create", "rolebinding", "editor", "--clusterrole=sparksweep-edit", f"--user={user}"
    )
    lab.create()
    lab.wait_for_driver()
    before = state(lab)
    for attempt in ATTEMPTS:
        words = [word.replace("NAMESPACE", lab.name) for word in attempt]
        with pytest.raises(KubectlError, match=r"[Ff]orbidden"):
            control_plane.kubectl("--as", user, "-n", lab.name, *words)
    after = state(lab)
    assert after == before


def state(lab: Lab) -> dict[str, Any]:
    """Return what the operator made and others own, by name, without what changes by itself."""
    return {
        f"{kind}/{item['metadata']['name']}": [item.get("spec"), item.get("data"), item["metadata"].get("labels")]
        for kind in ("configmaps", "secrets", "pods", "serviceaccounts", "services", "trialbatches")
        for item in lab.api.items(kind)
    }  # fmt: skip
