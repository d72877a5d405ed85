"""Settings of a driver's process: the operator writes them, the driver reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sparksweep_core.api import Experiment
from sparksweep_core.contract import environment as env
from sparksweep_core.contract.driver_config import DRIVER_GRACE_S, DriverConfig
from sparksweep_operator import manifests
from sparksweep_operator.settings import Settings
from sparksweep_trainer.kubernetes import application
from sparksweep_trainer.kubernetes.settings import ClusterSettings, SettingsError, load
from support.operator.operator_objects import NAME, NAMESPACE, experiment

ADDRESSES = {
    "KUBERNETES_SERVICE_HOST": "10.0.0.1",
    "KUBERNETES_SERVICE_PORT": "443",
    env.POD_IP_ENV: "10.1.0.7",
}
FIELDS = {"metadata.name": f"{NAME}-driver-7", "metadata.namespace": NAMESPACE}


def as_read(of: Experiment, directory: Path, data: dict[str, str] | None = None) -> ClusterSettings:
    """Return the settings that the driver of that pod reads; `data` replaces that of its ConfigMap."""
    for name, text in (data or manifests.driver_config_map(of, Settings())["data"]).items():
        (directory / name).write_text(text)
    variables = environment_of(of, directory)
    if data is not None:
        # As an older operator's pod: the wrong files are found by their content alone.
        del variables[env.CONFIG_SEAL_ENV]
    return load(variables)


def environment_of(of: Experiment, directory: Path) -> dict[str, str]:
    """Return the environment of that pod's driver, whose ConfigMap is mounted at `directory`."""
    container = manifests.driver_pod(of, 7, Settings(), spark_secret="spark")["spec"]["containers"][
        0
    ]
    variables = {
        item["name"]: item.get("value") or FIELDS[item["valueFrom"]["fieldRef"]["fieldPath"]]
        for item in container["env"]
        if item["name"] not in ADDRESSES
    }
    return {**ADDRESSES, **variables, env.DRIVER_CONFIG_ENV: str(directory)}


EVIL_POD = json.dumps(
    {"spec": {"hostPID": True, "containers": [{"securityContext": {"privileged": True}}]}}
)


@pytest.mark.parametrize("name", ["driver.json", "program.json", "executor-pod.json"])
@pytest.mark.parametrize("change", ["another", "one more byte", "one byte less", "empty"])
def test_a_file_that_the_operator_did_not_write_is_refused_with_its_config_map(
    name: str, change: str, tmp_path: Path
) -> None:
    of = experiment()
    config_map = manifests.driver_config_map(of, Settings())
    for file, text in config_map["data"].items():
        (tmp_path / file).write_text(text)
    text = config_map["data"][name]
    changed = {"another": EVIL_POD, "one more byte": text + "\n", "one byte less": text[:-1], "empty": ""}  # fmt: skip
    (tmp_path / name).write_text(changed[change])
    with pytest.raises(SettingsError) as refused:
        load(environment_of(of, tmp_path))
    for word in (name, config_map["metadata"]["name"], "was replaced", "Delete it"):
        assert word in str(refused.value)


def test_a_file_that_changes_after_the_drivers_start_changes_nothing(tmp_path: Path) -> None:
    of = experiment()
    settings = as_read(of, tmp_path)
    (tmp_path / "executor-pod.json").write_text(EVIL_POD)
    read_by_spark = Path(settings.conf["spark.kubernetes.executor.podTemplateFile"])
    assert json.loads(read_by_spark.read_text()) == manifests.executor_pod(of)


def test_a_file_that_nobody_sealed_is_not_read(tmp_path: Path) -> None:
    """A jar beside the configuration is mounted, too: no setting of the operator's names it."""
    of = experiment()
    data = manifests.driver_config_map(of, Settings())["data"]
    (tmp_path / "agent.jar").write_bytes(b"PK")
    settings = as_read(of, tmp_path)
    mounted = [value for value in settings.conf.values() if "/etc/sparksweep/driver" in value]
    assert mounted == []
    assert "agent.jar" not in json.dumps(data)


def test_a_driver_of_an_older_operator_reads_what_is_mounted(tmp_path: Path) -> None:
    of = experiment()
    settings = as_read(of, tmp_path, dict(manifests.driver_config_map(of, Settings())["data"]))
    template = settings.conf["spark.kubernetes.executor.podTemplateFile"]
    assert template == "/etc/sparksweep/driver/executor-pod.json"


@pytest.mark.parametrize("seal", ["{", "[]", '"x"', "{}", '{"configMap": "c", "sha256": 1}'])
def test_a_seal_that_is_none_is_refused(seal: str, tmp_path: Path) -> None:
    of = experiment()
    for name, text in manifests.driver_config_map(of, Settings())["data"].items():
        (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError, match=r"seal|JSON"):
        load({**environment_of(of, tmp_path), env.CONFIG_SEAL_ENV: seal})


