"""What the operator may do is what it is installed with, and it needs no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from kube_api import Refused
from lab import INSTALL, Lab, now
from operator_processes import OperatorProcess

from cluster.client import Cluster

OPERATOR = "sparksweep-operator"


def documents(name: str, namespace: str) -> dict[str, dict[str, Any]]:
    """The objects of an installation by their kinds."""
    text = (INSTALL / name).read_text().replace("NAMESPACE", namespace)
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


def rights(rules: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(verb, kind) for rule in rules for kind in rule["resources"] for verb in rule["verbs"]}


def test_in_one_namespace_and_in_all_of_them_the_rights_are_the_same() -> None:
    one, everywhere = documents("operator-namespaced.yaml", "lab"), documents("operator.yaml", "")
    assert one["Role"]["rules"] == everywhere["ClusterRole"]["rules"]
    assert not {"ClusterRole", "ClusterRoleBinding"} & set(one)
    kinds = {kind for _, kind in rights(one["Role"]["rules"])}
    assert not {"*", "secrets", "roles", "pods/exec"} & kinds


def test_for_one_namespace_no_right_outside_of_it_is_needed_and_every_right_inside_is(
    control_plane: Cluster, bare_lab: Lab, tmp_path: Path
) -> None:
    lab = bare_lab
    installed = documents("operator-namespaced.yaml", lab.name)
    control_plane.apply([item for kind, item in installed.items() if kind != "Deployment"])
    kubeconfig = control_plane.kubeconfig_as(OPERATOR, lab.name)
    operator = OperatorProcess(kubeconfig, tmp_path / "log", [lab.name])
    since = control_plane.audit_size()
    operator.start()
    try:
        lab.create(trials=4, ttlSecondsAfterFinished=1)
        lab.wait_for_driver()
        lab.take_over()
        lab.play(most=2)
        lab.wait(lambda: lab.status()["progress"] == "2/4", "two are counted")
        lab.change(parallelTrialCount=1)
        lab.wait(lambda: lab.batches()[0]["spec"]["parallelTrialCount"] == 1, "the batch says 1")
        lab.api.delete("pods", "digits-driver-0", gracePeriodSeconds=0)
        lab.wait_for_driver(number=1)
        lab.wait(lambda: not lab.play() and not lab.left(), "it ends, and nothing is left")
        assert operator.stop() == 0
    finally:
        operator.kill()
    assert operator.troubles() == []
    user = f"system:serviceaccount:{lab.name}:{OPERATOR}"
    asked = [item for item in control_plane.audit(since) if item["user"]["username"] == user]
    refused = [item["requestURI"] for item in asked if item["responseStatus"]["code"] in (401, 403)]
    assert refused == []
    used = set()
    for item in asked:
        reference = item.get("objectRef")
        if reference is None:
            assert item["requestURI"].partition("?")[0].startswith(("/api", "/version"))
            continue
        assert reference["namespace"] == lab.name, item["requestURI"]
        parts = (reference["resource"], reference.get("subresource"))
        used.add((item["verb"], "/".join(part for part in parts if part)))
    # These are asked for by kopf and kubectl's kind, or only when something was lost.
    seldom = {("get", "trialbatches"), ("get", "experiments"), ("get", "experiments/status"), ("get", "pods")}  # fmt: skip
    assert rights(installed["Role"]["rules"]) - seldom == used - seldom


def test_the_driver_may_write_what_became_of_trials_and_nothing_else_of_ours(lab: Lab) -> None:
    lab.create()
    lab.wait_for_driver()
    name = lab.batches()[0]["metadata"]["name"]
    lab.take_over()
    for kind, body in (
        ("experiments", {"spec": {"suspend": True}}),
        ("trialbatches", {"spec": {"stop": {"reason": "GoalReached"}}}),
    ):
        with pytest.raises(Refused, match="403"):
            lab.driver_api.patch(kind, name if kind == "trialbatches" else "digits", body)
    with pytest.raises(Refused, match="403"):
        lab.driver_api.patch("experiments", "digits", {"status": {"startTime": now()}}, "status")
    for kind in ("secrets", "configmaps", "serviceaccounts"):
        with pytest.raises(Refused, match="403"):
            lab.driver_api.items(kind)
