"""The pod template of a driver's executors: the operator's, with the name of this driver's Secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sparksweep_core.contract.names import SPARK_SECRET_VOLUME


def read_template(source: Path, *, spark_secret: str) -> dict[str, Any]:
    """Return the operator's template with the name of this driver's Secret.

    Args:
        source: the operator's file.
        spark_secret: name of the Secret with Spark's secret.

    Raises:
        OSError: the file can't be read.
        ValueError: it is no pod.
    """
    pod: dict[str, Any] = json.loads(source.read_bytes())
    try:
        volumes = pod["spec"]["volumes"]
        (volume,) = (item for item in volumes if item["name"] == SPARK_SECRET_VOLUME)
        volume["secret"]["secretName"] = spark_secret
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{source}: a pod with one volume {SPARK_SECRET_VOLUME} is expected"
        ) from error
    return pod


def write_template(source: Path, target: Path, *, spark_secret: str) -> None:
    """Write the template for Spark.

    Args:
        source: the operator's file.
        target: the file to write.
        spark_secret: name of the Secret with Spark's secret.

    Raises:
        OSError: a file can't be read or written.
        ValueError: the operator's file is no pod.
    """
    target.write_text(json.dumps(read_template(source, spark_secret=spark_secret)))
