"""The environment of a fork server and of its trials: what goes in, what stays out, who wins."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from sparksweep_core.api import TrialTemplate
from sparksweep_core.api.environment import EnvVar, EnvVarSource, SecretKeyRef
from sparksweep_core.api.template import Gpu, Resources
from sparksweep_core.contract.environment import RUNNER_ENV
from sparksweep_trainer.slot.environment import (
    THREAD_VARIABLES,
    server_environment,
    trial_environment,
)


def environment(base: dict[str, str] | None = None, **template: Any) -> dict[str, str]:
    return server_environment(
        TrialTemplate(function="train:training", **template), base=base or {}, marker="m1"
    )


@pytest.mark.parametrize(("cpu", "threads"), [("1", "1"), ("4", "4"), ("500m", "1"), ("2.5", "3")])
def test_libraries_use_as_many_threads_as_the_trial_has_cpus(cpu: str, threads: str) -> None:
    # Spark sets this one by its own cores.
    variables = environment({"OMP_NUM_THREADS": "64"}, resources=Resources(cpu=cpu))
    assert {variables[name] for name in THREAD_VARIABLES} == {threads}


def test_the_experiments_own_variables_win() -> None:
    variables = environment(
        {"DATA": "/old"},
        env=[
            EnvVar(name="OMP_NUM_THREADS", value="7"),
            EnvVar(name="DATA", value="/new"),
            EnvVar(name="CUDA_VISIBLE_DEVICES", value="0"),
        ],
    )
    assert variables["OMP_NUM_THREADS"] == "7"
    assert variables["DATA"] == "/new"
    assert variables["CUDA_VISIBLE_DEVICES"] == "0"


def test_trials_inherit_neither_sparks_secrets_nor_another_trials_facts() -> None:
    variables = environment(
        {
            "PYTHON_WORKER_FACTORY_SECRET": "s",
            "PYSPARK_GATEWAY_SECRET": "s",
            "SPARK_AUTH_SOCKET_TIMEOUT": "s",
            "_SPARK_AUTH_SECRET": "s",
            "SPARK_DRIVER_URL": "s",
            "SPARK_EXECUTOR_ID": "s",
            "SPARK_JAVA_OPT_0": "s",
            "SPARKSWEEP_TRIAL_NUMBER": "9",
            "HOME": "/somewhere",
        }
    )
    assert variables["HOME"] == "/somewhere"
    assert "s" not in variables.values()
    assert "SPARKSWEEP_TRIAL_NUMBER" not in variables
    assert variables[RUNNER_ENV] == "m1"


def test_gpus_are_hidden_from_a_trial_that_asked_for_none() -> None:
    base = {"CUDA_VISIBLE_DEVICES": "0,1"}
    assert environment(base)["CUDA_VISIBLE_DEVICES"] == ""
    asked = environment(base, resources=Resources(gpu=Gpu(count=1)))
    assert asked["CUDA_VISIBLE_DEVICES"] == "0,1"


def test_a_commands_python_is_this_one() -> None:
    path = environment({"PATH": "/usr/bin"})["PATH"].split(os.pathsep)
    assert path == [os.path.dirname(sys.executable), "/usr/bin"]


def test_tensorflow_is_quiet_unless_it_is_asked_to_speak() -> None:
    assert environment()["TF_CPP_MIN_LOG_LEVEL"] == "2"
    assert environment({"TF_CPP_MIN_LOG_LEVEL": "0"})["TF_CPP_MIN_LOG_LEVEL"] == "0"


def test_a_variable_from_a_secret_is_the_one_that_the_pod_has() -> None:
    reference = EnvVarSource(secret_key_ref=SecretKeyRef(name="wandb", key="token", optional=True))
    variables = [EnvVar(name="TOKEN", value_from=reference)]
    assert environment({"TOKEN": "t"}, env=variables)["TOKEN"] == "t"
    assert "TOKEN" not in environment({}, env=variables)


def test_a_trial_is_told_its_name_its_place_and_its_parameters() -> None:
    variables = trial_environment(
        experiment="digits",
        number=7,
        attempt=2,
        directory=Path("/runs/trials/0007"),
        parameters={"lr": 0.1, "layers": 2, "optimizer": "adam"},
    )
    assert variables["SPARKSWEEP_TRIAL_NAME"] == "digits-7"
    assert (variables["SPARKSWEEP_TRIAL_NUMBER"], variables["SPARKSWEEP_TRIAL_ATTEMPT"]) == (
        "7",
        "2",
    )
    assert variables["SPARKSWEEP_TRIAL_DIR"] == "/runs/trials/0007"
    assert variables["SPARKSWEEP_LOGDIR"] == "/runs/trials/0007/tensorboard"
    parameters = json.loads(variables["SPARKSWEEP_PARAMETERS"])
    assert parameters == {"lr": 0.1, "layers": 2, "optimizer": "adam"}
