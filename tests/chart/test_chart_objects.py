"""The chart's objects for every switch: the API server accepts them, they are safe, and their rights are minimal."""

from __future__ import annotations

import json
import re
import secrets
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.client import Cluster
from cluster.helm import CHART, Helm, HelmError, value_flags
from sparksweep_core.contract import ports
from sparksweep_core.contract.environment import PREFIX
from sparksweep_core.contract.gateway import GATEWAY_NAME, GATEWAY_POD
from sparksweep_core.contract.labels import PART_OF_LABEL, ROLE_LABEL
from sparksweep_core.contract.names import SPARK_SECRET_NAME
from sparksweep_core.validation.document import parse_experiment
from sparksweep_operator.manifests import driver_pod, executor_pod
from sparksweep_operator.manifests.driver_pod import LOST_AFTER_S
from sparksweep_operator.settings import Settings
from support.chart_values import (
    ACCEPTED_ENTRIES,
    DIGEST,
    IMAGE,
    REFUSED,
    REFUSED_ENTRIES,
    SIZES,
    switches,
)
from support.operator.operator_objects import experiment_body
from support.operator.pod_security import violations

pytestmark = pytest.mark.usefixtures("control_plane")

Document = dict[str, Any]

ROOT = Path(__file__).parents[2]
EXPERIMENT = {
    "apiVersion": "sparksweep.dev/v1alpha1",
    "kind": "Experiment",
    "metadata": {"name": "digits", "namespace": "one", "uid": "u"},
    "spec": {
        "algorithm": {"algorithmName": "grid"},
        "parameters": [
            {"name": "x", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "2"}}
        ],
        "trialTemplate": {"function": "train:training"},
    },
}
CLUSTER_WIDE = {
    "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition",
    "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
}  # fmt: skip


def kinds(objects: list[Document]) -> set[str]:
    return {item["kind"] for item in objects}


def only(objects: list[Document], kind: str, name: str = "") -> Document:
    found = [item for item in objects if item["kind"] == kind and name in item["metadata"]["name"]]
    assert len(found) == 1, [item["metadata"]["name"] for item in objects if item["kind"] == kind]
    return found[0]


def container(objects: list[Document]) -> Document:
    item: Document = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    return item


def environment(objects: list[Document]) -> dict[str, str]:
    return {item["name"]: item["value"] for item in container(objects)["env"]}


def notes_after_installation(helm: Helm, values: Document) -> str:
    return helm.run("install", "sparksweep", str(CHART), "--dry-run=client", *value_flags(values))


def rules(objects: list[Document]) -> list[Document]:
    return [rule for item in objects if item["kind"].endswith("Role") for rule in item["rules"]]


# ---------------------------------------------------------------------- every switch


@pytest.mark.parametrize("switch", switches("one", "other"))
def test_the_api_server_takes_everything_and_every_pod_is_restricted(
    switch: str,
    helm: Helm,
    control_plane: Cluster,
    namespaces: tuple[str, str],
    prometheus_kinds: None,
) -> None:
    values = switches(*namespaces)[switch]
    objects = helm.template(namespace=namespaces[0], values=values)
    # A pod is taken only where its account is: the operator's is made later, by a controller.
    pods = [item for item in objects if item["kind"] == "Pod"]
    accounts = [item for item in objects if item["kind"] == "ServiceAccount"]
    control_plane.apply(accounts)
    control_plane.kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--filename", "-",
        input=yaml.safe_dump_all(objects), timeout_s=120,
    )  # fmt: skip
    workloads = [item for item in objects if item["kind"] in ("Deployment", "StatefulSet")]
    pods += [item["spec"]["template"] for item in workloads]
    assert [violations(pod) for pod in pods] == [[]] * len(pods)
    for item in objects:
        if item["kind"] not in CLUSTER_WIDE:
            assert item["metadata"]["namespace"] in namespaces, item["kind"]
        assert item["metadata"]["labels"]["app.kubernetes.io/instance"] == "sparksweep"


