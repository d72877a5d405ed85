"""Manifest of the Secret by which Spark's driver and its executors know each other.

Spark would otherwise make a secret itself and put it into each executor's pod as the value of a variable, where everybody
reads it who may read pods. The operator creates the Secret and can't read it back: its only right on Secrets is `create`.
"""

from __future__ import annotations

import base64
from typing import Any

from sparksweep_core.api import Experiment
from sparksweep_core.contract.directories import SPARK_SECRET_FILE
from sparksweep_core.contract.names import SPARK_SECRET_VOLUME
from sparksweep_operator.manifests.names import owned_metadata

SECRET_BYTES = 32
"""Bytes of Spark's secret. Spark derives its AES keys from them."""
SECRET_TYPE = "sparksweep.dev/spark"
"""Type of the Secret; Kubernetes' own types have meanings of their own."""


def spark_secret(experiment: Experiment, name: str, value: bytes) -> dict[str, Any]:
    """Return the Secret of one driver, which is deleted with the Experiment.

    Args:
        experiment: the Experiment.
        name: see `spark_secret_name`.
        value: random bytes, as many as `SECRET_BYTES`.
    """
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": owned_metadata(experiment, name),
        "type": SECRET_TYPE,
        "immutable": True,
        "data": {SPARK_SECRET_FILE: base64.b64encode(value).decode()},
    }


def spark_secret_volume(name: str) -> dict[str, Any]:
    """Return the volume of a pod that holds the secret as a file, readable for the pod's group alone.

    Args:
        name: name of the Secret.
    """
    return {"name": SPARK_SECRET_VOLUME, "secret": {"secretName": name, "defaultMode": 0o440}}
