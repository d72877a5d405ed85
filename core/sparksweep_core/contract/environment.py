"""Names of the environment variables by which programs configure each other. Imports nothing, so that trials may import it."""

from __future__ import annotations

PREFIX = "SPARKSWEEP_"
"""Start of the names that are sparksweep's. The operator's settings are this and a field of ``Settings``."""

# ---------------------------------------------------------------------- set by the user

PROJECT_PATH_ENV = "SPARKSWEEP_PROJECT_PATH"
"""Root of the project's data: a directory or a URI."""
DATA_CACHE_ENV = "SPARKSWEEP_DATA_CACHE"
"""Directory for copies of remote data."""
DATA_CACHE_SIZE_ENV = "SPARKSWEEP_DATA_CACHE_SIZE"
"""Bytes that the copies may take, as Kubernetes writes them."""
BACKEND_ENV = "SPARKSWEEP_BACKEND"
"""``local`` or ``kubernetes``: where the SDK runs experiments that name no backend."""
JAVA_CACHE_ENV = "SPARKSWEEP_JAVA_CACHE"
"""Directory for archives of Spark's classes, which make a local run start sooner. Set and empty: none are made."""

# ---------------------------------------------------------------------- set by a slot for each trial

EXPERIMENT_ENV = "SPARKSWEEP_EXPERIMENT"
"""Name of the Experiment."""
TRIAL_NUMBER_ENV = "SPARKSWEEP_TRIAL_NUMBER"
"""Number of the trial, from 1."""
TRIAL_ATTEMPT_ENV = "SPARKSWEEP_TRIAL_ATTEMPT"
"""Attempt at the trial, from 1."""
TRIAL_NAME_ENV = "SPARKSWEEP_TRIAL_NAME"
"""Name of the trial."""
TRIAL_DIR_ENV = "SPARKSWEEP_TRIAL_DIR"
"""The trial's directory. Set in trials and nowhere else."""
LOGDIR_ENV = "SPARKSWEEP_LOGDIR"
"""Directory for the trial's TensorBoard events."""
PARAMETERS_ENV = "SPARKSWEEP_PARAMETERS"
"""The trial's hyperparameters, a JSON object."""
RUNNER_ENV = "SPARKSWEEP_RUNNER"
"""Mark of the processes that one slot's runner has started."""

# ---------------------------------------------------------------------- set by a driver for the slots on its machine

HIDDEN_ENV_PREFIX = "SPARKSWEEP_HIDDEN_"
"""This and a name: a variable of the user's that Spark must not see, and that trials get under its own name."""

# ---------------------------------------------------------------------- set by the operator for a driver's pod

POD_NAME_ENV = "POD_NAME"
POD_NAMESPACE_ENV = "POD_NAMESPACE"
POD_IP_ENV = "POD_IP"
"""The pod's name, namespace and address, from Kubernetes' downward API."""
EXECUTOR_PREFIX_ENV = "EXECUTOR_PREFIX"
"""`executor_prefix` of ``names``, for Spark's settings."""
SPARK_SECRET_ENV = "SPARKSWEEP_SPARK_SECRET"
"""Name of the Secret with the driver's and its executors' Spark secret."""
RUN_DIRECTORY_ENV = "SPARKSWEEP_RUN_DIRECTORY"
"""The run directory, for driver and viewer."""
CONFIG_SEAL_ENV = "SPARKSWEEP_CONFIG_SEAL"
"""``Seal`` of ``sealed_files`` for the driver's configuration. Absent: the pod was made by an older operator."""
TERMINATION_LOG_ENV = "SPARKSWEEP_TERMINATION_LOG"
"""File for the reason why the driver can't start, which Kubernetes puts into the pod's status."""
TENSORBOARD_ENV = "SPARKSWEEP_TENSORBOARD"
"""Title of TensorBoard's pages. Absent: the viewer starts no TensorBoard."""

# ---------------------------------------------------------------------- set by the operator for an executor's pod

CODE_SEAL_ENV = "SPARKSWEEP_CODE_SEAL"
"""``Seal`` of ``sealed_files`` for the inline source. Absent: there is none, or a ConfigMap of the user's."""
CLEARED_ENV = "SPARKSWEEP_CLEARED_DIRECTORIES"
"""Directories of an executor, separated by colons, from which slots remove what each trial leaves. Absent: none."""

# ---------------------------------------------------------------------- set where there is no cluster around a driver

DRIVER_CONFIG_ENV = "SPARKSWEEP_DRIVER_CONFIG"
"""Directory of the driver's configuration, in place of `CONFIG_DIRECTORY` of ``directories``."""
API_SERVER_ENV = "SPARKSWEEP_API_SERVER"
"""URL of the API server, in place of the pod's cluster's."""
API_TOKEN_FILE_ENV = "SPARKSWEEP_API_TOKEN_FILE"
API_CA_FILE_ENV = "SPARKSWEEP_API_CA_FILE"
"""Files with the token and the certificate authority for `API_SERVER_ENV`."""
VIEWER_PORT_ENV = "SPARKSWEEP_VIEWER_PORT"
TENSORBOARD_PORT_ENV = "SPARKSWEEP_TENSORBOARD_PORT"
"""Ports in place of those of ``ports``."""
