"""Bounds of the API: every list, map and string has one.

The API server estimates what a CEL rule may cost from these, and an object must stay far below etcd's 1.5 MiB.
"""

from __future__ import annotations

NAME = 40
"""Characters of an Experiment's name: batches, pods and labels derived from it must stay within 63."""
PARAMETERS = 64
"""Parameters of an Experiment."""
LIST_VALUES = 1000
"""Values of a discrete or categorical parameter."""
VALUE = 256
"""Characters of one parameter value."""
NUMBER = 40
"""Characters of a number written as a string."""
SETTINGS = 32
"""Algorithm settings."""
METRICS = 32
"""Metrics of an Experiment, the objective included."""
PARALLEL_TRIALS = 1000
"""Trials at once."""
TRIALS = 1_000_000
"""Trials of an Experiment."""
BATCH_TRIALS = 100
"""Trials of one TrialBatch, which keeps the object below 100 kB for ordinary parameters."""
LINEAGE = 128
"""Characters of a trial's lineage."""
COMMAND = 256
"""Words of a command."""
WORD = 4096
"""Characters of a word of a command, or of an environment variable's value."""
INLINE_SOURCE = 256 * 1024
"""Characters of inline source: Kubernetes' client-side apply keeps a second copy in a 256 KiB annotation."""
PRELOAD = 32
"""Modules to preload."""
ENV = 64
"""Environment variables."""
NODE_SELECTOR = 32
"""Labels of a node selector."""
TOLERATIONS = 32
"""Tolerations."""
AFFINITY_TERMS = 16
"""Terms of each list of an affinity."""
AFFINITY_EXPRESSIONS = 16
"""Conditions of one term of an affinity."""
AFFINITY_VALUES = 32
"""Values of one condition of an affinity."""
VOLUMES = 16
"""Volumes of a trial."""
IMAGE_PULL_SECRETS = 16
"""Secrets to pull the image with."""
PATH = 512
"""Characters of a path in the pod."""
SECONDS = 31_536_000
"""A year: the longest any timeout may be."""
RETRIES = 100
"""Retries of a trial."""
GPUS = 64
"""GPUs of one executor."""
MESSAGE = 4096
"""Characters of a message in a status."""
RECENT_TRIALS = 10
"""Trials listed in an Experiment's status."""
CONDITIONS = 8
"""Conditions of an Experiment."""
