"""The drivers' service account creates executors of its own driver and no other pod, whatever its roles allow."""

from __future__ import annotations

import base64
import copy
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from cluster.client import Cluster
from cluster.helm import Helm
from sparksweep_core.api import Experiment
from sparksweep_core.contract import environment as env
from sparksweep_core.contract.driver_config import EXECUTOR_POD_FILE
from sparksweep_core.contract.problems import EXECUTORS_REFUSED
from sparksweep_core.validation.document import parse_experiment
from sparksweep_operator import manifests
from sparksweep_operator.manifests.spark_conf import spark_conf
from sparksweep_operator.settings import Settings
from sparksweep_trainer.kubernetes import application, executor_probe, executor_watch
from sparksweep_trainer.kubernetes.api_client import ApiClient
from sparksweep_trainer.kubernetes.application import Application, End
from sparksweep_trainer.kubernetes.executor_probe import AFTER_S, ExecutorProbe
from sparksweep_trainer.kubernetes.executor_template import write_template
from sparksweep_trainer.kubernetes.settings import ClusterSettings, load
from support.control_plane.kube_api import Document, KubeApi, Refused
from support.control_plane.lab import wait_for
from support.operator.operator_objects import FULL_TEMPLATE, experiment_body
from support.trainer.driver_process import java_home

ACCOUNT = "guarded-driver"
"""Not the default name: the policies are the whole cluster's, and other tests use tokens that no pod has."""
SETTINGS = Settings(trainer_image="registry.example/trainer:1", driver_service_account=ACCOUNT)
VALUES: dict[str, Any] = {
    "driver.serviceAccount.name": ACCOUNT,
    "admissionPolicy.labels": ["team"],
    "admissionPolicy.annotations": [
        "openshift.io/scc",
        "security.openshift.io/",
        "team.example/",
    ],
}
FULL: dict[str, Any] = {
    **{name: value for name, value in FULL_TEMPLATE.items() if name != "priorityClassName"},
    "env": [
        *FULL_TEMPLATE["env"],
        {"name": "SIZE", "valueFrom": {"configMapKeyRef": {"name": "sizes", "key": "batch"}}},
    ],
    "volumes": [
        *FULL_TEMPLATE["volumes"],
        {"name": "part", "mountPath": "/part", "subPath": "a/b", "emptyDir": {"sizeLimit": "1Gi"}},
    ],
}
"""A template with every field that concerns pods, but a priority class, which must exist."""
TEMPLATES: dict[str, dict[str, Any]] = {
    "a function": {},
    "everything": FULL,
    "a command": {"function": None, "command": ["python", "train.py", "--x=${trialParameters.x}"]},
    "a ConfigMap": {"source": {"configMap": {"name": "code", "key": "train.py"}}},
}