@pytest.mark.parametrize("switch", switches("one", "other"))
def test_no_rule_has_a_wildcard_or_gives_what_nobody_needs(switch: str, helm: Helm) -> None:
    objects = helm.template(values=switches("one", "other")[switch])
    for rule in rules(objects):
        assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]], rule
        assert set(rule["apiGroups"]) <= {"", "sparksweep.dev"}, rule
        if "secrets" in rule["resources"]:
            # The operator makes Spark's secret, which it can't read back.
            assert (rule["resources"], rule["verbs"]) == (["secrets"], ["create"])
        forbidden = {"pods/exec", "pods/attach", "serviceaccounts", "nodes"}
        assert not forbidden & set(rule["resources"]), rule
        assert not {"bind", "escalate", "impersonate"} & set(rule["verbs"]), rule


@pytest.mark.parametrize(("values", "place"), REFUSED, ids=lambda item: json.dumps(item)[:40])
def test_values_that_make_no_sense_are_refused_with_their_place(
    values: Document, place: str, helm: Helm
) -> None:
    with pytest.raises(HelmError, match=re.escape(place)):
        helm.template(values=values)


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_containers_that_are_large_enough_are_accepted(
    name: str, size: str | int, helm: Helm
) -> None:
    assert helm.template(only="deployment.yaml", values={f"driver.{name}": size})


def test_helm_finds_nothing_to_complain_about(helm: Helm) -> None:
    assert "0 chart(s) failed" in helm.run("lint", "--strict", str(CHART))


# ---------------------------------------------------------------------- rights


def test_for_some_namespaces_no_right_is_given_outside_of_them(helm: Helm) -> None:
    everywhere = helm.template()
    objects = helm.template(values={"watchNamespaces": ["one", "other"]})
    whole = {item["metadata"]["name"] for item in objects if item["kind"].startswith("ClusterRole")}
    assert whole == {"sparksweep-view", "sparksweep-edit"}, "roles without bindings"
    bare = {"watchNamespaces": ["one"], "crds.enabled": False, "rbac.userRoles.create": False, "admissionPolicy.enabled": False}  # fmt: skip
    assert not CLUSTER_WIDE & kinds(helm.template(values=bare))
    for part in ("operator", "driver"):
        wide = only(everywhere, "ClusterRole", f"sparksweep-{part}")
        narrow = [item for item in objects if item["kind"] == "Role" and part in item["metadata"]["name"]]  # fmt: skip
        assert [item["rules"] for item in narrow] == [wide["rules"]] * 2
        assert {item["metadata"]["namespace"] for item in narrow} == {"one", "other"}
    assert [word for word in container(objects)["args"] if "namespace" in word] == [
        "--namespace=one", "--namespace=other",
    ]  # fmt: skip


def test_an_operator_for_all_namespaces_binds_drivers_only_where_it_is_told_to(helm: Helm) -> None:
    objects = helm.template(values={"driver.namespaces": ["one"]})
    bindings = [item for item in objects if item["kind"] == "RoleBinding" and item["roleRef"]["name"] == "sparksweep-driver"]  # fmt: skip
    assert [item["metadata"]["namespace"] for item in bindings] == ["one"]
    assert bindings[0]["roleRef"]["kind"] == "ClusterRole"
    assert bindings[0]["subjects"] == [
        {"kind": "ServiceAccount", "name": "sparksweep-driver", "namespace": "one"}
    ]


