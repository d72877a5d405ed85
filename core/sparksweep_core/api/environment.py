"""The environment variables of a trial: ``spec.trialTemplate.env``, as in a container's spec."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, StringConstraints

from sparksweep_core.api import limits
from sparksweep_core.api.base import Model, cel, cel_rules
from sparksweep_core.api.names import Key, ObjectName
from sparksweep_core.contract.environment import (
    DATA_CACHE_ENV,
    DATA_CACHE_SIZE_ENV,
    PREFIX,
    PROJECT_PATH_ENV,
)

USERS_ENV = (PROJECT_PATH_ENV, DATA_CACHE_ENV, DATA_CACHE_SIZE_ENV)
"""Variables that start with `PREFIX` and that users may set."""


class SecretKeyRef(Model):
    """One key of a Secret in the Experiment's namespace."""

    name: ObjectName
    """Name of the Secret."""
    key: Key
    """Key that holds the value."""
    optional: bool = False
    """True: the variable is left out when there is no such Secret or key. False: the pod waits for it."""


class ConfigMapKeyRef(Model):
    """One key of a ConfigMap in the Experiment's namespace."""

    name: ObjectName
    """Name of the ConfigMap."""
    key: Key
    """Key that holds the value."""
    optional: bool = False
    """True: the variable is left out when there is no such ConfigMap or key. False: the pod waits for it."""


class EnvVarSource(Model):
    """Source of a variable's value: a key of either a Secret or a ConfigMap."""

    model_config = ConfigDict(
        json_schema_extra=cel_rules(
            cel(
                "has(self.secretKeyRef) != has(self.configMapKeyRef)",
                "give exactly one of secretKeyRef and configMapKeyRef",
            )
        )
    )

    secret_key_ref: SecretKeyRef | None = None
    """Key of a Secret that holds the value."""
    config_map_key_ref: ConfigMapKeyRef | None = None
    """Key of a ConfigMap that holds the value."""


class EnvVar(Model):
    """An environment variable of the trial's process."""

    model_config = ConfigDict(
        json_schema_extra=cel_rules(
            cel(
                f"!self.name.startsWith('{PREFIX}') || self.name in {list(USERS_ENV)}",
                f"names that start with {PREFIX} are reserved, except {', '.join(USERS_ENV)}",
                ".name",
            ),
            cel(
                "!has(self.valueFrom) || self.value == ''",
                "can't be combined with a value that is not empty",
                ".valueFrom",
            ),
        )
    )

    name: Annotated[
        str, StringConstraints(min_length=1, max_length=253, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    ]
    """Name of the variable."""
    value: Annotated[str, StringConstraints(max_length=limits.WORD)] = ""
    """Value of the variable."""
    value_from: EnvVarSource | None = None
    """Source of the value, instead of ``value``. On a cluster only."""
