"""Bounds of the API: every list, map and string has one.

The API server estimates what a CEL rule may cost from these. Bounds in bytes count an object as it is stored
(`sparksweep_core.stored_size`), because etcd refuses one above 1.5 MiB.
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
OBJECT_BYTES = 1536 * 1024
"""Bytes of an object that etcd stores: its ``--max-request-bytes`` by default."""
BATCH_SPEC_BYTES = 512 * 1024
"""Bytes of the trials in a TrialBatch's spec."""
BATCH_STATUS_BYTES = 896 * 1024
"""Bytes of a TrialBatch's status. The 128 KiB that are left are for metadata, managedFields and the order to stop."""
TRIAL_BYTES = 64 * 1024
"""Bytes of one trial's parameters, which the Experiment's status has too if the trial is the best. 64 parameters of 256
characters of any alphabet fit; only a text of characters that are stored in six bytes may be too large."""
STATUS_BYTES = 10_000
"""Bytes of an Experiment's status beside the best trial's parameters (`TRIAL_BYTES`) and the addresses of its results and
its TensorBoard. Messages are shortened to keep it, then the best trial's other metrics left out."""
SPEC_BYTES = 1_450_000
"""Bytes of an Experiment's spec, of the `OBJECT_BYTES`: the rest is for its status (`STATUS_BYTES`, `TRIAL_BYTES`), its
metadata and managedFields."""
LINEAGE = 128
"""Characters of a trial's lineage."""
COMMAND = 256
"""Words of a command."""
WORD = 4096
"""Characters of a word of a command, or of an environment variable's value."""
INLINE_SOURCE = 500_000
"""Characters of inline source. Every write of a status rewrites the whole Experiment in etcd, and the operator holds it in
memory, so it is below the 1 MiB of a ConfigMap. Kubernetes' client-side apply keeps a second copy in an annotation of
256 KiB; `kubectl apply --server-side` and `kubectl create` keep none. The API server takes requests of 3 MiB, in which
Python's clients write six bytes for a character that is not ASCII."""
INLINE_SOURCE_BYTES = 1_000_000
"""Bytes of inline source as etcd stores it, of the 1.5 MiB of an object; a ConfigMap holds 1 MiB."""
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
"""Characters of a message in a status, and bytes as it is stored."""
RECENT_TRIALS = 10
"""Trials listed in an Experiment's status."""
CONDITIONS = 8
"""Conditions of an Experiment."""
