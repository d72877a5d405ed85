"""Environment variables of the fork server and of its trials. Pure."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from sparksweep_core.api import quantities
from sparksweep_core.api.environment import USERS_ENV
from sparksweep_core.api.template import TrialTemplate
from sparksweep_core.contract.environment import (
    DATA_CACHE_ENV,
    EXPERIMENT_ENV,
    HIDDEN_ENV_PREFIX,
    LOGDIR_ENV,
    PARAMETERS_ENV,
    PREFIX,
    RUNNER_ENV,
    TRIAL_ATTEMPT_ENV,
    TRIAL_DIR_ENV,
    TRIAL_NAME_ENV,
    TRIAL_NUMBER_ENV,
)
from sparksweep_core.contract.run_layout import TENSORBOARD_DIRECTORY
from sparksweep_trainer.trial.arguments import Value

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)

MAX_TEMPORARY_PATH = 75
"""Bytes of a path in which multiprocessing can make a socket: Linux allows 107, and it adds two names of 32 in all."""

_SPARKS_OWN = (
    "_SPARK_AUTH_",
    "SPARK_AUTH_",
    "SPARK_APPLICATION_ID",
    "SPARK_DRIVER_",
    "SPARK_EXECUTOR_",
    "SPARK_JAVA_OPT_",
    "SPARK_RESOURCE_PROFILE_ID",
    "PYSPARK_GATEWAY_",
    "PYTHON_WORKER_FACTORY_",
    PREFIX,
)
"""Prefixes of variables that trials don't inherit: secrets and addresses of the Spark application, and variables of
another trial. Those in `USERS_ENV` are inherited all the same."""


def server_environment(
    template: TrialTemplate, *, base: Mapping[str, str], marker: str
) -> dict[str, str]:
    """Return the environment of the fork server, and so of every trial: set before the first module is preloaded.

    Args:
        template: its ``env`` wins over everything else.
        base: the slot's environment.
        marker: value of the variable `RUNNER_ENV`.
    """
    # Spark was started without them, and may have set some of its own.
    hidden = {
        key.removeprefix(HIDDEN_ENV_PREFIX): value
        for key, value in base.items()
        if key.startswith(HIDDEN_ENV_PREFIX)
    }
    environment = {
        key: value
        for key, value in {**base, **hidden}.items()
        if key in USERS_ENV or not key.startswith(_SPARKS_OWN)
    }
    # Libraries count the machine's cores, not the trial's. Spark sets OMP_NUM_THREADS from the executor's cores.
    count = str(quantities.threads(template.resources.cpu))
    environment.update(dict.fromkeys(THREAD_VARIABLES, count))
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    environment["PYTHONUNBUFFERED"] = "1"
    # Training prints names of any language, whatever the image's locale is.
    environment["PYTHONIOENCODING"] = "utf-8:backslashreplace"
    # A command's `python` is this interpreter, whatever else is installed.
    directory = os.path.dirname(sys.executable)
    environment["PATH"] = os.pathsep.join([directory, environment.get("PATH", os.defpath)])
    if template.resources.gpu.count == 0:
        environment["CUDA_VISIBLE_DEVICES"] = ""
    for variable in template.env:
        # The pod sets a variable with valueFrom; it is absent if the reference is optional and its key missing.
        value = variable.value if variable.value_from is None else base.get(variable.name)
        if value is not None:
            environment[variable.name] = value
    environment[RUNNER_ENV] = marker
    return environment


def temporary_environment(
    server: Mapping[str, str], template: TrialTemplate, *, directory: Path, shared: Path
) -> dict[str, str]:
    """Return the variables by which a trial's temporary files lie in a directory of its own.

    A template that sets TMPDIR keeps it. So does a trial whose own directory would be too long a path for the sockets
    that multiprocessing makes there.

    Args:
        server: the fork server's environment.
        template: the user's template.
        directory: the trial's own directory.
        shared: directory of temporary files that outlive the trial: copies of remote data are for all trials.
    """
    default = str(shared / f"sparksweep-data-{os.getuid()}")
    variables = {DATA_CACHE_ENV: server.get(DATA_CACHE_ENV) or default}
    is_given = any(variable.name == "TMPDIR" for variable in template.env)
    if not is_given and len(os.fsencode(directory)) <= MAX_TEMPORARY_PATH:
        variables["TMPDIR"] = str(directory)
    return variables


def trial_name(experiment: str, number: int) -> str:
    """Return a trial's name."""
    return f"{experiment}-{number}"


def trial_environment(
    *,
    experiment: str,
    number: int,
    attempt: int,
    directory: Path,
    parameters: Mapping[str, Value],
) -> dict[str, str]:
    """Return the variables that describe an attempt to its own processes; `sparksweep.context` reads them."""
    return {
        EXPERIMENT_ENV: experiment,
        TRIAL_NUMBER_ENV: str(number),
        TRIAL_ATTEMPT_ENV: str(attempt),
        TRIAL_NAME_ENV: trial_name(experiment, number),
        TRIAL_DIR_ENV: str(directory),
        LOGDIR_ENV: str(directory / TENSORBOARD_DIRECTORY),
        PARAMETERS_ENV: json.dumps(dict(parameters)),
    }
