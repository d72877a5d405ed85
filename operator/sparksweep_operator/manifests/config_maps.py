"""The ConfigMaps of an Experiment: what its driver reads, and the inline source, which only executors see."""

from __future__ import annotations

import json
from typing import Any

from sparksweep_core.api import Experiment
from sparksweep_core.api.quantities import memory_bytes
from sparksweep_operator.manifests.executor_pod import executor_pod
from sparksweep_operator.manifests.names import (
    CODE_DIRECTORY,
    COMMAND_SOURCE,
    TRIALS_DIRECTORY,
    code_name,
    driver_config_name,
    owned_metadata,
)
from sparksweep_operator.manifests.spark_conf import EXECUTOR_POD_FILE, MASTER, spark_conf
from sparksweep_operator.settings import Settings


def driver_config_map(experiment: Experiment, settings: Settings) -> dict[str, Any]:
    """What the driver reads: the program (without the trial code), Spark's settings, the executors' pod template."""
    storage = experiment.spec.storage
    driver: dict[str, Any] = {
        "experiment": experiment.metadata.name,
        "master": MASTER,
        "spark": spark_conf(experiment, settings),
        "tensorboard": experiment.spec.tensorboard.enabled,
        "runBytes": memory_bytes(storage.size_limit) * 9 // 10,
    }
    if storage.uri is not None:
        driver["storageUri"] = storage.uri
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": owned_metadata(experiment, driver_config_name(experiment.metadata.name)),
        "data": {
            "program.json": json.dumps(_program(experiment)),
            "driver.json": json.dumps(driver),
            EXECUTOR_POD_FILE: json.dumps(executor_pod(experiment)),
        },
    }


def code_config_map(experiment: Experiment) -> dict[str, Any] | None:
    """The inline source; None without one."""
    source = experiment.spec.trial_template.source
    if source is None or source.inline is None:
        return None
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": owned_metadata(experiment, code_name(experiment.metadata.name)),
        "data": {COMMAND_SOURCE: source.inline},
    }


def _program(experiment: Experiment) -> dict[str, Any]:
    """The program of ``sparksweep_trainer.protocol``, which is the trainer's: the two meet in JSON only."""
    spec = experiment.spec
    template = spec.trial_template.model_copy(update={"source": None})
    program: dict[str, Any] = {
        "experiment": experiment.metadata.name,
        "parameters": [parameter.to_dict() for parameter in spec.parameters],
        "trialTemplate": template.to_dict(),
        "trialsDirectory": TRIALS_DIRECTORY,
        "searchPath": [],
        "sendsFiles": True,
    }
    if spec.objective is not None:
        program["objective"] = spec.objective.to_dict()
    if spec.trial_template.source is not None:
        if template.function is not None:
            program["searchPath"] = [CODE_DIRECTORY]
        else:
            program["sourceFile"] = f"{CODE_DIRECTORY}/{COMMAND_SOURCE}"
    return program
