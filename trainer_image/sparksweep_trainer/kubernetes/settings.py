"""What a driver pod is told: two files from the operator, the downward API, and where the API server is."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparksweep_core.contract.program import Program
from sparksweep_trainer.files.quotas import Bounds
from sparksweep_trainer.kubernetes.api_client import Endpoint

CONFIG_DIRECTORY = Path("/etc/sparksweep/driver")
ACCOUNT_DIRECTORY = Path("/var/run/secrets/kubernetes.io/serviceaccount")

TRIAL_SERVER_PORT = 7780
"""Where slots ask for trials. Fixed, so that a network policy can name it."""
METRICS_PORT = 7782
"""Where Prometheus asks for metrics."""

_VARIABLE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


class SettingsError(Exception):
    """The pod was not told what it needs; the message says what is missing."""


@dataclass(frozen=True)
class ClusterSettings:
    """A driver pod's settings."""

    experiment: str
    """Name of the Experiment."""
    namespace: str
    """Its namespace, and the pod's."""
    driver: str
    """Name of this pod: ``<experiment>-driver-<number>``."""
    host: str
    """Address of this pod that executors reach."""
    master: str
    """Spark's master."""
    conf: Mapping[str, str]
    """Spark's settings."""
    program: Program
    """What every trial runs."""
    endpoint: Endpoint
    """The API server."""
    run_directory: Path | None = None
    """Where trials' files go; None: they stay with the executors."""
    run_bytes: int = Bounds.run_bytes
    """Bytes of all files in it."""
    tensorboard: bool = True
    """Whether to write what TensorBoard shows of each trial."""
    storage_uri: str | None = None
    """Where the run directory is copied to."""

    @property
    def executor_prefix(self) -> str | None:
        """What the names of this driver's executor pods begin with; None where executors are no pods."""
        if not self.master.startswith("k8s://"):
            return None
        prefix = self.conf.get("spark.kubernetes.executor.podNamePrefix")
        return None if prefix is None else f"{prefix}-exec-"


def load(environment: Mapping[str, str] = os.environ) -> ClusterSettings:
    """Read the settings.

    Raises:
        SettingsError: something is missing, or makes no sense.
    """
    directory = Path(environment.get("SPARKSWEEP_DRIVER_CONFIG") or CONFIG_DIRECTORY)
    try:
        driver = json.loads((directory / "driver.json").read_bytes())
        program = Program.model_validate_json((directory / "program.json").read_bytes())
        conf = {key: _expand(value, environment) for key, value in driver["spark"].items()}
        master = driver["master"]
        if master.startswith("k8s://"):
            program = program.model_copy(update={"limit_is_container": True})
        return ClusterSettings(
            experiment=driver["experiment"],
            namespace=_needed(environment, "POD_NAMESPACE"),
            driver=_needed(environment, "POD_NAME"),
            host=_needed(environment, "POD_IP"),
            master=master,
            conf=conf,
            program=program,
            endpoint=_endpoint(environment),
            run_directory=_path(environment, "SPARKSWEEP_RUN_DIRECTORY"),
            run_bytes=int(driver.get("runBytes", Bounds.run_bytes)),
            tensorboard=bool(driver.get("tensorboard", True)),
            storage_uri=driver.get("storageUri"),
        )
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise SettingsError(f"{directory}: {type(error).__name__}: {error}") from error


def _endpoint(environment: Mapping[str, str]) -> Endpoint:
    """The API server of the cluster that the pod is in, unless the environment names another one."""
    server = environment.get("SPARKSWEEP_API_SERVER")
    if not server:
        host = _needed(environment, "KUBERNETES_SERVICE_HOST")
        port = _needed(environment, "KUBERNETES_SERVICE_PORT")
        server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        return Endpoint(
            server=server,
            token_file=ACCOUNT_DIRECTORY / "token",
            ca_file=ACCOUNT_DIRECTORY / "ca.crt",
        )
    return Endpoint(
        server=server,
        token_file=_path(environment, "SPARKSWEEP_API_TOKEN_FILE"),
        ca_file=_path(environment, "SPARKSWEEP_API_CA_FILE"),
    )


def _expand(value: Any, environment: Mapping[str, str]) -> str:
    """A Spark setting with ``$(NAME)`` replaced, as Kubernetes does in a pod's command."""
    return _VARIABLE.sub(lambda match: environment.get(match[1], match[0]), str(value))


def _needed(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise SettingsError(f"the environment variable {name} is missing")
    return value


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    value = environment.get(name)
    return Path(value) if value else None
