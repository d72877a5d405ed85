"""An installation's life: tested by Helm, upgraded in the middle of a run, narrowed to one namespace, and uninstalled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cluster.client import KubectlError
from cluster.helm import CHART, value_flags
from support.e2e.e2e_cluster import IMAGES, OPERATOR, RELEASE, SYSTEM, Installed, Namespace
from support.e2e.e2e_experiments import experiment, pausing

# They replace and remove the operator of all tests.
pytestmark = [pytest.mark.nodes, pytest.mark.alone]

KINDS = ("experiments.sparksweep.dev", "trialbatches.sparksweep.dev")


def names(installed: Installed, kind: str) -> set[str]:
    return {item["metadata"]["name"] for item in installed.cluster.items(kind)}


def uninstall(installed: Installed, namespace: Namespace) -> None:
    installed.helm.run("uninstall", RELEASE, *OPERATOR, "--wait")
    namespace.wait_for(lambda: not installed.operator_pods(), "the operator is gone")


def test_helm_s_own_test_sees_the_operator_work_and_leaves_nothing(installed: Installed) -> None:
    said = installed.helm.run("test", RELEASE, *OPERATOR, "--logs")
    assert "the operator reports SuspendedByUser" in said
    left = installed.kubectl(*OPERATOR, "get", "experiments.sparksweep.dev,pods,serviceaccounts")
    assert f"{RELEASE}-test" not in left


def test_an_upgrade_in_the_middle_of_a_run_loses_no_trial(
    installed: Installed, namespace: Namespace
) -> None:
    namespace.apply(experiment("upgraded", trials=30, source=pausing(1)))
    namespace.wait_for(lambda: namespace.ended("upgraded") >= 4, "four trials have ended")
    (before,) = installed.operator_pods()
    with namespace.watched("upgraded"):
        installed.upgrade({"logLevel": "debug", "driver.memory": "1100Mi"})
        assert namespace.ended("upgraded") < 28, "the upgrade came too late to be in the middle"
        namespace.wait_until_finished("upgraded")
    (after,) = installed.operator_pods()
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    namespace.assert_complete("upgraded", trials=30)
    assert {trial["attempt"] for trial in namespace.trials("upgraded").values()} == {1}
    (driver,) = [batch["status"]["driver"] for batch in namespace.items("trialbatches")]
    assert driver == "upgraded-driver-0", "the driver ran on"
    installed.upgrade()


def test_an_operator_for_one_namespace_runs_experiments_there_and_looks_nowhere_else(
    installed: Installed, make_namespace: Callable[[], Namespace]
) -> None:
    mine, other = make_namespace(), make_namespace()
    # What the operator for all namespaces has there would belong to two.
    for kind in ("serviceaccount", "rolebinding"):
        mine.kubectl("delete", kind, "sparksweep-driver")
    values: dict[str, Any] = {"watchNamespaces": [mine.name], "crds.enabled": False, **IMAGES}
    values["rbac.userRoles.create"] = False
    where = ("--namespace", mine.name)
    installed.scale_operator(0)
    try:
        installed.helm.run("install", "narrow", str(CHART), *where, "--wait", *value_flags(values))
        assert "SuspendedByUser" in installed.helm.run("test", "narrow", *where, "--logs")
        for namespace in (other, mine):
            namespace.apply(experiment("narrow", trials=2, parallel=1))
        mine.wait_until_finished("narrow")
        mine.assert_complete("narrow", trials=2)
        assert other.status("narrow") == {}
        other.kubectl("delete", "swx", "narrow", "--wait=false")
        installed.helm.run("uninstall", "narrow", *where, "--wait")
        assert mine.status("narrow")["state"] == "Complete"
        for kind in ("deployments", "roles", "rolebindings"):
            assert mine.items(kind) == []
    finally:
        installed.scale_operator(1)


def test_uninstalled_the_chart_leaves_experiments_or_takes_them_as_its_values_say(
    installed: Installed, namespace: Namespace
) -> None:
    namespace.apply(experiment("kept", trials=2, parallel=1))
    namespace.wait_until_finished("kept")
    status = namespace.status("kept")
    try:
        uninstall(installed, namespace)
        assert not [name for name in names(installed, "clusterroles") if name.startswith(RELEASE)]
        assert set(KINDS) <= names(installed, "customresourcedefinitions")
        assert namespace.status("kept") == status
        assert len(namespace.trials("kept")) == 2

        installed.upgrade({"crds.keep": False})
        assert "SuspendedByUser" in installed.helm.run("test", RELEASE, *OPERATOR, "--logs")
        assert namespace.status("kept") == status, "what has ended is left alone"

        uninstall(installed, namespace)
        namespace.wait_for(
            lambda: not set(KINDS) & names(installed, "customresourcedefinitions"),
            "the kinds are gone",
        )
        with pytest.raises(KubectlError, match="doesn't have a resource type"):
            namespace.kubectl("get", "experiments.sparksweep.dev")
        namespace.wait_for(lambda: not namespace.items("pods"), "and with them all pods")
    finally:
        installed.install()
    assert "restricted" in installed.kubectl("get", "namespace", SYSTEM, "-o", "yaml")