@dataclass
class Account:
    """A namespace with the drivers of two Experiments, and the token of the first."""

    cluster: Cluster
    namespace: str
    admin: KubeApi
    driver: KubeApi
    of: Experiment
    uid: str

    def executor(self, template: dict[str, Any] | None = None, number: int = 1) -> Document:
        """Return an executor's pod as Spark makes it of the operator's template."""
        of = self.of if template is None else of_template(self.of, template)
        pod = manifests.executor_pod(of)
        pod["metadata"] |= {"name": f"digits-0-exec-{number}", "namespace": self.namespace}
        pod["metadata"]["labels"] |= {"spark-role": "executor", "spark-app-selector": "spark-1"}
        pod["metadata"]["ownerReferences"] = [
            {"apiVersion": "v1", "kind": "Pod", "name": "digits-driver-0", "uid": self.uid, "controller": True}
        ]  # fmt: skip
        (container,) = pod["spec"]["containers"]
        container |= {
            "image": "registry.example/trainer:1",
            "args": ["executor"],
            "ports": [{"name": "blockmanager", "containerPort": 7079, "protocol": "TCP"}],
        }
        container["env"].append(
            {"name": "SPARK_EXECUTOR_POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}
        )  # fmt: skip
        resources = container.setdefault("resources", {})
        resources["requests"] = {"cpu": "1", "memory": "2Gi"}
        resources.setdefault("limits", {})["memory"] = "2Gi"
        container["volumeMounts"].append({"name": "spark-local-dir-1", "mountPath": "/var/data/x"})
        pod["spec"]["volumes"].append({"name": "spark-local-dir-1", "emptyDir": {}})
        pod["spec"]["restartPolicy"] = "Never"
        return pod

    def make(self, pod: Document, *, dry_run: bool = True) -> Document:
        """Create a pod with the driver's token."""
        return self.driver.create("pods?dryRun=All" if dry_run else "pods", pod)


def of_template(of: Experiment, template: dict[str, Any]) -> Experiment:
    body = experiment_body(template=template)
    body["spec"]["trialTemplate"] = {k: v for k, v in body["spec"]["trialTemplate"].items() if v}
    body["metadata"] |= {"namespace": of.metadata.namespace, "uid": of.metadata.uid}
    return parse_experiment(body)


@pytest.fixture(scope="module")
def account(control_plane: Cluster, helm: Helm, crds: None) -> Iterator[Account]:
    namespace = control_plane.namespace("account")
    release = f"guard-{secrets.token_hex(3)}"
    policies = helm.template(release=release, only="admission-policy.yaml", values=VALUES)
    rights = helm.template(only="driver-rbac.yaml", values={**VALUES, "watchNamespaces": [namespace]})  # fmt: skip
    control_plane.apply(rights)
    body = experiment_body()
    body["metadata"] = {"name": "digits", "namespace": namespace}
    control_plane.apply(body)
    uid = control_plane.get("experiments.sparksweep.dev", "digits", namespace)["metadata"]["uid"]
    body["metadata"]["uid"] = uid
    of = parse_experiment(body)
    admin = KubeApi(control_plane.kubeconfig, namespace)
    pods = []
    for name in ("digits", "other"):
        pod = manifests.driver_pod(of, 0, SETTINGS, spark_secret="none")
        pod["metadata"]["name"] = f"{name}-driver-0"
        pod["metadata"]["labels"]["sparksweep.dev/experiment"] = name
        pods.append(admin.create("pods", pod))
    control_plane.apply(policies)
    config = control_plane.kubeconfig_as(ACCOUNT, namespace, pod="digits-driver-0")
    driver = KubeApi(config, namespace)
    found = Account(control_plane, namespace, admin, driver, of, pods[0]["metadata"]["uid"])
    # A new policy takes effect within a second or two.
    wait_until_refused(found)
    yield found
    for item in policies:
        control_plane.kubectl("delete", item["kind"], item["metadata"]["name"])
    admin.close()
    driver.close()
    control_plane.delete_namespace(namespace)


def wait_until_refused(account: Account) -> None:
    bad = change(account.executor(), "spec.hostPID", True)
    for _ in range(100):
        try:
            account.make(bad)
        except Refused:
            return
        time.sleep(0.1)
    raise AssertionError("the policy has no effect")


def change(pod: Document, path: str, value: Any) -> Document:
    """Return a copy of a pod with another value at a path; ``+`` appends to a list, `None` removes."""
    pod = copy.deepcopy(pod)
    *parents, last = path.split(".")
    place: Any = pod
    for part in parents:
        part = part.replace("\0", ".")
        place = place[int(part)] if part.isdigit() else place.setdefault(part, {})
    last = last.replace("\0", ".")
    if last.endswith("+"):
        place.setdefault(last[:-1], []).append(value)
    elif last.isdigit():
        place[int(last)] = value
    elif value is None:
        place.pop(last, None)
    else:
        place[last] = value
    return pod


LABEL = "metadata.labels.sparksweep\0dev/"
C = "spec.containers.0"
SC = f"{C}.securityContext"
POD_SC = "spec.securityContext"


def volume(kind: str, source: dict[str, Any]) -> tuple[str, Any]:
    return ("spec.volumes+", {"name": "extra", kind: source})


def token(**source: Any) -> dict[str, Any]:
    return {"sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3600, **source}}]}  # fmt: skip


REFUSED: list[tuple[str, Any]] = [
    # whose pod it is
    (f"{LABEL}role", "driver"), (f"{LABEL}role", None), (f"{LABEL}experiment", "other"),
    (f"{LABEL}experiment", None), ("metadata.labels", {}),
    ("metadata.labels.app\0kubernetes\0io/part-of", None),
    ("metadata.name", "other-0-exec-1"), ("metadata.name", "digits-1-exec-1"),
    ("metadata.name", "digits-0-exec-1-x"), ("metadata.name", "digits-driver-7"),
    ("metadata.name", "digits-0-exec-"), ("metadata.ownerReferences", []),
    ("metadata.ownerReferences.0.name", "other-driver-0"),
    ("metadata.ownerReferences.0.uid", "11111111-1111-1111-1111-111111111111"),
    ("metadata.ownerReferences.0.kind", "ReplicaSet"),
    ("metadata.ownerReferences+", {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"}),
    ("metadata.finalizers", ["example.org/stay"]),
    ("metadata.annotations", {"container.apparmor.security.beta.kubernetes.io/executor": "unconfined"}),
    ("metadata.annotations", {"k8s.v1.cni.cncf.io/networks": "host"}),
    ("metadata.annotations", {"vault.hashicorp.com/agent-inject": "true"}),
    ("metadata.annotations", {"iam.amazonaws.com/role": "admin"}),
    ("metadata.annotations", {"cni.projectcalico.org/ipAddrs": '["10.0.0.1"]'}),
    ("metadata.annotations", {"cdi.k8s.io/all": "vendor.example/device=all"}),
    ("metadata.annotations", {"sidecar.istio.io/inject": "true"}), ("metadata.annotations", {"openshift.io/scc.x": "a"}),
    ("metadata.annotations", {"kubernetes.io/limit-ranger": "a", "anything": "else"}),
    ("metadata.labels.app", "payments"), ("metadata.labels.app\0kubernetes\0io/instance", "payments"),
    ("metadata.labels.azure\0workload\0identity/use", "true"), (f"{LABEL}other", "x"),
    # rights and identity
    ("spec.serviceAccountName", ACCOUNT), ("spec.serviceAccountName", "other"),
    ("spec.automountServiceAccountToken", True), ("spec.automountServiceAccountToken", None),
    # the node
    ("spec.hostNetwork", True), ("spec.hostPID", True), ("spec.hostIPC", True),
    ("spec.shareProcessNamespace", True), ("spec.nodeName", "node1"),
    ("spec.schedulerName", "mine"), ("spec.priorityClassName", "system-node-critical"),
    ("spec.priorityClassName", "system-cluster-critical"), ("spec.os", {"name": "windows"}),
    ("spec.resourceClaims", [{"name": "gpu", "resourceClaimName": "all"}]),
    ("spec.restartPolicy", "Always"), ("spec.restartPolicy", "OnFailure"),
    # the network
    ("spec.dnsPolicy", "Default"), ("spec.dnsConfig", {"nameservers": ["10.0.0.1"]}),
    ("spec.hostAliases", [{"ip": "10.0.0.1", "hostnames": ["api"]}]), ("spec.subdomain", "db"),
    ("spec.setHostnameAsFQDN", True),
    ("spec.readinessGates", [{"conditionType": "example.org/ready"}]),
    # the pod's security
    (POD_SC, {}), (POD_SC, None), (f"{POD_SC}.runAsNonRoot", False), (f"{POD_SC}.runAsNonRoot", None),
    (f"{POD_SC}.runAsUser", 0), (f"{POD_SC}.runAsGroup", 0), (f"{POD_SC}.fsGroup", 0),
    (f"{POD_SC}.supplementalGroups", [0]), (f"{POD_SC}.seccompProfile", None),
    (f"{POD_SC}.seccompProfile", {"type": "Unconfined"}),
    (f"{POD_SC}.seccompProfile", {"type": "Localhost", "localhostProfile": "mine.json"}),
    (f"{POD_SC}.sysctls", [{"name": "net.ipv4.ip_forward", "value": "1"}]),
    (f"{POD_SC}.appArmorProfile", {"type": "Unconfined"}),
    (f"{POD_SC}.seLinuxOptions", {"type": "spc_t"}), (f"{POD_SC}.seLinuxOptions", {"user": "system_u"}),
    (f"{POD_SC}.seLinuxOptions", {"role": "system_r"}),
    # the container
    ("spec.containers+", {"name": "second", "image": "i"}), (f"{C}.name", "other"),
    ("spec.initContainers", [{"name": "first", "image": "i"}]),
    ("spec.initContainers", [{"name": "side", "image": "i", "restartPolicy": "Always"}]),
    (f"{C}.command", ["/bin/sh"]), (f"{C}.args", ["sh", "-c", "id"]), (f"{C}.args", None),
    (f"{C}.args", ["driver"]),
    (f"{C}.lifecycle", {"postStart": {"exec": {"command": ["id"]}}}),
    (f"{C}.lifecycle", {"preStop": {"httpGet": {"host": "169.254.169.254", "port": 80}}}),
    (f"{C}.livenessProbe", {"httpGet": {"host": "10.0.0.1", "port": 80}}),
    (f"{C}.readinessProbe", {"tcpSocket": {"host": "10.0.0.1", "port": 80}}),
    (f"{C}.startupProbe", {"exec": {"command": ["id"]}}),
    (f"{C}.stdin", True), (f"{C}.tty", True), (SC, None), (SC, {}),
    (f"{SC}.privileged", True), (f"{SC}.allowPrivilegeEscalation", None),
    (f"{SC}.allowPrivilegeEscalation", True), (f"{SC}.readOnlyRootFilesystem", False),
    (f"{SC}.readOnlyRootFilesystem", None), (f"{SC}.runAsNonRoot", False), (f"{SC}.runAsUser", 0),
    (f"{SC}.runAsGroup", 0), (f"{SC}.capabilities", None), (f"{SC}.capabilities", {"drop": ["NET_RAW"]}),
    (f"{SC}.capabilities", {"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
    (f"{SC}.capabilities", {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}),
    (f"{SC}.seccompProfile", {"type": "Unconfined"}), (f"{SC}.appArmorProfile", {"type": "Unconfined"}),
    (f"{SC}.procMount", "Unmasked"), (f"{SC}.seLinuxOptions", {"type": "spc_t"}),
    (f"{C}.ports.0.hostPort", 7079), (f"{C}.ports+", {"containerPort": 80, "hostIP": "0.0.0.0"}),
    (f"{C}.envFrom", [{"secretRef": {"name": "keys"}}]),
    (f"{C}.volumeMounts.0.mountPropagation", "HostToContainer"),
    (f"{C}.volumeMounts.0.mountPropagation", "Bidirectional"),
    (f"{C}.volumeMounts.0.mountPath", "/var/run/secrets/kubernetes.io/serviceaccount"),
    # secrets of another driver
    volume("secret", {"secretName": "other-driver-0-0123abcd"}), volume("secret", {"secretName": "digits-driver-1-0123abcd"}),
    volume("secret", {"secretName": "x-digits-driver-0-0123abcd"}),
    (f"{C}.env+", {"name": "A", "valueFrom": {"secretKeyRef": {"name": "other-driver-0-0123abcd", "key": "spark-secret"}}}),
    # volumes
    volume("hostPath", {"path": "/"}), volume("nfs", {"server": "10.0.0.1", "path": "/"}),
    volume("csi", {"driver": "secrets-store.csi.k8s.io"}),
    volume("ephemeral", {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}}),
    volume("iscsi", {"targetPortal": "10.0.0.1", "iqn": "iqn.2026-01.x:y", "lun": 0}),
    volume("downwardAPI", {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}),
    volume("image", {"reference": "registry.example/i:1"}), volume("projected", token()),
    volume("projected", token(audience="https://kubernetes.default.svc")),
    volume("projected", {"sources": [{"secret": {"name": "keys"}}]}),
    volume("projected", {"sources": [*token(audience="sts.amazonaws.com")["sources"], *token()["sources"]]}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), REFUSED, ids=lambda item: json.dumps(item)[:50])
def test_any_other_pod_is_refused(path: str, value: Any, account: Account) -> None:
    pod = change(account.executor(), path, value)
    # It is the account that may not: an administrator may, unless it makes no sense to Kubernetes.
    with pytest.raises(Refused) as refused:
        account.make(pod)
    assert refused.value.code in (403, 422), refused.value
    text = str(refused.value)
    assert "ValidatingAdmissionPolicy" in text or "is invalid" in text or "forbidden" in text, text


ALLOWED: list[tuple[str, Any]] = [
    ("metadata.annotations", {"kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu"}),
    ("metadata.annotations", {"security.openshift.io/validated-scc-subject-type": "user", "openshift.io/scc": "restricted-v2"}),
    ("metadata.annotations", {"team.example/cost": "7"}), ("metadata.labels.team", "ml"),
    volume("secret", {"secretName": "digits-driver-0-0123abcd"}), volume("secret", {"secretName": "db-driver-2"}), ("spec.preemptionPolicy", "PreemptLowerPriority"),
    ("spec.terminationGracePeriodSeconds", 30), (f"{POD_SC}.seLinuxOptions", {"level": "s0:c1,c2"}),
    (f"{POD_SC}.runAsUser", 1000660000), ("spec.topologySpreadConstraints", []),
    volume("projected", token(audience="sts.amazonaws.com")),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), ALLOWED, ids=lambda item: json.dumps(item)[:50])
def test_additions_of_other_admission_plugins_are_accepted(
    path: str, value: Any, account: Account
) -> None:
    account.make(change(account.executor(), path, value))


@pytest.mark.parametrize("template", TEMPLATES)
def test_executors_of_every_template_are_accepted(template: str, account: Account) -> None:
    account.make(account.executor(TEMPLATES[template]))


def test_a_token_that_no_pod_has_is_refused(account: Account) -> None:
    api = KubeApi(account.cluster.kubeconfig_as(ACCOUNT, account.namespace), account.namespace)
    for call in (
        lambda: api.create("pods", account.executor()),
        lambda: api.delete("pods", "other-driver-0"),
    ):
        with pytest.raises(Refused, match="must be that of a driver's pod"):
            call()
    api.close()


def test_only_the_accounts_named_are_limited(account: Account) -> None:
    account.admin.create("pods?dryRun=All", change(account.executor(), "spec.hostPID", True))


def test_a_driver_changes_and_deletes_its_own_executors_and_no_other_pod(account: Account) -> None:
    made = account.make(account.executor(number=50), dry_run=False)
    name = made["metadata"]["name"]
    account.driver.patch("pods", name, {"metadata": {"labels": {"spark-exec-inactive": "true"}}})
    forbidden: list[dict[str, Any]] = [
        {"metadata": {"labels": {"sparksweep.dev/role": "driver"}}},
        {"metadata": {"labels": {"sparksweep.dev/experiment": None}}},
        {"metadata": {"ownerReferences": []}},
        {"metadata": {"finalizers": ["example.org/stay"]}},
        {"metadata": {"annotations": {"a": "b"}}},
        {"metadata": {"labels": {"app": "payments"}}},
        {"spec": {"containers": [{"name": "executor", "image": "registry.example/evil:1"}]}},
        {"spec": {"activeDeadlineSeconds": 1}},
    ]
    for body in forbidden:
        with pytest.raises(Refused, match=r"40[03]|422"):
            account.driver.patch("pods", name, body)
    for other in ("digits-driver-0", "other-driver-0"):
        with pytest.raises(Refused, match="executors of its own Experiment"):
            account.driver.delete("pods", other)
        with pytest.raises(Refused, match="executors of its own Experiment"):
            account.driver.patch("pods", other, {"metadata": {"labels": {"a": "b"}}})
    with pytest.raises(Refused, match="executors of its own Experiment"):
        account.driver.delete("pods?labelSelector=sparksweep.dev%2Frole%3Ddriver", "")
    assert {item["metadata"]["name"] for item in account.admin.items("pods")} >= {
        "digits-driver-0",
        "other-driver-0",
    }
    account.driver.delete("pods", name, gracePeriodSeconds=0)
    account.make(account.executor(number=51), dry_run=False)
    account.driver.delete("pods?labelSelector=sparksweep.dev%2Frole%3Dexecutor", "")
    left = {item["metadata"]["name"] for item in account.admin.items("pods")}
    assert left == {"digits-driver-0", "other-driver-0"}


def test_a_driver_writes_the_statuses_of_its_own_experiment_and_no_others(account: Account) -> None:
    def written(experiment: str) -> Document:
        name = f"{experiment}-00000"
        account.admin.create(
            "trialbatches",
            {
                "apiVersion": "sparksweep.dev/v1alpha1",
                "kind": "TrialBatch",
                # The label is no proof.
                "metadata": {"name": name, "labels": {"sparksweep.dev/experiment": "digits"}},
                "spec": {"experiment": experiment, "index": 0, "trials": [{"number": 1, "parameters": {"x": "1"}}]},
            },
        )  # fmt: skip
        body = {
            "status": {"driver": "digits-driver-0", "trials": [{"number": 1, "state": "Running"}]}
        }
        return account.driver.patch("trialbatches", name, body, "status")

    try:
        assert written("digits")["status"]["trials"][0]["state"] == "Running"
        for other in ("other", "digits-driver-0", "digit"):
            with pytest.raises(Refused, match="its own Experiment's TrialBatches"):
                written(other)
    finally:
        for batch in account.admin.items("trialbatches", "sparksweep.dev/experiment=digits"):
            account.admin.delete("trialbatches", batch["metadata"]["name"])


class SparkWithoutExecutors:
    """Stands for Spark, which has been refused every executor."""

    is_healthy = True
    application_id = "spark-1"

    def close(self) -> None:
        pass


class DriverOfTheAccount(Application):
    def _start_spark(self) -> None:
        self._driver = cast(Any, SparkWithoutExecutors())


def settings_of(account: Account, of: Experiment, directory: Path) -> ClusterSettings:
    """Return the settings that the driver reads in its pod."""
    path = account.cluster.kubeconfig_as(ACCOUNT, account.namespace, pod="digits-driver-0")
    config = json.loads(path.read_text())
    server = config["clusters"][0]["cluster"]
    (directory / "token").write_text(config["users"][0]["user"]["token"])
    (directory / "ca.crt").write_bytes(base64.b64decode(server["certificate-authority-data"]))
    for name, text in manifests.driver_config_map(of, SETTINGS)["data"].items():
        (directory / name).write_text(text)
    pod = manifests.driver_pod(of, 0, SETTINGS, spark_secret="none")
    (seal,) = (
        item["value"]
        for container in pod["spec"]["containers"]
        for item in container.get("env", [])
        if item["name"] == env.CONFIG_SEAL_ENV
    )
    return load(
        {
            env.CONFIG_SEAL_ENV: seal,
            env.DRIVER_CONFIG_ENV: str(directory),
            env.POD_NAMESPACE_ENV: account.namespace,
            env.POD_NAME_ENV: "digits-driver-0",
            env.POD_IP_ENV: "127.0.0.1",
            env.EXECUTOR_PREFIX_ENV: "digits-0",
            env.SPARK_SECRET_ENV: "digits-driver-0-abc",
            env.API_SERVER_ENV: server["server"],
            env.API_TOKEN_FILE_ENV: str(directory / "token"),
            env.API_CA_FILE_ENV: str(directory / "ca.crt"),
        }
    )


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_drivers_own_dry_run_is_accepted(
    template: str, account: Account, tmp_path: Path
) -> None:
    settings = settings_of(account, of_template(account.of, TEMPLATES[template]), tmp_path)
    now = [0.0]
    probe = ExecutorProbe(settings, is_without=lambda: True, monotonic=lambda: now[0])
    sent: list[str] = []

    class Client(ApiClient):
        def request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
            answer = super().request(method, path, **options)
            sent.append(method)
            return answer

    with Client(settings.endpoint) as api:
        for now[0] in (0, AFTER_S):
            probe.step(api)
    assert sent == ["GET", "POST"]
    assert probe.problem is None
    assert not account.admin.items("pods", "sparksweep.dev/role=executor")


def test_a_driver_says_in_the_status_why_its_account_alone_gets_no_executor(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, value in (
        (executor_probe, "AFTER_S", 0.5), (executor_probe, "AGAIN_S", 0.5), (executor_watch, "SWEEP_S", 0.2),
        (application, "METRICS_PORT", 0), (application, "FLUSH_S", 1.0), (application, "INTERRUPT_S", 0.5),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    batch = {
        "apiVersion": "sparksweep.dev/v1alpha1",
        "kind": "TrialBatch",
        "metadata": {"name": "digits-00000", "labels": {"sparksweep.dev/experiment": "digits"}},
        "spec": {"experiment": "digits", "index": 0, "parallelTrialCount": 1, "trials": [{"number": 1, "parameters": {"x": "1"}}]},
    }  # fmt: skip
    account.admin.create("trialbatches", batch)
    driver = DriverOfTheAccount(settings_of(account, account.of, tmp_path))
    thread = threading.Thread(target=driver.run, daemon=True)

    def problem() -> str | None:
        status = account.admin.get("trialbatches", "digits-00000").get("status", {})
        found: str | None = status.get("problem")
        return found

    with refused_to_the_account(account):
        thread.start()
        words = wait_for(problem, "the status has the words")
        assert words.startswith(f"{EXECUTORS_REFUSED} by the driver's account: ")
        assert "not on my watch" in words
    wait_for(lambda: problem() is None, "they are gone with the refusal")
    driver.end(End.TERMINATED)
    thread.join(20)
    account.admin.delete("trialbatches", "digits-00000")


@contextmanager
def refused_to_the_account(account: Account) -> Iterator[None]:
    """Have executors refused to the driver's account alone for the duration of a block."""
    api, name = "admissionregistration.k8s.io/v1", f"refuse-{account.namespace}"
    kind = "ValidatingAdmissionPolicy"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}  # fmt: skip
    expression = f"!request.userInfo.username.endsWith(':{ACCOUNT}')"
    documents: list[dict[str, Any]] = [
        {
            "apiVersion": api,
            "kind": kind,
            "metadata": {"name": name},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {
                    "namespaceSelector": {
                        "matchLabels": {"kubernetes.io/metadata.name": account.namespace}
                    },
                    "resourceRules": [rule],
                },
                "validations": [{"expression": expression, "message": "not on my watch"}],
            },
        },
        {
            "apiVersion": api,
            "kind": f"{kind}Binding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        },
    ]
    for document in documents:
        account.cluster.apply(document)
    try:
        account.admin.create("pods?dryRun=All", account.executor())
        yield
    finally:
        for document in documents:
            account.cluster.kubectl("delete", document["kind"], name)


@pytest.mark.spark
@pytest.mark.parametrize("template", TEMPLATES)
def test_spark_itself_makes_pods_that_are_accepted(
    template: str, account: Account, start_spark: Callable[[Experiment], str]
) -> None:
    of = of_template(account.of, TEMPLATES[template])
    log = start_spark(of)
    pods = account.admin.items("pods", "sparksweep.dev/role=executor")
    assert [pod["metadata"]["name"] for pod in pods if "exec" in pod["metadata"]["name"]], log
    secret = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
    assert secret not in json.dumps(pods)
    for pod in pods:
        names = {item["name"] for item in pod["spec"]["containers"][0]["env"]}
        assert "_SPARK_AUTH_SECRET" not in names
        account.admin.delete("pods", pod["metadata"]["name"], gracePeriodSeconds=0)


PROGRAM = """
import json, sys, time
from pyspark import SparkConf, SparkContext

conf = SparkConf(loadDefaults=False)
for key, value in json.loads(sys.stdin.read()).items():
    conf.set(key, value)
context = SparkContext(conf=conf)
time.sleep(4)
context.stop()
"""


@pytest.fixture
def start_spark(account: Account, tmp_path: Path) -> Callable[[Experiment], str]:
    """Return a function that starts Spark's driver as in a driver's pod, until it has requested an executor."""

    def start(of: Experiment) -> str:
        config = json.loads(
            account.cluster.kubeconfig_as(
                ACCOUNT, account.namespace, pod="digits-driver-0"
            ).read_text()
        )
        server = config["clusters"][0]["cluster"]
        (tmp_path / "token").write_text(config["users"][0]["user"]["token"])
        (tmp_path / "ca.crt").write_bytes(base64.b64decode(server["certificate-authority-data"]))
        (tmp_path / "spark-secret").write_bytes(b"0123456789abcdef0123456789abcdef")
        template = tmp_path / EXECUTOR_POD_FILE
        template.write_text(json.dumps(manifests.executor_pod(of)))
        target = tmp_path / "executor.json"
        write_template(template, target, spark_secret="digits-driver-0-abc")
        conf = spark_conf(of, SETTINGS) | {
            "spark.master": f"k8s://{server['server']}",
            "spark.app.name": "x",
            "spark.kubernetes.authenticate.caCertFile": str(tmp_path / "ca.crt"),
            "spark.kubernetes.authenticate.oauthTokenFile": str(tmp_path / "token"),
            "spark.authenticate.secret.file": str(tmp_path / "spark-secret"),
            "spark.kubernetes.executor.podTemplateFile": str(target),
            "spark.kubernetes.driver.pod.name": "digits-driver-0",
            "spark.kubernetes.executor.podNamePrefix": "digits-0",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.port": "0",
            "spark.driver.blockManager.port": "0",
            "spark.dynamicAllocation.initialExecutors": "1",
            "spark.local.dir": str(tmp_path),
        }
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            input=json.dumps(conf),
            env={**os.environ, "JAVA_HOME": str(java_home(tmp_path))},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert "forbidden" not in done.stderr.lower(), done.stderr
        assert done.returncode == 0, done.stderr
        return done.stderr

    return start
