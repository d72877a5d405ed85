"""The ConfigMap of an experiment's drivers: the operator writes it, each driver reads it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sparksweep_core.api import limits
from sparksweep_core.api.base import Model

DRIVER_FILE = "driver.json"
"""A `DriverConfig`."""
PROGRAM_FILE = "program.json"
"""A ``Program``, without the trial code."""
EXECUTOR_POD_FILE = "executor-pod.json"
"""The pod template of the executors, which Spark reads."""

DRIVER_GRACE_S = 15
"""Seconds between SIGTERM and SIGKILL for a driver beside those of its trials: it writes the last statuses and releases
its executors."""

DRIVER_CANNOT_START = 78
"""Exit code of a driver that can't start with what its pod gives it, as any other would: sysexits' EX_CONFIG."""

POD_TEMPLATE_SETTING = "spark.kubernetes.executor.podTemplateFile"
"""Spark's setting with the path of `EXECUTOR_POD_FILE`."""

KUBERNETES_MASTER = "k8s://"
"""Start of a Spark master that runs executors in pods."""

RUN_BYTES = 9 * 2**30
"""Default of `DriverConfig.run_bytes`: nine tenths of the default of ``spec.storage.sizeLimit``."""


class DriverConfig(Model):
    """Configuration of a driver; the same for every driver of an experiment."""

    experiment: Annotated[str, Field(min_length=1, max_length=limits.NAME)]
    """Name of the Experiment."""
    master: str
    """Spark's master."""
    spark: dict[str, str]
    """Spark's settings. ``$(NAME)`` in a value stands for the driver's environment variable NAME."""
    tensorboard: bool = True
    """True: write each trial's event files for TensorBoard."""
    run_bytes: Annotated[int, Field(ge=0)] = RUN_BYTES
    """Bytes of all files in the run directory, at most."""
    trials_grace_s: Annotated[int, Field(ge=0)] = 0
    """Seconds between SIGTERM and SIGKILL for a trial, which the pod's own grace period has room for. Absent: the pod was
    made by an older operator, and has none."""
    storage_uri: str | None = None
    """URI that the run directory is copied to. Absent: it is copied nowhere."""
