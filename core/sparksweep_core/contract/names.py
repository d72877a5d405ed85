"""Names of the objects and containers of an Experiment, and how to read them back.

Deterministic, so that creating an object twice creates it once. Imports nothing of the project.
"""

from __future__ import annotations

import re

DRIVER_CONTAINER = "driver"
"""Container of a driver's pod that drives the experiment."""
VIEWER_CONTAINER = "viewer"
"""Second container of a driver's pod: serves the run directory, and outlives the driver."""
EXECUTOR_CONTAINER = "executor"
"""Container of an executor's pod."""

DRIVER_COMMAND = "driver"
"""Argument of the trainer image's entry point that starts a driver."""
VIEWER_COMMAND = "viewer"
"""Argument of the trainer image's entry point that starts a viewer."""

OPERATOR_MANAGER = "sparksweep-operator"
"""Field manager, user agent and event source of the operator."""
SDK_MANAGER = "sparksweep-sdk"
"""Field manager and user agent of the SDK."""

SPARK_SECRET_VOLUME = "sparksweep-spark-secret"
"""Volume with Spark's secret, in the pods of driver and executors."""

SHIPPED_MODULE = "sparksweep_function"
"""Module of a function that the SDK has pickled."""

_DRIVER_NAME = re.compile(r"-driver-(\d+)$")
_EXECUTOR_NAME = re.compile(r"-(\d+)-exec-\d+$")


def driver_name(experiment: str, number: int) -> str:
    """Return the name of a driver's pod. Each driver of an Experiment has a higher number than all before it."""
    return f"{experiment}-driver-{number}"


def driver_number(name: str) -> int | None:
    """Return the number in the name of a driver's pod; None if it is no driver's name."""
    match = _DRIVER_NAME.search(name)
    return int(match[1]) if match else None


SPARK_SECRET_SUFFIX_BYTES = 4
SPARK_SECRET_NAME = re.compile(r"-driver-[0-9]+-[0-9a-f]{8}$")
"""End of the names of `spark_secret_name`. The chart's admission policy has the same pattern."""


def spark_secret_name(driver: str, suffix: str) -> str:
    """Return the name of the Secret with a driver's Spark secret.

    Args:
        driver: name of the driver's pod.
        suffix: unpredictable hexadecimal digits, two a byte of `SPARK_SECRET_SUFFIX_BYTES`, so that nobody can make a Secret
            of this name first and choose the value.
    """
    return f"{driver}-{suffix}"


def is_spark_secret_name(name: str) -> bool:
    """Return True if a Secret's name is one of `spark_secret_name`."""
    return SPARK_SECRET_NAME.search(name) is not None


def executor_prefix(experiment: str, number: int) -> str:
    """Return Spark's prefix for the names of a driver's executors. Spark allows 47 characters."""
    return f"{experiment}-{number}"


def executor_names_start(prefix: str) -> str:
    """Return the start of the names that Spark makes of `executor_prefix`: ``<prefix>-exec-<id>``."""
    return f"{prefix}-exec-"


def executor_driver_number(name: str) -> int | None:
    """Return the number of the driver that an executor's pod belongs to; None if it is no executor's name."""
    match = _EXECUTOR_NAME.search(name)
    return int(match[1]) if match else None


def driver_config_name(experiment: str, digest: str) -> str:
    """Return the name of the ConfigMap that drivers read; `digest` stands for its content."""
    return f"{experiment}-config-{digest}"


def code_name(experiment: str, digest: str) -> str:
    """Return the name of the ConfigMap with the inline source, which executors alone mount."""
    return f"{experiment}-code-{digest}"


def tensorboard_name(experiment: str) -> str:
    """Return the name of the Service in front of TensorBoard."""
    return f"{experiment}-tensorboard"