def test_upgrades_between_some_and_all_namespaces_change_no_immutable_field(helm: Helm) -> None:
    choices: list[Document] = [
        {"driver.namespaces": ["one", "other"]},
        {"watchNamespaces": ["one", "other"]},
        {"watchNamespaces": ["one"], "driver.namespaces": ["other"]},
    ]
    immutable: dict[tuple[str, str, str], list[Document]] = {}
    for item in [item for values in choices for item in helm.template(values=values)]:
        selector = item.get("spec", {}).get("selector")
        if (fixed := item.get("roleRef", selector)) is not None:
            metadata = item["metadata"]
            place = (item["kind"], metadata.get("namespace", ""), metadata["name"])
            immutable.setdefault(place, []).append(fixed)
    assert {place[0] for place in immutable} >= {"RoleBinding", "ClusterRoleBinding", "Deployment"}
    for place, fields_of_place in immutable.items():
        assert [field for field in fields_of_place if field != fields_of_place[0]] == [], place


@pytest.mark.parametrize("annotations", [None, [], ["example.org/"]], ids=json.dumps)
def test_a_list_of_annotations_of_ones_own_keeps_those_of_limit_ranges(
    annotations: list[str] | None, helm: Helm
) -> None:
    values = {"admissionPolicy.annotations": annotations}
    policies = helm.template(only="admission-policy.yaml", values=values)
    (checked,) = [
        check["expression"]
        for policy in policies
        for check in policy["spec"].get("validations", ())
        if "admissionPolicy.annotations" in check.get("message", "")
    ]
    assert json.dumps(["kubernetes.io/limit-ranger", *(annotations or ())]).replace(" ", "") in (
        checked.replace(" ", "")
    )


def test_the_notes_name_namespaces_with_drivers_that_the_operator_does_not_watch(
    helm: Helm,
) -> None:
    notes = notes_after_installation(
        helm, {"watchNamespaces": ["one"], "driver.namespaces": ["one", "other"]}
    )
    assert "other has a service account for drivers, but this operator does not watch it" in notes
    assert "one has a service account" not in notes
    assert "does not watch" not in notes_after_installation(helm, {"driver.namespaces": ["other"]})


def test_the_gateway_runs_where_drivers_may_and_reaches_nothing_else(helm: Helm) -> None:
    objects = helm.template(values=switches("one", "other")["drivers in two namespaces"])
    gateways = [item for item in objects if item["kind"] == "StatefulSet"]
    assert [item["metadata"]["namespace"] for item in gateways] == ["one", "other"]
    for item in gateways:
        assert (item["metadata"]["name"], item["spec"]["replicas"]) == (GATEWAY_NAME, 1)
        template = item["spec"]["template"]
        assert (
            item["spec"]["selector"]["matchLabels"].items()
            <= template["metadata"]["labels"].items()
        )
        assert ROLE_LABEL not in template["metadata"]["labels"], (
            "no driver's or executor's policy holds for it"
        )
        assert template["spec"]["serviceAccountName"] == GATEWAY_NAME
        (gateway,) = template["spec"]["containers"]
        assert (
            f"'127.0.0.1', {ports.GATEWAY_PORT}" in gateway["startupProbe"]["exec"]["command"][-1]
        )
        assert gateway["command"] == ["python", "-m", "sparksweep_operator.gateway"]
        assert "ports" not in gateway, "it listens on the loopback address"
    roles = [item for item in objects if item["kind"] == "Role" and item["metadata"]["name"] == GATEWAY_NAME]  # fmt: skip
    assert [item["metadata"]["namespace"] for item in roles] == ["one", "other"]
    edit = only(objects, "ClusterRole", "sparksweep-edit")["rules"]
    forwards = [rule for rule in edit if "pods/portforward" in rule["resources"]]
    assert [rule["resourceNames"] for rule in forwards] == [[GATEWAY_POD]]
    assert not any("configmaps" in rule["resources"] for rule in edit)
    off = helm.template(values={"driver.namespaces": ["one"], "viewer.enabled": False})
    assert "StatefulSet" not in kinds(off)
    assert not [item for item in off if item["metadata"]["name"] == GATEWAY_NAME]
    assert "StatefulSet" not in kinds(helm.template()), "no namespace is named"


