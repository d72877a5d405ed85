"""The status shows what keeps an Experiment from running, in Kubernetes' own words, until it is over."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import pytest

from sparksweep_core.api import limits
from support.control_plane.kube_api import Refused
from support.control_plane.lab import EXPERIMENT_LABEL, ROLE, Lab, experiment, now, running

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


def of_ours(lab: Lab) -> dict[str, dict[str, Any]]:
    """Return the operator's ConfigMaps by the part of their names that tells what they hold."""
    items = [
        it for it in lab.api.items("configmaps") if it["metadata"]["name"].startswith("digits")
    ]
    return {item["metadata"]["name"].split("-")[1]: item for item in items}


@pytest.mark.parametrize("part", ["code", "config"])
def test_a_config_map_that_others_replaced_is_left_alone_and_named_by_the_driver_that_refuses_it(
    lab: Lab, part: str
) -> None:
    lab.create()
    first = lab.wait_for_driver()
    lab.take_over()
    ours = of_ours(lab)[part]
    name = ours["metadata"]["name"]
    with pytest.raises(Refused, match="immutable"):
        lab.api.patch("configmaps", name, {"data": {"mine": "x"}})
    lab.api.delete("configmaps", name)
    lab.api.create("configmaps", USERS | {"metadata": {"name": name}})
    lab.api.delete("pods", first, gracePeriodSeconds=0)
    second = lab.wait_for_driver(number=1)
    assert lab.api.get("configmaps", name)["data"] == USERS["data"]
    # Nobody but the pod can tell: its environment has the hashes, and its last words are in the condition.
    words = (
        f"the driver can't start: driver.json of ConfigMap {name} is not what the operator wrote"
    )
    moment = "2026-01-01T00:00:00Z"
    end = {
        "reason": "Error",
        "exitCode": 78,
        "message": words,
        "startedAt": moment,
        "finishedAt": now(),
    }
    container = {
        "name": "driver", "state": {"terminated": end}, "ready": False, "restartCount": 0,
        "image": "none", "imageID": "",
    }  # fmt: skip
    status = {"phase": "Failed", "containerStatuses": [container]}
    since = lab.cluster.audit_size()
    lab.api.patch("pods", second, {"status": status}, "status")
    condition = lab.wait_for_condition("Running", "False", message=words)
    assert "another one is tried after 5 minutes" in condition["message"]
    began = time.monotonic()
    lab.wait(lambda: time.monotonic() - began > 3, "some time passes")
    assert lab.driver_names() == [second], "no loop"
    assert not [it for it in lab.writes(since=since) if it["objectRef"]["resource"] == "pods"]


def test_a_driver_of_an_older_operator_goes_on_and_its_config_map_goes_with_the_experiment(
    lab: Lab,
) -> None:
    created = lab.create()
    lab.wait_for_driver()
    lab.take_over()
    owner = {"apiVersion": created["apiVersion"], "kind": "Experiment", "name": "digits", "uid": created["metadata"]["uid"]}  # fmt: skip
    metadata = {"name": "digits-driver", "ownerReferences": [owner]}
    lab.api.create("configmaps", USERS | {"metadata": metadata})
    lab.play(most=1)
    lab.wait(lambda: lab.status()["progress"] == "1/3", "it goes on")
    assert lab.driver_names() == ["digits-driver-0"]
    lab.api.delete("experiments", "digits")
    lab.wait(lambda: not lab.left(), "nothing is left")


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


LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def of_size(bytes_: int, annotation: int = 0) -> dict[str, Any]:
    """Return an Experiment whose spec takes about so many bytes, and an annotation."""
    values = [f"{number:04d}".ljust(250, "x") for number in range(1000)]
    listed = [values] * (bytes_ // 253_000) + [values[: bytes_ % 253_000 // 253]]
    body = experiment(template={"function": None, "source": None, "command": ["python", "t.py"]})
    template = body["spec"]["trialTemplate"]
    body["spec"]["trialTemplate"] = {name: value for name, value in template.items() if value}
    body["spec"] |= {
        "algorithm": {"algorithmName": "random"},
        "maxTrialCount": 3,
        "parameters": [
            {"name": f"p{number}", "parameterType": "categorical", "feasibleSpace": {"list": items}}
            for number, items in enumerate(listed)
        ],
    }
    body["metadata"]["annotations"] = {LAST_APPLIED: "x" * annotation}
    return body


def test_a_spec_that_leaves_its_status_no_room_is_refused_at_once(lab: Lab) -> None:
    lab.api.create("experiments", of_size(1_500_000))
    condition = lab.wait_for_condition("Failed", reason="InvalidSpec", message="1,450,000 fit")
    assert condition["message"].startswith("spec: takes 1,5")
    assert lab.left() == ["experiments/digits"]


def test_a_status_that_the_api_server_refuses_is_an_event_and_keeps_no_other_waiting(
    lab: Lab,
) -> None:
    spec = len(json.dumps(of_size(1_400_000), separators=(",", ":")))
    # The largest that is stored: the API server adds metadata and defaults, some hundred bytes.
    for added in range(0, 4000, 200):
        room = limits.OBJECT_BYTES - spec - added
        with suppress(Refused):
            lab.api.create("experiments", of_size(1_400_000, annotation=room))
            break
    lab.wait(lambda: [one for one in lab.events() if one[0] == "StatusRefused"], "it is said")
    ((_, message),) = [one for one in lab.events() if one[0] == "StatusRefused"]
    assert "too large" in message
    lab.create(name="other")
    lab.wait(lambda: lab.status("other"), "the other one goes on")
    lab.kubectl("annotate", "swx", "digits", f"{LAST_APPLIED}-")
    lab.wait(lab.status, "it has a status")
