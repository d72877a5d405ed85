"""Settings of a driver's process: the operator's ConfigMap, the downward API and the address of the API server."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sparksweep_core.contract.directories import (
    ACCOUNT_DIRECTORY,
    CA_FILE,
    CONFIG_DIRECTORY,
    TOKEN_FILE,
)
from sparksweep_core.contract.driver_config import (
    DRIVER_FILE,
    EXECUTOR_POD_FILE,
    KUBERNETES_MASTER,
    POD_TEMPLATE_SETTING,
    PROGRAM_FILE,
    RUN_BYTES,
    DriverConfig,
)
from sparksweep_core.contract.environment import (
    API_CA_FILE_ENV,
    API_SERVER_ENV,
    API_TOKEN_FILE_ENV,
    CONFIG_SEAL_ENV,
    DRIVER_CONFIG_ENV,
    POD_IP_ENV,
    POD_NAME_ENV,
    POD_NAMESPACE_ENV,
    RUN_DIRECTORY_ENV,
    SPARK_SECRET_ENV,
)
from sparksweep_core.contract.names import executor_names_start
from sparksweep_core.contract.program import Program
from sparksweep_core.contract.sealed_files import ChangedFile, Seal
from sparksweep_core.errors import Unreadable
from sparksweep_core.validation.reading import read_json
from sparksweep_trainer.kubernetes.api_client import Endpoint

_VARIABLE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


class SettingsError(Exception):
    """A setting is missing or wrong; the message names it."""


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
    """The program that every trial runs."""
    endpoint: Endpoint
    """The API server."""
    run_directory: Path | None = None
    """The run directory; None: trials' files stay with the executors."""
    run_bytes: int = RUN_BYTES
    """Bytes of all files in it, at most."""
    trials_grace_s: int = 0
    """See `DriverConfig`."""
    tensorboard: bool = True
    """True: write each trial's event files for TensorBoard."""
    spark_secret: str | None = None
    """Name of the Secret with Spark's secret; None where executors are no pods."""
    storage_uri: str | None = None
    """URI that the run directory is copied to; None: it is copied nowhere."""

    @property
    def executor_prefix(self) -> str | None:
        """Start of the names of this driver's executor pods; None if executors are no pods."""
        if not self.master.startswith(KUBERNETES_MASTER):
            return None
        prefix = self.conf.get("spark.kubernetes.executor.podNamePrefix")
        return None if prefix is None else executor_names_start(prefix)


def load(environment: Mapping[str, str] = os.environ) -> ClusterSettings:
    """Read the settings, each file once: checked bytes can't change any more.

    Raises:
        SettingsError: something is missing, makes no sense, or is not what the operator wrote.
    """
    directory = Path(environment.get(DRIVER_CONFIG_ENV) or CONFIG_DIRECTORY)
    try:
        files = _SealedDirectory(directory, environment.get(CONFIG_SEAL_ENV))
        config = read_json(DriverConfig, files.read(DRIVER_FILE), str(directory / DRIVER_FILE))
        program = read_json(Program, files.read(PROGRAM_FILE), str(directory / PROGRAM_FILE))
        conf = {key: _expand(value, environment) for key, value in config.spark.items()}
        if POD_TEMPLATE_SETTING in conf and files.is_sealed:
            conf[POD_TEMPLATE_SETTING] = _private_copy(files.read(EXECUTOR_POD_FILE))
    except (ChangedFile, Unreadable) as error:
        raise SettingsError(str(error)) from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"{directory}: {type(error).__name__}: {error}") from error
    if config.master.startswith(KUBERNETES_MASTER):
        program = program.model_copy(update={"limit_is_container": True})
    return ClusterSettings(
        experiment=config.experiment,
        namespace=_required(environment, POD_NAMESPACE_ENV),
        driver=_required(environment, POD_NAME_ENV),
        host=_required(environment, POD_IP_ENV),
        master=config.master,
        conf=conf,
        program=program,
        endpoint=_endpoint(environment),
        run_directory=_path(environment, RUN_DIRECTORY_ENV),
        run_bytes=config.run_bytes,
        trials_grace_s=config.trials_grace_s,
        tensorboard=config.tensorboard,
        spark_secret=environment.get(SPARK_SECRET_ENV) or None,
        storage_uri=config.storage_uri,
    )


class _SealedDirectory:
    """The files of the driver's ConfigMap."""

    def __init__(self, directory: Path, seal: str | None) -> None:
        self._directory = directory
        self._seal = Seal.from_json(seal) if seal else None

    @property
    def is_sealed(self) -> bool:
        """True if the pod says what the files must be; an older operator's does not."""
        return self._seal is not None

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            ChangedFile: it is not what the operator wrote.
            OSError: it can't be read.
        """
        data = (self._directory / name).read_bytes()
        if self._seal is not None:
            self._seal.check(name, data)
        return data


def _private_copy(data: bytes) -> str:
    """Return the path of a copy in this container alone: Spark reads the file again for each executor."""
    path = Path(tempfile.mkdtemp(prefix="sparksweep-config-"), EXECUTOR_POD_FILE)
    path.write_bytes(data)
    return str(path)


def _endpoint(environment: Mapping[str, str]) -> Endpoint:
    """Return the API server that the environment names, or else that of the pod's cluster."""
    server = environment.get(API_SERVER_ENV)
    if not server:
        host = _required(environment, "KUBERNETES_SERVICE_HOST")
        port = _required(environment, "KUBERNETES_SERVICE_PORT")
        server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        return Endpoint(
            server=server,
            token_file=Path(ACCOUNT_DIRECTORY, TOKEN_FILE),
            ca_file=Path(ACCOUNT_DIRECTORY, CA_FILE),
        )
    return Endpoint(
        server=server,
        token_file=_path(environment, API_TOKEN_FILE_ENV),
        ca_file=_path(environment, API_CA_FILE_ENV),
    )


def _expand(value: str, environment: Mapping[str, str]) -> str:
    """Replace each ``$(NAME)`` by the environment variable, as Kubernetes does in a pod's command."""
    return _VARIABLE.sub(lambda match: environment.get(match[1], match[0]), value)


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise SettingsError(f"the environment variable {name} is missing")
    return value


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    value = environment.get(name)
    return Path(value) if value else None