def test_the_sample_manifest_of_the_gateway_is_what_the_chart_makes(helm: Helm) -> None:
    sample = list(yaml.safe_load_all((ROOT / "docs" / "viewer-gateway.yaml").read_text()))
    made = helm.template(only="viewer.yaml", values={"driver.namespaces": ["namespace-here"]})
    for item in made:
        own = {
            "app.kubernetes.io/name",
            "app.kubernetes.io/instance",
            "app.kubernetes.io/component",
            PART_OF_LABEL,
        }
        for metadata in (
            item["metadata"],
            item["spec"]["template"]["metadata"] if "spec" in item else {},
        ):
            labels = metadata.get("labels", {})
            for label in set(labels) - own:
                del labels[label]
    assert sample == made


def test_users_roles_say_nothing_of_statuses_and_are_part_of_kubernetes_own(helm: Helm) -> None:
    objects = helm.template()
    for name, roles in (("view", {"view", "edit", "admin"}), ("edit", {"edit", "admin"})):
        role = only(objects, "ClusterRole", f"sparksweep-{name}")
        prefix = "rbac.authorization.k8s.io/aggregate-to-"
        found = {label.removeprefix(prefix) for label in role["metadata"]["labels"] if label.startswith(prefix)}  # fmt: skip
        assert found == roles
        assert not any("/status" in kind for rule in role["rules"] for kind in rule["resources"])
    separate = helm.template(values={"rbac.userRoles.aggregate": False})
    assert "aggregate-to" not in json.dumps(only(separate, "ClusterRole", "sparksweep-edit"))


# ---------------------------------------------------------------------- values that arrive


def test_each_setting_of_the_operator_is_a_value_of_the_chart(helm: Helm) -> None:
    found = environment(helm.template())
    assert set(found) == {f"{PREFIX}{field.name.upper()}" for field in fields(Settings)}
    assert Settings.from_environment(found) == Settings()
    values = switches("one", "other")
    images = helm.template(values=values["images"] | values["drivers"])
    assert Settings.from_environment(environment(images)) == Settings(
        trainer_image=f"registry.example/trainer@{DIGEST}",
        image_pull_policy="Never",
        driver_service_account="drivers",
        driver_cpu="1",
        driver_memory="2Gi",
    )
    assert container(images)["image"] == f"{IMAGE['repository']}:2"


