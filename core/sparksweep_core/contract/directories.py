"""Directories and files inside the pods of an Experiment.

Users' volumes can be mounted neither there nor above: see ``RESERVED_PATHS`` of ``api.volumes``.
"""

from __future__ import annotations

from sparksweep_core.contract.run_layout import TRIALS

CONFIG_DIRECTORY = "/etc/sparksweep/driver"
"""The ConfigMap of `driver_config`, in the driver's container."""
STORAGE_DIRECTORY = "/etc/sparksweep/storage"
"""Credentials of ``spec.storage``, one file for each key of the Secret, in the driver's container."""
SPARK_SECRET_DIRECTORY = "/etc/sparksweep/spark"
"""Spark's secret, in the containers of driver and executors."""
SPARK_SECRET_FILE = "spark-secret"
"""The secret, below `SPARK_SECRET_DIRECTORY`, and its key in the Secret."""
CODE_DIRECTORY = "/opt/sparksweep/code"
"""The trial code, in executors only."""
DATA_DIRECTORY = "/var/lib/sparksweep"
"""Volume for what outlives a process: the run directory in a driver's pod, trials' directories in an executor's."""
TRIALS_DIRECTORY = f"{DATA_DIRECTORY}/{TRIALS}"
"""Trials' directories in an executor's container."""
ACCOUNT_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Kubernetes' own directory for a service account's token and the cluster's certificate authority."""
TOKEN_FILE = "token"
"""The token, below `ACCOUNT_DIRECTORY`."""
TERMINATION_LOG = "/dev/termination-log"
"""Kubernetes' own file for a container's last words."""
CA_FILE = "ca.crt"
"""The certificate authority, below `ACCOUNT_DIRECTORY`."""

COMMAND_SOURCE = "trial_source.py"
"""File of a command's inline source, and its key in the ConfigMap."""
