"""Settings of the operator, from environment variables: images, the driver's service account and resources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.metadata import version

from sparksweep_core.contract.environment import PREFIX


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The operator's settings. Each is read from the environment variable `PREFIX` + NAME."""

    trainer_image: str = f"docker.io/sparksweep/trainer:{version('sparksweep')}"
    """Image of drivers, and of executors whose Experiment names none."""
    image_pull_policy: str = "IfNotPresent"
    """Pull policy of the trainer image, and of executors whose Experiment sets none."""
    driver_service_account: str = "sparksweep-driver"
    """Service account of drivers, in each namespace with Experiments."""
    driver_cpu: str = "200m"
    """CPU request of a driver's pod."""
    driver_memory: str = "1Gi"
    """Memory request and limit of a driver's pod."""
    tensorboard_memory: str = "1Gi"
    """Memory limit of a viewer with TensorBoard, which holds the events of all trials."""

    storage_uris: str = ""
    """Prefixes of the URIs that ``spec.storage.uri`` may name, separated by blanks; empty: all."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings; a variable that is absent or empty leaves the default."""
        given = {
            field.name: environment.get(f"{PREFIX}{field.name.upper()}", "")
            for field in fields(cls)
        }
        return cls(**{name: value for name, value in given.items() if value})
