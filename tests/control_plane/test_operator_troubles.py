"""The status shows what keeps an Experiment from running, in Kubernetes' own words, until it is over."""

from __future__ import annotations

import time
from typing import Any

import pytest

from support.control_plane.lab import EXPERIMENT_LABEL, ROLE, Lab, experiment, running

USERS = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"mine": "precious"}}


def quota(pods: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small"},
        "spec": {"hard": {"pods": str(pods)}},
    }


def set_quota(lab: Lab, pods: int) -> None:
    lab.api.create("resourcequotas", quota(pods))
    lab.wait(
        lambda: lab.api.get("resourcequotas", "small").get("status", {}).get("hard"),
        "the quota counts",
    )


def test_the_status_quotes_a_used_up_quota_until_there_is_room(lab: Lab) -> None:
    set_quota(lab, 0)
    lab.create()
    lab.wait_for_condition(
        "Running", "False", reason="WaitingForDriver", message="exceeded quota: small"
    )
    assert lab.status()["state"] == "Pending"
    # It is retried at intervals, not constantly.
    since, began = lab.cluster.audit_size(), time.monotonic()
    lab.wait(lambda: time.monotonic() - began > 5, "some time passes")
    writes = lab.writes(since=since)
    # Its own status triggers a reconcile; the four writes of a retry wait until ten seconds after the last.
    assert len(writes) <= 5, [(item["verb"], item["requestURI"]) for item in writes]
    lab.api.delete("resourcequotas", "small")
    lab.wait_for_driver()
    lab.wait_for_condition("Running", "False", message="The driver is waiting: ")


def test_the_status_names_a_missing_service_account_until_it_exists(lab: Lab) -> None:
    lab.api.delete("serviceaccounts", "sparksweep-driver")
    lab.create()
    lab.wait_for_condition(
        "Running", "False", message='serviceaccount "sparksweep-driver" not found'
    )
    account = {"apiVersion": "v1", "kind": "ServiceAccount"}
    lab.api.create("serviceaccounts", account | {"metadata": {"name": "sparksweep-driver"}})
    lab.wait_for_driver()


@pytest.mark.parametrize("name", ["digits-code", "digits-driver"])
def test_a_config_map_of_the_users_is_left_alone(lab: Lab, name: str) -> None:
    lab.api.create("configmaps", USERS | {"metadata": {"name": name}})
    lab.create()
    condition = lab.wait_for_condition("Running", "False", message=f"ConfigMap {name} exists")
    assert "does not belong to this Experiment" in condition["message"]
    assert lab.api.get("configmaps", name)["data"] == {"mine": "precious"}
    assert not lab.drivers()
    lab.api.delete("configmaps", name)
    lab.wait_for_driver()


def test_a_driver_whose_image_is_missing_says_so(lab: Lab) -> None:
    lab.create()
    lab.wait_for_driver()
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "none"'}
    container = {
        "name": "driver",
        "state": {"waiting": waiting},
        "ready": False,
        "restartCount": 0,
        "image": "none",
        "imageID": "",
    }
    status = {
        "conditions": [{"type": "PodScheduled", "status": "True"}],
        "containerStatuses": [container],
    }
    lab.api.patch("pods", "digits-driver-0", {"status": status}, "status")
    lab.wait_for_condition(
        "Running", "False", message='ImagePullBackOff: Back-off pulling image "none"'
    )


def executor_pod(lab: Lab, number: int) -> dict[str, Any]:
    """As Spark makes it; no node is large enough for it."""
    driver = lab.api.get("pods", "digits-driver-0")["metadata"]
    owner = {"apiVersion": "v1", "kind": "Pod", "name": driver["name"], "uid": driver["uid"]}
    container = {
        "name": "executor",
        "image": "none",
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"digits-0-exec-{number}",
            "labels": {EXPERIMENT_LABEL: "digits", ROLE: "executor"},
            "ownerReferences": [owner],
        },
        "spec": {"containers": [container], "nodeSelector": {"accelerator": "none"}},
    }


def test_executors_that_no_node_takes_say_so_and_go_with_their_driver(lab: Lab) -> None:
    lab.create()
    lab.wait_for_driver()
    lab.take_over()
    # By the driver's own rights.
    for number in (1, 2):
        lab.driver_api.create("pods", executor_pod(lab, number))
    condition = lab.wait_for_condition("Running", "False", reason="WaitingForExecutors", message="2 of 2 executors are waiting: ")  # fmt: skip
    assert "available" in condition["message"]
    lab.report(lab.batches()[0], [running(1)])
    lab.wait_for_condition("Running", "True", message="executors are waiting")
    lab.change(suspend=True)
    lab.wait(lambda: not lab.api.items("pods"), "the executors are gone with the driver")


def test_executors_that_a_quota_refuses_say_so(lab: Lab) -> None:
    """Spark writes it to its log only. Nothing else is wrong, whatever the template has."""
    template = {
        "imagePullSecrets": [{"name": "pull"}],
        "resources": {"cpu": "500m", "memory": "1Gi", "gpu": {"count": 2}},
        "nodeSelector": {"accelerator": "nvidia-a100"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "topologyKey": "kubernetes.io/hostname",
                        "labelSelector": {"matchLabels": {"app": "noisy"}},
                    }
                ]
            }
        },
        "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "api"}}}],
        "volumes": [
            {"name": "data", "mountPath": "/data", "persistentVolumeClaim": {"claimName": "train"}},
            {"name": "keys", "mountPath": "/keys", "readOnly": True, "secret": {"secretName": "k"}},
            {"name": "shm", "mountPath": "/dev/shm", "emptyDir": {"medium": "Memory"}},
        ],
    }
    set_quota(lab, 1)
    lab.api.create("experiments", experiment(template=template))
    lab.wait_for_driver()
    lab.take_over()
    condition = lab.wait_for_condition("Running", "False", reason="WaitingForExecutors", message="exceeded quota: small")  # fmt: skip
    assert condition["message"].startswith("Executors can't be created: ")
    assert [item["metadata"]["name"] for item in lab.api.items("pods")] == ["digits-driver-0"]


def test_every_pod_is_taken_where_only_the_restricted_profile_is_allowed(lab: Lab) -> None:
    lab.kubectl("label", "namespace", lab.name, "pod-security.kubernetes.io/enforce=restricted")
    lab.create()
    lab.wait_for_driver()
    lab.take_over()
    # For longer than the probe waits, no refusal is reported.
    began = time.monotonic()
    lab.wait(lambda: time.monotonic() - began > 1 and lab.drivers(), "the driver stays")
    assert "can't be created" not in lab.condition("Running")["message"]
