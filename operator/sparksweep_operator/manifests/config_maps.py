"""The ConfigMap of an Experiment's drivers: their configuration."""

from __future__ import annotations

import json
from typing import Any

from sparksweep_core.api import Experiment
from sparksweep_core.api.base import Model
from sparksweep_core.api.quantities import memory_bytes
from sparksweep_core.contract.directories import CODE_DIRECTORY, COMMAND_SOURCE, TRIALS_DIRECTORY
from sparksweep_core.contract.driver_config import (
    DRIVER_FILE,
    EXECUTOR_POD_FILE,
    PROGRAM_FILE,
    DriverConfig,
)
from sparksweep_core.contract.names import driver_config_name
from sparksweep_core.contract.program import Program
from sparksweep_operator.manifests.executor_pod import executor_pod
from sparksweep_operator.manifests.sealed_maps import sealed_config_map
from sparksweep_operator.manifests.spark_conf import MASTER, spark_conf
from sparksweep_operator.settings import Settings


def driver_config_map(experiment: Experiment, settings: Settings) -> dict[str, Any]:
    """Return the ConfigMap that drivers read: their configuration, the program without the trial code, and the pod
    template of executors.
    """
    data = {
        # `limit_is_container` is the driver's to set, `code_seals` a local run's.
        PROGRAM_FILE: _json(_program(experiment), exclude={"limit_is_container", "code_seals"}),
        DRIVER_FILE: _json(_driver_config(experiment, settings)),
        EXECUTOR_POD_FILE: json.dumps(executor_pod(experiment)),
    }
    return sealed_config_map(experiment, driver_config_name, data)


def _driver_config(experiment: Experiment, settings: Settings) -> DriverConfig:
    storage = experiment.spec.storage
    return DriverConfig(
        experiment=experiment.metadata.name,
        master=MASTER,
        spark=spark_conf(experiment, settings),
        tensorboard=experiment.spec.tensorboard.enabled,
        run_bytes=memory_bytes(storage.size_limit) * 9 // 10,
        trials_grace_s=experiment.spec.trial_template.termination_grace_period_seconds,
        storage_uri=storage.uri,
    )


def _program(experiment: Experiment) -> Program:
    spec = experiment.spec
    template = spec.trial_template
    mounted = template.source is not None
    return Program(
        experiment=experiment.metadata.name,
        parameters=spec.parameters,
        objective=spec.objective,
        trial_template=template.model_copy(update={"source": None}),
        trials_directory=TRIALS_DIRECTORY,
        search_path=[CODE_DIRECTORY] if mounted and template.function is not None else [],
        source_file=f"{CODE_DIRECTORY}/{COMMAND_SOURCE}"
        if mounted and template.function is None
        else None,
        sends_files=True,
    )


def _json(model: Model, *, exclude: set[str] | None = None) -> str:
    return json.dumps(model.model_dump(mode="json", exclude_none=True, exclude=exclude))
