"""Manifests of the objects that the operator creates for an Experiment."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.api import Experiment, batch_name, limits
from sparksweep_core.api.quantities import memory_bytes
from sparksweep_core.contract.environment import CLEARED_ENV, CODE_SEAL_ENV, CONFIG_SEAL_ENV
from sparksweep_core.contract.labels import EXPERIMENT_LABEL, ROLE_LABEL
from sparksweep_core.contract.names import driver_number, executor_prefix
from sparksweep_core.contract.program import Program
from sparksweep_core.contract.sealed_files import ChangedFile, Seal
from sparksweep_core.validation.document import parse_experiment
from sparksweep_operator import manifests
from sparksweep_operator.manifests.spark_conf import spark_conf
from sparksweep_operator.settings import Settings
from sparksweep_trainer.kubernetes.executor_template import write_template
from support.operator.operator_objects import (
    FULL_TEMPLATE,
    NAME,
    NAMESPACE,
    UID,
    experiment,
    experiment_body,
)
from support.operator.pod_security import violations

SETTINGS = Settings(trainer_image="registry.example/trainer:1")
SECRET = "the_users_own_secret_line"
INLINE = f"def training(x):\n    {SECRET} = 1\n    return x\n"
NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"

FULL = {**FULL_TEMPLATE, "source": {"inline": INLINE}}
"""A template with every field that concerns pods."""


def executor(template: dict[str, Any] | None = None) -> dict[str, Any]:
    return manifests.executor_pod(experiment(template=template))


def driver(template: dict[str, Any] | None = None, number: int = 0) -> dict[str, Any]:
    return manifests.driver_pod(
        experiment(template=template), number, SETTINGS, spark_secret="spark"
    )


def config(of: Experiment) -> dict[str, Any]:
    return manifests.driver_config_map(of, SETTINGS)


def main_container(pod: dict[str, Any]) -> dict[str, Any]:
    """Return the container of the driver or of the executor."""
    container, *others = pod["spec"]["containers"]
    assert [other["name"] for other in others] in ([], ["viewer"])
    main: dict[str, Any] = container
    return main


def viewer(pod: dict[str, Any]) -> dict[str, Any]:
    _, container = pod["spec"]["containers"]
    assert isinstance(container, dict)
    return container


# ---------------------------------------------------------------------- memory, CPU, GPU


def limit_mib(template: dict[str, Any]) -> int:
    conf = spark_conf(experiment(template=template), SETTINGS)
    parts = [conf["spark.executor.memory"], conf["spark.executor.memoryOverhead"]]
    assert all(re.fullmatch(r"[0-9]+m", part) for part in parts)
    return sum(int(part.removesuffix("m")) for part in parts)


@pytest.mark.parametrize(
    ("memory", "mib"),
    [
        ("640Mi", 640),
        ("1Gi", 1024),
        ("1.5Gi", 1536),
        ("4Gi", 4096),
        ("0.5Ti", 524288),
        ("1073741824", 1024),
        ("1048576Ki", 1024),
    ],
)
def test_an_executors_limit_is_exactly_the_memory_given(memory: str, mib: int) -> None:
    assert limit_mib({"resources": {"memory": memory}}) == mib


@given(st.integers(640 * 2**20, 2**42))
def test_a_limit_that_spark_can_not_say_is_below_the_memory_given_by_less_than_a_mebibyte(
    count: int,
) -> None:
    limit = limit_mib({"resources": {"memory": str(count)}}) * 2**20
    assert 0 <= count - limit < 2**20


@pytest.mark.parametrize("memory", ["1Gi", "1G", "1.5Gi", "700000k"])
def test_the_probe_asks_for_what_spark_will(memory: str) -> None:
    of = experiment(template={"resources": {"memory": memory, "cpu": "500m"}})
    resources = main_container(manifests.executor_probe(of, SETTINGS))["resources"]
    expected = limit_mib({"resources": {"memory": memory}}) * 2**20
    assert memory_bytes(resources["limits"]["memory"]) == expected
    assert resources["requests"] == {"cpu": "500m", "memory": resources["limits"]["memory"]}
    assert spark_conf(of, SETTINGS)["spark.kubernetes.executor.request.cores"] == "500m"


def test_without_gpus_none_is_asked_for() -> None:
    for template in (None, {"resources": {"gpu": {"count": 0}}}):
        assert "resources" not in main_container(executor(template))
        data = config(experiment(template=template))["data"]
        assert not any("nvidia" in data[name] for name in ("driver.json", "executor-pod.json"))


def test_gpus_are_a_limit_of_the_executor_only() -> None:
    given_template = {"resources": {"gpu": {"count": 2}}}
    limits_of = main_container(executor(given_template))["resources"]["limits"]
    assert limits_of == {"nvidia.com/gpu": "2"}
    assert "nvidia.com" not in json.dumps(driver(given_template))


def test_gpus_may_have_another_name() -> None:
    given_template = {"resources": {"gpu": {"count": 1, "resourceName": "amd.com/gpu"}}}
    limits_of = main_container(executor(given_template))["resources"]["limits"]
    assert limits_of == {"amd.com/gpu": "1"}


def test_the_driver_has_the_size_of_the_operators_settings() -> None:
    settings = Settings(driver_cpu="2", driver_memory="3Gi")
    pod = manifests.driver_pod(experiment(), 0, settings, spark_secret="spark")
    assert main_container(pod)["resources"] == {
        "requests": {"cpu": "2", "memory": "3Gi"},
        "limits": {"memory": "3Gi"},
    }


# ---------------------------------------------------------------------- where pods run


def test_node_selector_and_affinity_are_the_executors_alone() -> None:
    spec = executor(FULL)["spec"]
    assert spec["nodeSelector"] == {"accelerator": "nvidia-a100"}
    terms = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (term,) = terms["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "zone", "operator": "In", "values": ["a"]}]
    assert not {"nodeSelector", "affinity"} & set(driver(FULL)["spec"])


def test_priority_and_pull_secrets_are_for_both() -> None:
    for pod in (driver(FULL), executor(FULL)):
        assert pod["spec"]["priorityClassName"] == "low"
        assert pod["spec"]["imagePullSecrets"] == [{"name": "pull"}]
    for pod in (driver(), executor()):
        assert not {"priorityClassName", "imagePullSecrets"} & set(pod["spec"])


@pytest.mark.parametrize("make", [driver, executor])
def test_tolerations_are_for_both_and_end_what_waits_for_a_lost_node(make: Any) -> None:
    tolerations = make(FULL)["spec"]["tolerations"]
    assert tolerations[0] == {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}
    ours = {item["key"]: item["tolerationSeconds"] for item in tolerations[1:]}
    assert set(ours) == {NOT_READY, UNREACHABLE}
    assert all(15 <= seconds <= 60 for seconds in ours.values())


@pytest.mark.parametrize("make", [driver, executor])
@pytest.mark.parametrize(
    ("given_toleration", "left"),
    [
        (
            {
                "key": UNREACHABLE,
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 600,
            },
            {NOT_READY},
        ),
        ({"key": NOT_READY, "operator": "Exists"}, {UNREACHABLE}),
        ({"operator": "Exists"}, set()),
        ({"operator": "Exists", "effect": "NoSchedule"}, {NOT_READY, UNREACHABLE}),
    ],
)
def test_the_users_tolerations_of_a_lost_node_win(
    make: Any, given_toleration: dict[str, Any], left: set[str]
) -> None:
    tolerations = make({"tolerations": [given_toleration]})["spec"]["tolerations"]
    assert tolerations[0] == given_toleration
    assert {item["key"] for item in tolerations[1:]} == left


# ---------------------------------------------------------------------- what pods may do


@pytest.mark.parametrize(
    "pod",
    [
        driver(),
        driver(FULL),
        executor(),
        executor(FULL),
        manifests.executor_probe(experiment(template=FULL), SETTINGS),
    ],
)
def test_every_pod_passes_pod_securitys_restricted_profile(pod: dict[str, Any]) -> None:
    assert violations(pod) == []


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        ("securityContext", {}, "runAsNonRoot"),
        ("hostNetwork", True, "hostNetwork"),
        ("volumes", [{"name": "host", "hostPath": {"path": "/"}}], "hostPath"),
        ("containers", [{"name": "c"}], "allowPrivilegeEscalation"),
    ],
)
def test_the_checker_of_the_profile_finds_violations(path: str, value: Any, word: str) -> None:
    pod = driver()
    pod["spec"] = {**pod["spec"], path: value}
    assert any(word in text for text in violations(pod))


def test_executors_have_no_token_and_no_rights() -> None:
    for pod in (executor(FULL), manifests.executor_probe(experiment(), SETTINGS)):
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["serviceAccountName"] == "default"
    volumes = json.dumps(executor(FULL)["spec"]["volumes"])
    assert "serviceAccountToken" not in volumes


def test_the_viewer_can_read_the_run_directory_and_nothing_else() -> None:
    pod = driver()
    shows, drives = viewer(pod), main_container(pod)
    mounts = {mount["name"]: mount for mount in shows["volumeMounts"]}
    assert set(mounts) == {"viewer-scratch", "run"}
    assert mounts["run"]["readOnly"] is True
    assert mounts["run"]["mountPath"] == "/var/lib/sparksweep"
    (directory,) = [item for item in shows["env"] if item["name"] == "SPARKSWEEP_RUN_DIRECTORY"]
    assert directory["value"].startswith("/var/lib/sparksweep/digits-")
    assert directory in drives["env"]
    assert shows["resources"]["limits"]


def test_tensorboard_runs_in_the_viewer_behind_a_service_that_outlives_the_driver() -> None:
    of = experiment()
    shows = viewer(
        manifests.driver_pod(of, 0, Settings(tensorboard_memory="3Gi"), spark_secret="spark")
    )
    assert {"name": "SPARKSWEEP_TENSORBOARD", "value": NAME} in shows["env"]
    assert shows["resources"]["limits"] == {"memory": "3Gi"}
    (port,) = shows["ports"]
    service = manifests.tensorboard_service(of)
    assert service is not None
    assert service["spec"]["ports"][0]["port"] == port["containerPort"]
    assert service["spec"]["selector"].items() <= driver()["metadata"]["labels"].items()
    assert service["spec"]["publishNotReadyAddresses"] is True
    address = manifests.tensorboard_address(of, "digits-driver-0")
    assert address == f"http://{service['metadata']['name']}.{NAMESPACE}.svc:6006/"
    assert manifests.tensorboard_address(of, None) is None
    assert json.loads(config(of)["data"]["driver.json"])["tensorboard"] is True


def test_without_tensorboard_nothing_of_it_is_made() -> None:
    of = experiment(tensorboard={"enabled": False})
    pod = manifests.driver_pod(of, 0, SETTINGS, spark_secret="spark")
    assert "TENSORBOARD" not in json.dumps(pod)
    assert "ports" not in viewer(pod)
    assert manifests.tensorboard_service(of) is None
    assert manifests.tensorboard_address(of, "digits-driver-0") is None
    assert json.loads(config(of)["data"]["driver.json"])["tensorboard"] is False


STORED = {
    "persistentVolumeClaim": {"claimName": "runs"},
    "sizeLimit": "10Mi",
    "uri": "s3://bucket/experiments/",
    "secretName": "keys",
}


def test_the_run_directory_may_be_in_a_claim_or_goes_with_the_pod() -> None:
    (volume,) = [item for item in driver()["spec"]["volumes"] if item["name"] == "run"]
    assert volume["emptyDir"] == {"sizeLimit": "10Gi"}
    of = experiment(storage=STORED)
    pod = manifests.driver_pod(of, 0, SETTINGS, spark_secret="spark")
    (volume,) = [item for item in pod["spec"]["volumes"] if item["name"] == "run"]
    assert volume == {"name": "run", "persistentVolumeClaim": {"claimName": "runs"}}
    for container in pod["spec"]["containers"]:
        (mount,) = [item for item in container["volumeMounts"] if item["name"] == "run"]
        assert mount["subPath"] == "digits-uid-of-d"
        assert mount["mountPath"] == "/var/lib/sparksweep/digits-uid-of-d"
    settings = json.loads(config(of)["data"]["driver.json"])
    assert settings["runBytes"] == 9 * 2**20
    assert settings["storageUri"] == "s3://bucket/experiments/"
    assert violations(pod) == []


def test_a_stores_credentials_are_the_drivers_alone() -> None:
    of = experiment(storage=STORED)
    pod = manifests.driver_pod(of, 0, SETTINGS, spark_secret="spark")
    drives = main_container(pod)
    assert "envFrom" not in drives
    assert {"name": "storage", "mountPath": "/etc/sparksweep/storage", "readOnly": True} in drives[
        "volumeMounts"
    ]
    for other in (viewer(pod), manifests.executor_pod(of)):
        assert "keys" not in json.dumps(other)
    assert '"secretRef"' not in json.dumps(driver())
    assert "/etc/sparksweep/storage" not in json.dumps(driver())


def test_the_status_says_where_results_are_that_outlive_the_pod() -> None:
    name = "digits-uid-of-d"
    at = manifests.results_location(experiment(), "digits-driver-0")
    assert at == f"pod/digits-driver-0:/var/lib/sparksweep/{name}"
    assert manifests.results_location(experiment(), None) is None
    stored = experiment(storage=STORED)
    assert manifests.results_location(stored, None) == f"s3://bucket/experiments/{name}"
    claimed = experiment(storage={"persistentVolumeClaim": {"claimName": "runs"}})
    assert manifests.results_location(claimed, None) == f"persistentvolumeclaim/runs:/{name}"


def test_the_drivers_token_is_its_containers_alone() -> None:
    pod = driver()
    assert pod["spec"]["automountServiceAccountToken"] is False
    path = "/var/run/secrets/kubernetes.io/serviceaccount"
    assert path in [mount["mountPath"] for mount in main_container(pod)["volumeMounts"]]
    assert "token" not in json.dumps(viewer(pod))
    (volume,) = [item for item in pod["spec"]["volumes"] if item["name"] == "token"]
    files = json.dumps(volume["projected"]["sources"])
    assert '"path": "token"' in files
    assert '"path": "ca.crt"' in files


def test_the_drivers_account_is_that_of_the_operators_settings() -> None:
    pod = manifests.driver_pod(
        experiment(), 0, Settings(driver_service_account="drivers"), spark_secret="spark"
    )
    assert pod["spec"]["serviceAccountName"] == "drivers"


def test_the_users_volumes_and_variables_are_the_executors_alone() -> None:
    container, spec = main_container(executor(FULL)), executor(FULL)["spec"]
    assert {"name": "MODE", "value": "fast"} in container["env"]
    mounts = {item["name"]: item for item in container["volumeMounts"]}
    assert mounts["keys"] == {"name": "keys", "mountPath": "/keys", "readOnly": True}
    volumes = {item["name"]: item for item in spec["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == "train"
    assert volumes["shm"]["emptyDir"] == {"medium": "Memory"}
    assert set(mounts) == set(volumes), "what is mounted is there, and the other way round"
    text = json.dumps(driver(FULL))
    assert not any(word in text for word in ("claimName", "secretKeyRef", "MODE", "user:7"))


def test_both_can_write_where_they_must_and_nowhere_else() -> None:
    for pod in (driver(), executor()):
        container = main_container(pod)
        volumes = {item["name"]: item for item in pod["spec"]["volumes"]}
        writable = {
            mount["mountPath"]
            for mount in container["volumeMounts"]
            if not mount.get("readOnly") and "emptyDir" in volumes[mount["name"]]
        }
        assert writable == {"/tmp", "/var/lib/sparksweep"}
    # Every container has /dev/shm, too. Slots remove what trials leave there.
    (cleared,) = [
        item["value"] for item in main_container(executor())["env"] if item["name"] == CLEARED_ENV
    ]
    assert set(cleared.split(":")) == {*writable, "/dev/shm"}


# ---------------------------------------------------------------------- trial code


def test_inline_source_is_in_a_config_map_that_the_driver_does_not_mount() -> None:
    of = experiment(template=FULL)
    code = manifests.code_config_map(of)
    assert code is not None
    assert list(code["data"].values()) == [INLINE]
    for body in (config(of), manifests.driver_pod(of, 0, SETTINGS, spark_secret="spark")):
        assert SECRET not in json.dumps(body)
    assert code["metadata"]["name"] not in json.dumps(
        manifests.driver_pod(of, 0, SETTINGS, spark_secret="spark")
    )


def test_a_functions_source_is_in_the_file_of_its_module() -> None:
    of = experiment(template={"function": "train:training", "source": {"inline": INLINE}})
    volumes = {item["name"]: item for item in manifests.executor_pod(of)["spec"]["volumes"]}
    code = manifests.code_config_map(of)
    assert code is not None
    (key,) = code["data"]
    assert volumes["sparksweep-code"]["configMap"] == {
        "name": code["metadata"]["name"],
        "items": [{"key": key, "path": "train.py"}],
    }
    (directory,) = program_of(of).search_path
    mounts = main_container(manifests.executor_pod(of))["volumeMounts"]
    assert {"name": "sparksweep-code", "mountPath": directory, "readOnly": True} in mounts


def test_a_config_map_of_the_users_is_mounted_and_none_is_made() -> None:
    source = {"configMap": {"name": "mine", "key": "train.py"}}
    of = experiment(template={"source": source})
    assert manifests.code_config_map(of) is None
    volumes = {item["name"]: item for item in manifests.executor_pod(of)["spec"]["volumes"]}
    assert volumes["sparksweep-code"]["configMap"] == {
        "name": "mine",
        "items": [{"key": "train.py", "path": "train.py"}],
    }
    assert "mine" not in json.dumps(driver({"source": source}))


def test_without_a_source_no_code_is_mounted() -> None:
    of = experiment()
    assert manifests.code_config_map(of) is None
    assert "sparksweep-code" not in json.dumps(manifests.executor_pod(of))
    assert program_of(of).search_path == []


# ---------------------------------------------------------------------- what the driver reads


def program_of(of: Experiment) -> Program:
    return Program.model_validate_json(config(of)["data"]["program.json"])


COMMAND: dict[str, Any] = {
    "command": ["python", "train.py", "--x=${trialParameters.x}"],
    "trialParameters": [{"name": "x", "reference": "x"}],
}


@pytest.mark.parametrize("template", [None, FULL, {"source": {"inline": INLINE}}])
def test_the_program_is_one_that_the_trainer_takes(template: dict[str, Any] | None) -> None:
    of = experiment(template=template)
    program = program_of(of)
    assert program.experiment == NAME
    assert program.parameters == of.spec.parameters
    assert program.objective == of.spec.objective
    assert program.trial_template == of.spec.trial_template.model_copy(update={"source": None})


@pytest.mark.parametrize("source", [None, {"inline": INLINE}])
def test_a_commands_source_is_a_file_that_it_finds(source: dict[str, Any] | None) -> None:
    body = experiment_body(template=COMMAND | ({"source": source} if source else {}))
    del body["spec"]["trialTemplate"]["function"]
    if source:
        body["spec"]["trialTemplate"]["command"] = [
            "python",
            "${trialSource}",
            COMMAND["command"][2],
        ]
    of = parse_experiment(body)
    program = program_of(of)
    assert program.search_path == []
    (mounted,) = [
        item["configMap"]["items"][0]["path"]
        for item in manifests.executor_pod(of)["spec"]["volumes"]
        if item["name"] == "sparksweep-code"
    ] or [None]
    expected = f"/opt/sparksweep/code/{mounted}" if mounted else None
    assert program.source_file == expected


def test_a_program_without_an_objective_is_taken_too() -> None:
    of = experiment()
    spec = of.spec.model_copy(update={"objective": None})
    assert program_of(of.model_copy(update={"spec": spec})).objective is None


def test_the_drivers_settings_name_what_its_pod_has() -> None:
    data = config(experiment())["data"]
    settings = json.loads(data["driver.json"])
    assert settings["experiment"] == NAME
    conf = settings["spark"]
    assert all(isinstance(value, str) for value in conf.values())
    container = main_container(driver(number=7))
    variables = {item["name"]: item for item in container["env"]}
    used = set(re.findall(r"\$\((\w+)\)", json.dumps(conf)))
    assert used <= set(variables)
    assert variables["EXECUTOR_PREFIX"]["value"] == "digits-7"
    mounts = {item["name"]: item["mountPath"] for item in container["volumeMounts"]}
    template_file = conf["spark.kubernetes.executor.podTemplateFile"]
    assert template_file == f"{mounts['config']}/executor-pod.json"
    assert json.loads(data["executor-pod.json"]) == executor()
    (volume,) = (item for item in driver()["spec"]["volumes"] if item["name"] == "config")
    assert volume["configMap"]["name"] == config(experiment())["metadata"]["name"]


CHANGES: dict[str, dict[str, Any]] = {
    "a parameter": {"parameters": [{"name": "y", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "3"}}]},
    "the executors": {"template": {"nodeSelector": {"zone": "b"}}},
    "the driver": {"storage": {"sizeLimit": "1Gi"}},
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_config_map_of_other_content_has_another_name_and_none_can_change(change: str) -> None:
    bodies = [config(experiment()), config(experiment(**CHANGES[change]))]
    assert bodies[0]["data"] != bodies[1]["data"]
    assert bodies[0]["metadata"]["name"] != bodies[1]["metadata"]["name"]
    assert [body["immutable"] for body in bodies] == [True, True]


def test_a_later_experiment_of_the_same_name_has_config_maps_of_its_own() -> None:
    body = experiment_body(template={"source": {"inline": INLINE}})
    body["metadata"]["uid"] = "another"
    first, later = experiment(template={"source": {"inline": INLINE}}), parse_experiment(body)
    assert names_of(first).isdisjoint(names_of(later))


def names_of(of: Experiment) -> set[str]:
    code = manifests.code_config_map(of)
    assert code is not None
    return {body["metadata"]["name"] for body in (config(of), code)}


def seal_in(container: dict[str, Any], variable: str) -> Seal:
    (text,) = [item["value"] for item in container["env"] if item["name"] == variable]
    return Seal.from_json(text)


def test_each_file_that_a_driver_reads_is_sealed_in_its_pod() -> None:
    of = experiment(template=FULL)
    seal = seal_in(
        main_container(manifests.driver_pod(of, 0, SETTINGS, spark_secret="spark")), CONFIG_SEAL_ENV
    )
    assert seal.config_map == config(of)["metadata"]["name"]
    assert set(seal.hashes) == set(config(of)["data"])
    for path, text in config(of)["data"].items():
        seal.check(path, text.encode())
        with pytest.raises(ChangedFile, match=f"{path} of ConfigMap {seal.config_map}"):
            seal.check(path, text.encode() + b" ")


@pytest.mark.parametrize(
    ("function", "path"),
    [("train:training", "train.py"), ("mine:training", "mine.py"), (None, "trial_source.py")],
)
def test_the_inline_source_is_sealed_in_the_executors_pods_where_it_is_mounted(
    function: str | None, path: str
) -> None:
    source = {"source": {"inline": INLINE}}
    body = experiment_body(template={"function": function, **source} if function else {**COMMAND, **source})  # fmt: skip
    if function is None:
        del body["spec"]["trialTemplate"]["function"]
        body["spec"]["trialTemplate"]["command"] = ["python", "${trialSource}", COMMAND["command"][2]]  # fmt: skip
    of = parse_experiment(body)
    pod, code = manifests.executor_pod(of), manifests.code_config_map(of)
    assert code is not None
    seal = seal_in(main_container(pod), CODE_SEAL_ENV)
    seal.check(path, INLINE.encode())
    (volume,) = [it["configMap"] for it in pod["spec"]["volumes"] if it["name"] == "sparksweep-code"]  # fmt: skip
    assert (volume["name"], volume["items"][0]["path"]) == (seal.config_map, path)
    assert code["metadata"]["name"] == seal.config_map


def test_code_of_the_users_own_config_map_is_not_sealed() -> None:
    source = {"configMap": {"name": "mine", "key": "train.py"}}
    assert CODE_SEAL_ENV not in json.dumps(executor({"source": source}))
    assert CODE_SEAL_ENV not in json.dumps(executor())


def test_the_drivers_config_map_is_the_same_for_every_driver() -> None:
    of = experiment(template=FULL)
    assert config(of) == config(of)
    assert "driver-0" not in json.dumps(config(of))


def test_images_are_the_users_for_executors_and_ours_for_the_driver() -> None:
    assert main_container(driver(FULL))["image"] == SETTINGS.trainer_image
    conf = spark_conf(experiment(template=FULL), SETTINGS)
    assert conf["spark.kubernetes.container.image"] == "registry.example/user:7"
    assert conf["spark.kubernetes.container.image.pullPolicy"] == "Always"
    conf = spark_conf(experiment(), SETTINGS)
    assert conf["spark.kubernetes.container.image"] == SETTINGS.trainer_image
    assert conf["spark.kubernetes.container.image.pullPolicy"] == SETTINGS.image_pull_policy


def test_spark_is_secured_and_counts_no_failures() -> None:
    conf = spark_conf(experiment(), SETTINGS)
    assert conf["spark.authenticate"] == "true"
    assert conf["spark.network.crypto.enabled"] == "true"
    assert int(conf["spark.executor.maxNumFailures"]) >= limits.TRIALS


# ---------------------------------------------------------------------- names, labels, owners


def objects(of: Experiment, number: int) -> list[dict[str, Any]]:
    code, service = manifests.code_config_map(of), manifests.tensorboard_service(of)
    assert code is not None
    assert service is not None
    return [
        manifests.driver_pod(of, number, SETTINGS, spark_secret="spark"),
        manifests.driver_config_map(of, SETTINGS),
        code,
        service,
    ]


@given(
    st.from_regex(r"\A[a-z]([-a-z0-9]{0,38}[a-z0-9])?\Z").filter(lambda name: len(name) <= 40),
    st.integers(0, 9999),
)
def test_names_are_never_too_long(name: str, number: int) -> None:
    of = experiment(name, template={"source": {"inline": INLINE}})
    names = [body["metadata"]["name"] for body in objects(of, number)]
    assert all(re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", item) for item in names)
    assert len(set(names)) == 4
    assert max(len(item) for item in [*names, batch_name(name, 9999)]) <= 63
    assert driver_number(names[0]) == number
    # Spark's own limit, so that "-exec-1000000" and a service's suffix fit.
    assert len(executor_prefix(name, number)) <= 47


def test_the_longest_name_with_the_highest_number_fits() -> None:
    of = experiment("e" * 40, template={"source": {"inline": INLINE}})
    assert {len(body["metadata"]["name"]) for body in objects(of, 9999)} == {52, 58, 60}
    assert len(executor_prefix("e" * 40, 9999)) == 45


@pytest.mark.parametrize(
    "name", ["other", "digits", "digits-code-driver-x", "a-driver", "driver-3"]
)
def test_a_name_that_is_no_drivers_has_no_number(name: str) -> None:
    assert driver_number(name) is None


def test_everything_is_labelled_and_owned_by_its_experiment() -> None:
    for body in objects(experiment(template=FULL), 3):
        metadata = body["metadata"]
        assert metadata["namespace"] == NAMESPACE
        assert metadata["labels"][EXPERIMENT_LABEL] == NAME
        (owner,) = metadata["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("Experiment", NAME, UID)
        assert owner["controller"] is True
    assert driver()["metadata"]["labels"][ROLE_LABEL] == "driver"
    assert executor()["metadata"]["labels"][ROLE_LABEL] == "executor"
    assert executor()["metadata"]["labels"][EXPERIMENT_LABEL] == NAME


# ---------------------------------------------------------------------- what a cluster can't run


@pytest.mark.parametrize("memory", ["639Mi", "256Mi", "600M", "671088639"])
def test_too_little_memory_for_spark_is_said_with_the_field_and_the_least(memory: str) -> None:
    (error,) = manifests.check_cluster(
        experiment(template={"resources": {"memory": memory}}), SETTINGS
    )
    assert error.path == "spec.trialTemplate.resources.memory"
    assert str(error).startswith(f"spec.trialTemplate.resources.memory: {memory}: ")
    assert "at least 640Mi" in error.message


@pytest.mark.parametrize("memory", ["640Mi", "671088640", "1G", "2Gi"])
def test_enough_memory_for_spark_is_enough(memory: str) -> None:
    assert (
        manifests.check_cluster(experiment(template={"resources": {"memory": memory}}), SETTINGS)
        == []
    )


# ---------------------------------------------------------------------- Spark's secret


def test_sparks_secret_is_no_value_in_any_pod_or_config_map() -> None:
    of = experiment(template=FULL)
    value = b"\x01" * manifests.SECRET_BYTES
    secret = manifests.spark_secret(of, "digits-driver-0-abc", value)
    assert base64.b64decode(secret["data"]["spark-secret"]) == value
    assert secret["immutable"] is True
    assert secret["metadata"]["ownerReferences"][0]["uid"] == of.metadata.uid
    pods = (
        manifests.driver_pod(of, 0, SETTINGS, spark_secret="digits-driver-0-abc"),
        manifests.executor_pod(of),
    )
    for pod in pods:
        (volume,) = [
            item for item in pod["spec"]["volumes"] if item["name"] == "sparksweep-spark-secret"
        ]
        assert volume["secret"]["defaultMode"] == 0o440
        (mount,) = [
            item
            for item in main_container(pod)["volumeMounts"]
            if item["name"] == "sparksweep-spark-secret"
        ]
        assert (mount["mountPath"], mount["readOnly"]) == ("/etc/sparksweep/spark", True)
        for text in (value.decode(), secret["data"]["spark-secret"], value.hex()):
            assert text not in json.dumps(pod)
    assert "sparksweep-spark-secret" not in json.dumps(viewer(pods[0]))
    conf = spark_conf(of, SETTINGS)
    assert conf["spark.authenticate.secret.file"] == "/etc/sparksweep/spark/spark-secret"
    # Spark refuses settings of its own among these options.
    assert "-Dspark" not in conf["spark.executor.extraJavaOptions"]


def test_a_driver_puts_the_name_of_its_secret_into_its_executors_template(tmp_path: Path) -> None:
    source, target = tmp_path / "source.json", tmp_path / "target.json"
    pod = executor(FULL)
    source.write_text(json.dumps(pod))
    write_template(source, target, spark_secret="digits-driver-3-abc")
    written = json.loads(target.read_text())
    text = json.dumps(pod).replace('"set-by-the-driver"', '"digits-driver-3-abc"')
    assert written == json.loads(text)
    assert written != pod


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"spec": {"volumes": []}}', "{", "null"])
def test_a_template_without_the_secrets_volume_is_refused(content: str, tmp_path: Path) -> None:
    source = tmp_path / "source.json"
    source.write_text(content)
    with pytest.raises(ValueError, match=r"sparksweep-spark-secret|Expecting"):
        write_template(source, tmp_path / "target.json", spark_secret="one")
    assert not (tmp_path / "target.json").exists()


# ---------------------------------------------------------------------- the URIs that a cluster allows


@pytest.mark.parametrize(
    ("uri", "allowed"),
    [
        ("s3://bucket/runs", True), ("s3://bucket/runs/", True), ("s3://bucket/runs/a/b", True),
        ("s3://key:secret@bucket/runs/a", True), ("s3://bucket/runs?region=eu-1", True),
        ("gs://all", True), ("gs://all/x", True), ("s3://bucket/runs-of-others", False),
        ("s3://bucket", False), ("s3://bucket/", False), ("s3://bucket/other/runs", False),
        ("s3://other/bucket/runs", False), ("gs://allofit/x", False), ("gs://bucket/runs", False),
        ("s3://bucket@evil/runs", False), ("s3://bucket/RUNS/a", False), ("file:///bucket/runs", False),
        ("s3://bucket/run%73/a", True), ("s3://bucket.evil/runs", False),
    ],
)  # fmt: skip
def test_a_cluster_may_allow_some_uris_alone(uri: str, allowed: bool) -> None:
    settings = Settings(storage_uris="s3://bucket/runs/ gs://all")
    errors = manifests.check_cluster(experiment(storage={"uri": uri}), settings)
    assert [error.path for error in errors] == ([] if allowed else ["spec.storage.uri"])
    assert manifests.check_cluster(experiment(storage={"uri": uri}), SETTINGS) == []
    if errors:
        assert "s3://bucket/runs/, gs://all" in errors[0].message
