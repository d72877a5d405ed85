"""Objects, namespaces, rights, the log of requests, and faults of an API server, as tests use them."""

from __future__ import annotations

import pytest

from cluster.client import Cluster, KubectlError
from cluster.shell import wait_until

pytestmark = pytest.mark.control_plane


def config_map(name: str, **data: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_what_is_applied_is_there_in_its_namespace_alone(
    control_plane: Cluster, namespace: str
) -> None:
    control_plane.apply([config_map("one", a="1"), config_map("two")], namespace)
    assert control_plane.get("configmap", "one", namespace)["data"] == {"a": "1"}
    with pytest.raises(KubectlError, match=r'kubectl get configmap one .*: .* "one" not found'):
        control_plane.get("configmap", "one", "default")
    names = {item["metadata"]["name"] for item in control_plane.items("configmap", namespace)}
    assert {"one", "two"} <= names


def test_requests_are_in_the_audit_log_once_each(control_plane: Cluster, namespace: str) -> None:
    before = control_plane.audit_size()
    control_plane.apply(config_map("counted"), namespace)
    (write,) = [
        entry
        for entry in control_plane.audit(before)
        if entry["verb"] in ("create", "update", "patch")
        and entry.get("objectRef", {}).get("namespace") == namespace
    ]
    assert write["verb"] == "create"
    assert write["objectRef"]["resource"] == "configmaps"
    assert write["responseStatus"]["code"] == 201
    assert write["stage"] == "ResponseComplete"


def test_a_service_account_has_only_the_rights_it_was_given(
    control_plane: Cluster, namespace: str
) -> None:
    control_plane.kubectl("create", "serviceaccount", "reader", "-n", namespace)
    control_plane.kubectl("create", "role", "reader", "-n", namespace, "--verb=get,list", "--resource=configmaps")  # fmt: skip
    control_plane.kubectl("create", "rolebinding", "reader", "-n", namespace, "--role=reader", f"--serviceaccount={namespace}:reader")  # fmt: skip
    reader = Cluster(control_plane.kubeconfig_as("reader", namespace), control_plane.layout)
    assert reader.items("configmap", namespace)
    with pytest.raises(KubectlError, match="forbidden"):
        reader.items("secret", namespace)


@pytest.mark.parametrize("size", ["1", "0"])
def test_a_quota_refuses_what_is_too_much(
    size: str, control_plane: Cluster, namespace: str
) -> None:
    control_plane.kubectl("create", "quota", "q", "-n", namespace, f"--hard=pods={size}")
    wait_until(
        lambda: "hard" in control_plane.get("quota", "q", namespace).get("status", {}),
        "the quota is counted",
        20,
    )
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "pod"},
        "spec": {"containers": [{"name": "it", "image": "none:1"}]},
    }
    if size == "0":
        with pytest.raises(KubectlError, match="exceeded quota: q"):
            control_plane.apply(pod, namespace)
    else:
        control_plane.apply(pod, namespace)
        assert control_plane.get("pod", "pod", namespace)["status"]["phase"] == "Pending"


def test_what_is_owned_goes_with_its_owner(control_plane: Cluster, namespace: str) -> None:
    control_plane.apply(config_map("owner"), namespace)
    uid = control_plane.get("configmap", "owner", namespace)["metadata"]["uid"]
    owned = config_map("owned")
    owned["metadata"] = {
        "name": "owned",
        "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}],
    }
    control_plane.apply(owned, namespace)
    control_plane.kubectl("delete", "configmap", "owner", "-n", namespace)
    left = {"kube-root-ca.crt"}
    wait_until(
        lambda: (
            {item["metadata"]["name"] for item in control_plane.items("configmap", namespace)}
            == left
        ),
        "what it owned is gone",
        30,
    )


def test_a_killed_api_server_comes_back_with_everything(
    control_plane: Cluster, namespace: str
) -> None:
    control_plane.apply(config_map("kept", a="1"), namespace)
    with control_plane.faults.killed("apiserver"), pytest.raises(KubectlError, match="refused"):
        control_plane.get("configmap", "kept", namespace)
    assert control_plane.get("configmap", "kept", namespace)["data"] == {"a": "1"}


def test_a_frozen_api_server_does_not_answer_until_it_goes_on(
    control_plane: Cluster, namespace: str
) -> None:
    with control_plane.faults.frozen("apiserver"), pytest.raises(KubectlError, match="not within"):
        control_plane.kubectl("get", "namespace", namespace, timeout_s=2)
    assert control_plane.get("namespace", namespace)["status"]["phase"] == "Active"


def test_the_status_names_what_was_killed_on_purpose(control_plane: Cluster) -> None:
    rig = control_plane.rig
    with control_plane.faults.killed("scheduler"):
        assert "scheduler killed" in rig.status()
        assert rig.is_up()
    assert "scheduler up" in rig.status()
