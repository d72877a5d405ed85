"""The operator has the rights of its installation, and needs no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cluster.client import Cluster
from cluster.helm import Helm
from support.control_plane.kube_api import Refused
from support.control_plane.lab import Lab, now
from support.control_plane.operator_processes import OperatorProcess

OPERATOR = "sparksweep-operator"


def rights(rules: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(verb, kind) for rule in rules for kind in rule["resources"] for verb in rule["verbs"]}


def test_for_one_namespace_no_right_outside_of_it_is_needed_and_every_right_inside_is(
    control_plane: Cluster, helm: Helm, bare_lab: Lab, tmp_path: Path
) -> None:
    lab = bare_lab
    values = {"watchNamespaces": [lab.name]}
    (role, binding) = helm.template(namespace=lab.name, only="operator-rbac.yaml", values=values)
    (account,) = helm.template(namespace=lab.name, only="serviceaccount.yaml")
    assert {item["kind"] for item in (role, binding)} == {"Role", "RoleBinding"}
    control_plane.apply([account, role, binding])
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
    # One is asked for when nothing has been heard for a minute, the other by an admission plug-in that is off here.
    seldom = {("get", "experiments"), ("update", "experiments/finalizers")}
    assert used <= rights(role["rules"])
    assert rights(role["rules"]) - used <= seldom


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
