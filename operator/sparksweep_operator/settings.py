"""What the operator is told when it starts: images, the driver's account and size. From the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.metadata import version

from sparksweep_core.contract.environment import PREFIX


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The operator's settings. Each is the environment variable of its name, in capitals, with `PREFIX`."""

    trainer_image: str = f"docker.io/sparksweep/trainer:{version('sparksweep')}"
    """Image of the driver, and of executors whose Experiment names no other."""
    image_pull_policy: str = "IfNotPresent"
    """For the trainer image, and for executors whose Experiment says nothing."""
    driver_service_account: str = "sparksweep-driver"
    """The account of drivers, in each namespace that has Experiments."""
    driver_cpu: str = "200m"
    """CPUs that a driver's pod requests."""
    driver_memory: str = "1Gi"
    """Memory that a driver's pod requests, and its limit."""
    tensorboard_memory: str = "1Gi"
    """Limit of the memory of a viewer with TensorBoard, which holds the events of all trials."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """The settings; what is absent or empty has its default."""
        given = {
            field.name: environment.get(f"{PREFIX}{field.name.upper()}", "")
            for field in fields(cls)
        }
        return cls(**{name: value for name, value in given.items() if value})