def test_labels_of_ones_own_do_not_change_what_the_pods_are_found_by(helm: Helm) -> None:
    mine = {"team": "ml", "app.kubernetes.io/component": "mine"}
    deployment = only(helm.template(values={"podLabels": mine}), "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels["team"] == "ml"
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert labels["app.kubernetes.io/component"] == "operator"


def test_an_operator_whose_node_went_away_is_soon_elsewhere(helm: Helm) -> None:
    def seconds(values: dict[str, Any]) -> dict[str, int]:
        spec = only(helm.template(values=values), "Deployment")["spec"]["template"]["spec"]
        return {item.get("key", ""): item.get("tolerationSeconds") for item in spec["tolerations"]}

    not_ready, unreachable = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
    # As long as a driver's: a driver that went with the operator is replaced by the next operator.
    assert seconds({}) == {not_ready: LOST_AFTER_S, unreachable: LOST_AFTER_S}
    assert seconds({"nodeLostAfterSeconds": 0}) == {not_ready: 0, unreachable: 0}
    infra = {"key": "infra", "operator": "Exists"}
    assert seconds({"tolerations": [infra]}) == {
        "infra": None, not_ready: LOST_AFTER_S, unreachable: LOST_AFTER_S
    }  # fmt: skip
    mine = {"key": unreachable, "operator": "Exists", "tolerationSeconds": 5}
    assert seconds({"tolerations": [mine]}) == {unreachable: 5, not_ready: LOST_AFTER_S}
    assert seconds({"tolerations": [{"operator": "Exists"}]}) == {"": None}
    other = {"key": unreachable, "operator": "Exists", "effect": "NoSchedule"}
    found = helm.template(values={"tolerations": [other]})
    assert len(only(found, "Deployment")["spec"]["template"]["spec"]["tolerations"]) == 3


@pytest.mark.parametrize("keep", [True, False])
def test_the_kinds_are_those_of_crds_and_stay_if_they_are_to(keep: bool, helm: Helm) -> None:
    objects = helm.template(values={"crds.keep": keep})
    found = {item["metadata"]["name"]: item for item in objects if item["kind"] == "CustomResourceDefinition"}  # fmt: skip
    for path in (ROOT / "crds").glob("*.yaml"):
        wanted = yaml.safe_load(path.read_text())
        item = found.pop(wanted["metadata"]["name"])
        assert item["spec"] == wanted["spec"]
        policy = item["metadata"].get("annotations", {}).get("helm.sh/resource-policy")
        assert policy == ("keep" if keep else None)
    assert found == {}


def test_policies_let_executors_reach_their_driver_and_nobody_else(helm: Helm) -> None:
    objects = helm.template(values={"networkPolicy.enabled": True, "watchNamespaces": ["one"]})
    executors = only(objects, "NetworkPolicy", "executors")["spec"]
    roles = [peer["podSelector"]["matchLabels"]["sparksweep.dev/role"] for rule in executors["ingress"] for peer in rule["from"]]  # fmt: skip
    assert roles == ["driver"]
    dns, driver = executors["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    # NodeLocal DNSCache is on the node's network, where no selector finds it; instance metadata is not its address.
    assert dns["to"] == [{"namespaceSelector": {}}, {"ipBlock": {"cidr": "169.254.20.10/32"}}]
    for values, cidrs in (
        ([], []),
        (["fd00::a/128", "10.9.9.9/32"], ["fd00::a/128", "10.9.9.9/32"]),
    ):
        given = {
            "networkPolicy.enabled": True,
            "networkPolicy.nodeLocalDNS": values,
            "watchNamespaces": ["one"],
        }
        for policy in (it for it in helm.template(values=given) if it["kind"] == "NetworkPolicy"):
            blocks = [
                to["ipBlock"]["cidr"] for to in policy["spec"]["egress"][0]["to"] if "ipBlock" in to
            ]
            assert blocks == cidrs, policy["metadata"]["name"]
    assert {port["port"] for port in driver["ports"]} == {7078, 7079, ports.TRIAL_SERVER_PORT}
    assert driver["to"][0]["podSelector"]["matchLabels"]["sparksweep.dev/role"] == "driver"


def test_ports_and_roles_of_policies_are_those_of_the_pods(helm: Helm) -> None:
    anyone: list[Document] = [{"namespaceSelector": {}}]
    values = {
        "networkPolicy.enabled": True,
        "networkPolicy.metricsFrom": anyone,
        "networkPolicy.tensorboardFrom": anyone,
        "watchNamespaces": ["one"],
    }
    objects = helm.template(values=values)
    spark = {ports.SPARK_DRIVER_PORT, ports.SPARK_BLOCK_MANAGER_PORT, ports.TRIAL_SERVER_PORT}
    drivers = only(objects, "NetworkPolicy", "drivers")["spec"]
    opened = [{port["port"] for port in rule["ports"]} for rule in drivers["ingress"]]
    assert opened == [spark, {ports.METRICS_PORT}, {ports.TENSORBOARD_PORT}]
    operators = only(objects, "NetworkPolicy", "operator")["spec"]
    assert [port["port"] for port in operators["ingress"][0]["ports"]] == [
        ports.OPERATOR_METRICS_PORT
    ]
    served = {port["name"]: port["containerPort"] for port in container(objects)["ports"]}
    assert served == {"health": ports.OPERATOR_HEALTH_PORT, "metrics": ports.OPERATOR_METRICS_PORT}
    probe = container(objects)["livenessProbe"]["httpGet"]
    assert probe == {"path": ports.OPERATOR_HEALTH_PATH, "port": "health"}
    assert container(objects)["startupProbe"]["httpGet"] == probe
    ready = container(objects)["readinessProbe"]["httpGet"]
    assert ready == {"path": ports.OPERATOR_READY_PATH, "port": "health"}
    of = parse_experiment(EXPERIMENT)
    for name, pod in (
        ("drivers", driver_pod(of, 0, Settings(), spark_secret="spark")),
        ("executors", executor_pod(of)),
    ):
        selector = only(objects, "NetworkPolicy", name)["spec"]["podSelector"]["matchLabels"]
        assert set(selector) == {PART_OF_LABEL, ROLE_LABEL}
        assert selector.items() <= pod["metadata"]["labels"].items()
    pod = driver_pod(of, 0, Settings(), spark_secret="spark")
    declared = {
        port["containerPort"] for item in pod["spec"]["containers"] for port in item["ports"]
    }
    assert declared == {ports.METRICS_PORT, ports.TENSORBOARD_PORT}


def test_prometheus_finds_the_operator_by_its_service_and_drivers_by_their_pods(helm: Helm) -> None:
    values = switches("one", "other")
    objects = helm.template(values=values["everything for Prometheus and Grafana"])
    monitor, service = only(objects, "ServiceMonitor"), only(objects, "Service")
    labels = service["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert monitor["spec"]["endpoints"][0]["port"] in [port["name"] for port in service["spec"]["ports"]]  # fmt: skip
    ports = {port["name"]: port["containerPort"] for port in container(objects)["ports"]}
    assert f"--metrics-port={ports['metrics']}" in container(objects)["args"]
    drivers = only(objects, "PodMonitor")["spec"]
    pod = driver_pod(parse_experiment(EXPERIMENT), 0, Settings(), spark_secret="spark")
    assert drivers["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    served = [port["name"] for item in pod["spec"]["containers"] for port in item.get("ports", [])]
    assert drivers["podMetricsEndpoints"][0]["port"] in served
    assert drivers["namespaceSelector"] == {"any": True}
    narrow = only(helm.template(values=values["drivers' metrics from one namespace"]), "PodMonitor")
    assert narrow["spec"]["namespaceSelector"] == {"matchNames": ["one"]}


def test_a_label_of_ones_own_is_on_what_prometheus_and_grafana_look_for(helm: Helm) -> None:
    objects = helm.template(values=switches("a", "b")["everything for Prometheus and Grafana"])
    assert only(objects, "ServiceMonitor")["metadata"]["labels"]["release"] == "prometheus"
    dashboard = only(objects, "ConfigMap")
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(dashboard["data"]["sparksweep.json"])["title"] == "Sparksweep"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "--clusterrole=sparksweep-driver --serviceaccount=NAMESPACE:sparksweep-driver"),
        ({}, "--show-only templates/viewer.yaml | kubectl apply -f -"),
        ({}, "helm -n default get values sparksweep --output yaml |"),
        ({"watchNamespaces": ["lab"]}, "kubectl -n lab apply -f experiment.yaml"),
        ({"crds.enabled": False}, "the operator waits for the CRDs"),
        ({"crds.keep": False}, "uninstalling deletes every Experiment"),
    ],
)
def test_the_notes_say_what_to_do_next(values: Document, said: str, helm: Helm) -> None:
    flags = ("--dry-run=client", "--namespace", "default", *value_flags(values))
    notes = helm.run("install", "sparksweep", str(CHART), *flags).partition("NOTES:")[2]
    assert said in notes


# ---------------------------------------------------------------------- admission policies


@pytest.mark.parametrize("name", REFUSED_ENTRIES)
def test_entries_that_would_undo_the_policies_are_refused_all_at_once(
    name: str, helm: Helm
) -> None:
    with pytest.raises(HelmError) as refused:
        helm.template(values={f"admissionPolicy.{name}": list(REFUSED_ENTRIES[name])})
    lines = str(refused.value).splitlines()
    for entry, why in REFUSED_ENTRIES[name].items():
        subject = f"admissionPolicy.{name}: {json.dumps(entry)} {why}"
        assert any(subject in line for line in lines), (subject, lines)


@pytest.mark.parametrize("name", ACCEPTED_ENTRIES)
@pytest.mark.parametrize("is_empty", [False, True])
def test_entries_of_other_plug_ins_and_empty_lists_are_accepted(
    name: str, is_empty: bool, helm: Helm
) -> None:
    entries = None if is_empty else ACCEPTED_ENTRIES[name]
    objects = helm.template(
        only="admission-policy.yaml", values={f"admissionPolicy.{name}": entries}
    )
    text = json.dumps(objects)
    assert " in null" not in text
    assert all(entry in text for entry in entries or [])


@pytest.mark.parametrize(("enabled", "count"), [(True, 3), (False, 0)])
def test_the_admission_policies_refuse_and_can_be_left_out(
    enabled: bool, count: int, helm: Helm
) -> None:
    objects = helm.template(values={"admissionPolicy.enabled": enabled})
    policies = [item for item in objects if item["kind"] == "ValidatingAdmissionPolicy"]
    bindings = [item for item in objects if item["kind"] == "ValidatingAdmissionPolicyBinding"]
    assert len(policies) == count
    names = [item["metadata"]["name"] for item in policies]
    assert [item["spec"]["policyName"] for item in bindings] == names
    assert all(item["spec"]["validationActions"] == ["Deny"] for item in bindings)
    assert all(item["spec"]["failurePolicy"] == "Fail" for item in policies)


def test_the_policies_and_the_programs_agree_on_sparks_secrets_and_the_operators_labels(
    helm: Helm,
) -> None:
    policy = json.dumps(helm.template(only="admission-policy.yaml"))
    assert SPARK_SECRET_NAME.pattern in policy
    body = experiment_body()
    body["metadata"]["uid"] = "1"
    labels = executor_pod(parse_experiment(body))["metadata"]["labels"]
    assert all(json.dumps(f'"{label}"')[1:-1] in policy for label in labels)


# ---------------------------------------------------------------------- upgrades


def test_the_documented_upgrade_keeps_the_users_values_and_takes_new_ones(
    helm: Helm, namespaces: tuple[str, str], tmp_path: Path
) -> None:
    """From a chart that knows fewer values, as each release's does."""
    page = (CHART.parents[1] / "docs" / "operations.md").read_text()
    (command,) = re.findall(r"^helm (upgrade .*)$", page, re.MULTILINE)
    flags = command.partition("--namespace sparksweep-system")[2].split()
    before = tmp_path / "sparksweep"
    shutil.copytree(CHART, before)
    for name in ("viewer.yaml", "NOTES.txt"):
        (before / "templates" / name).unlink()
    values = yaml.safe_load((before / "values.yaml").read_text())
    del values["viewer"], values["admissionPolicy"]["labels"]
    (before / "values.yaml").write_text(yaml.safe_dump(values))
    release = f"upgrade-{secrets.token_hex(3)}"
    own = {
        "crds.enabled": False,
        "rbac.userRoles.create": False,
        "admissionPolicy.enabled": False,
        "logLevel": "debug",
    }
    where = ("--namespace", namespaces[0])
    helm.run("install", release, str(before), *where, *value_flags(own))
    try:
        helm.run("upgrade", release, str(CHART), *where, *flags)
        kept = yaml.safe_load(helm.run("get", "values", release, *where, "--output", "yaml"))
        assert kept["logLevel"] == "debug"
        whole = yaml.safe_load(
            helm.run("get", "values", release, *where, "--all", "--output", "yaml")
        )
        assert whole["viewer"]["enabled"]
    finally:
        helm.run("uninstall", release, *where)