def test_a_driver_reads_what_the_operator_has_written(tmp_path: Path) -> None:
    of = experiment(
        template={"source": {"inline": "def training(x):\n    return x\n"}},
        storage={"sizeLimit": "10Mi", "uri": "s3://bucket/runs"},
        tensorboard={"enabled": False},
    )
    settings = as_read(of, tmp_path)
    assert (settings.experiment, settings.namespace) == (NAME, NAMESPACE)
    assert (settings.driver, settings.host) == (f"{NAME}-driver-7", "10.1.0.7")
    assert settings.executor_prefix == f"{NAME}-7-exec-"
    assert settings.run_directory == Path("/var/lib/sparksweep/digits-uid-of-d")
    assert settings.run_bytes == 9 * 2**20
    assert settings.storage_uri == "s3://bucket/runs"
    assert settings.tensorboard is False
    assert settings.endpoint.server == "https://10.0.0.1:443"
    assert settings.conf["spark.kubernetes.driver.pod.name"] == settings.driver
    assert settings.conf["spark.driver.host"] == settings.host
    assert not any("$(" in value for value in settings.conf.values())
    program = settings.program
    assert (program.parameters, program.objective) == (of.spec.parameters, of.spec.objective)
    assert program.search_path == ["/opt/sparksweep/code"]
    assert program.trials_directory == "/var/lib/sparksweep/trials"
    assert program.sends_files
    assert program.limit_is_container, "the driver knows by the master that the limit is a pod's"


def test_the_config_map_has_no_field_that_is_the_drivers_to_set() -> None:
    data = manifests.driver_config_map(experiment(), Settings())["data"]
    assert set(json.loads(data["program.json"])) == {
        "experiment", "objective", "parameters", "searchPath", "sendsFiles", "trialTemplate", "trialsDirectory",
    }  # fmt: skip
    assert set(json.loads(data["driver.json"])) == {
        "experiment", "master", "runBytes", "spark", "tensorboard", "trialsGraceS",
    }  # fmt: skip


LOCAL = DriverConfig(experiment=NAME, master="local[2]", spark={})


@pytest.mark.parametrize(
    ("driver", "words"),
    [
        (None, ["driver.json", "FileNotFoundError"]),
        ("{", ["Invalid JSON"]),
        ({"experiment": NAME, "master": "local[2]"}, ["driver.json", "spark: is missing"]),
        (LOCAL.to_dict() | {"runBytes": "1Gi"}, ["runBytes", '"1Gi" is not']),
        (LOCAL.to_dict() | {"spark": {"spark.driver.port": 7078}}, ["spark.driver.port", "7078 is a number"]),
    ],
)  # fmt: skip
def test_a_configuration_that_can_not_be_read_is_said_with_its_directory(
    driver: Any, words: list[str], tmp_path: Path
) -> None:
    data = dict(manifests.driver_config_map(experiment(), Settings())["data"])
    del data["driver.json"]
    if driver is not None:
        data["driver.json"] = driver if isinstance(driver, str) else json.dumps(driver)
    with pytest.raises(SettingsError) as refused:
        as_read(experiment(), tmp_path, data)
    for word in [str(tmp_path), *words]:
        assert word in str(refused.value)


def test_a_variable_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "driver.json").write_text(LOCAL.to_json())
    data = manifests.driver_config_map(experiment(), Settings())["data"]
    (tmp_path / "program.json").write_text(data["program.json"])
    with pytest.raises(SettingsError, match="the environment variable POD_NAMESPACE is missing"):
        load({env.DRIVER_CONFIG_ENV: str(tmp_path)})


@pytest.mark.parametrize(("given", "grace_s"), [({}, 10), (0, 0), (1, 1), (120, 120), (3600, 3600)])
def test_trials_end_in_their_own_time_and_statuses_are_written_before_the_pod_is_killed(
    given: Any, grace_s: int, tmp_path: Path
) -> None:
    fields = {} if given == {} else {"terminationGracePeriodSeconds": given}
    of = experiment(template={"function": "train:training", **fields})
    pod = manifests.driver_pod(of, 0, Settings(), spark_secret="spark")
    assert pod["spec"]["terminationGracePeriodSeconds"] == grace_s + DRIVER_GRACE_S
    data = manifests.driver_config_map(of, Settings())["data"]
    assert as_read(of, tmp_path, data).trials_grace_s == grace_s
    # Trials; slots, Spark and Java; the executors' pods, and the statuses.
    longest_s = application.INTERRUPT_S + 3 * application.END_S + 2 * application.FLUSH_S
    assert longest_s < DRIVER_GRACE_S
